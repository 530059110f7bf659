"""`kubectl landfall` with Buckets and Credentials on a cluster, run by kubectl as people run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Namespace, until
from stores import Store, access, bucket, held, keys
from test_kubectl_landfall import kubeconfig_of_nobody, landfall, refused, said

MODES = ("ReadOnly", "WriteOnly", "ReadWrite")


def credential(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "landfall.dev/v1alpha1",
        "kind": "Credential",
        "metadata": {"name": name},
        "spec": {
            "secretName": name,
            "values": {"user": {"value": "api"}, "password": {"generate": {}}},
            "deletionPolicy": "Delete",
        },
    }


@pytest.fixture
def named(stage: Namespace, unique: str) -> Iterator[str]:
    """A name for this test's resources of every kind."""
    yield unique
    stage.kubectl("delete", "--ignore-not-found", "--wait=false", "credential", unique)


@pytest.fixture
def media(stage: Namespace, minio: Store, unique: str) -> str:
    """A Bucket with an access of each mode, ready."""
    stage.apply(bucket(unique, minio, access=access(*MODES, prefix=unique), deletionPolicy="Purge"))
    said(stage, "wait", f"bucket/{unique}", "--timeout", "60s")
    return unique


def forwards(stage: Namespace) -> list[str]:
    """What kubectl forwards for the plugin now, on this machine."""
    listed = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if f"-n {stage.name} port-forward --address 127.0.0.1" in line]


def rows(text: str) -> dict[str, list[str]]:
    """The lines of a table by their first word."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


# One name, three kinds


def test_status_shows_the_kinds_that_there_are_and_one_in_full(stage: Namespace, media: str) -> None:
    shown = said(stage, "status")
    assert re.search(rf"^{media} +{media} +http://", shown, re.MULTILINE)
    full = said(stage, "status", media)
    key_id = keys(stage, f"{media}-readonly")["AWS_ACCESS_KEY_ID"]
    for words in (f"{stage.name}/{media}", "Created", "Purge", f"{media}-writeonly", key_id):
        assert words in full
    assert keys(stage, f"{media}-readonly")["AWS_SECRET_ACCESS_KEY"] not in full
    assert json.loads(said(stage, "status", media, "-o", "json"))["kind"] == "Bucket"
    listed = json.loads(said(stage, "status", "-o", "json"))["items"]
    assert ("Bucket", media) in {(item["kind"], item["metadata"]["name"]) for item in listed}


def test_a_name_that_two_kinds_have_needs_its_kind(stage: Namespace, minio: Store, named: str) -> None:
    stage.apply(bucket(named, minio), credential(named))
    line = refused(stage, "status", named)
    assert f"{named} may mean bucket/{named} or credential/{named}: say which" in line
    assert f"bucket/{named} is ready: " in said(stage, "wait", f"bucket/{named}", "--timeout", "60s")
    assert f"cred/{named} is ready: " in said(stage, "wait", f"cred/{named}", "--timeout", "60s")
    assert "password, user" in said(stage, "status", f"credential/{named}")
    titles = set(said(stage, "status").splitlines())
    assert {"Buckets", "Credentials"} <= titles


def test_a_kind_that_one_may_not_list_is_passed_over(stage: Namespace, media: str, tmp_path: Any) -> None:
    config = kubeconfig_of_nobody(stage, tmp_path)
    rule = ("create", "role", media, "--verb=list,get", "--resource=buckets.landfall.dev")
    stage.kubectl(*rule)
    stage.kubectl("create", "rolebinding", media, f"--role={media}", f"--serviceaccount={stage.name}:default")
    try:
        done = until(lambda: _allowed(stage, config), seconds=30, what="the Role counts")
        assert media in done.stdout
        assert "Migrations are passed over: " in done.stderr
        assert "Credentials are passed over: " in done.stderr
        assert media in landfall(stage, "status", media, KUBECONFIG=config).stdout
    finally:
        stage.kubectl("delete", f"role/{media}", f"rolebinding/{media}")


def _allowed(stage: Namespace, config: str) -> subprocess.CompletedProcess[str] | None:
    done = landfall(stage, "status", KUBECONFIG=config)
    return done if done.returncode == 0 else None


# wait, retry, rotate


def test_wait_ends_with_the_operators_words_and_after_a_retry_with_the_newest(
    stage: Namespace, minio: Store, unique: str
) -> None:
    missing = f"{unique}-missing"
    stage.apply(bucket(unique, minio, secret=missing))
    stage.told(unique, "SecretMissing")
    assert missing in refused(stage, "wait", unique, "--timeout", "2s")
    minio.share(stage, missing)
    try:
        said(stage, "retry", unique)
        assert f"{unique} is ready: " in said(stage, "wait", unique, "--timeout", "60s")
    finally:
        stage.kubectl("delete", "secret", missing)


def test_rotate_is_waited_for_and_tells_how_long_the_old_keys_work(stage: Namespace, media: str) -> None:
    before = keys(stage, f"{media}-readonly")["AWS_ACCESS_KEY_ID"]
    assert "the old ones work for 1h more" in said(stage, "rotate", media)
    said(stage, "wait", f"bucket/{media}", "--timeout", "60s")
    assert keys(stage, f"{media}-readonly")["AWS_ACCESS_KEY_ID"] != before
    assert f"{before} until " in said(stage, "status", media)


def test_rotate_of_a_credential_is_waited_for(stage: Namespace, named: str) -> None:
    stage.apply(credential(named))
    said(stage, "wait", named, "--timeout", "60s")
    before = keys(stage, named)["password"]
    assert "password" in said(stage, "rotate", f"credential/{named}")
    said(stage, "wait", named, "--timeout", "60s")
    after = keys(stage, named)
    assert (after["password"] != before, after["password.previous"] == before) == (True, True)


def test_what_has_nothing_to_rotate_says_so(stage: Namespace, minio: Store, unique: str) -> None:
    stage.apply(bucket(unique, minio))
    assert "it has no access. Add one to spec.access." in refused(stage, "rotate", unique)


# bucket ls


def test_objects_are_listed_with_an_access_that_may(stage: Namespace, minio: Store, media: str) -> None:
    with minio.client() as root:
        for key in ("photos/1", "photos/2", "readme"):
            root.put_object(Bucket=media, Key=key, Body=b"x" * 2048)
    listed = said(stage, "bucket", "ls", media)
    assert [line.split()[-1] for line in listed.splitlines()] == ["KEY", "photos/", "readme"]
    assert "2.0 KiB" in listed
    listed = said(stage, "bucket", "ls", media, "photos/")
    assert [line.split()[-1] for line in listed.splitlines()[1:]] == ["photos/1", "photos/2"]
    cut = landfall(stage, "bucket", "ls", media, "-r", "--limit", "2")
    assert (len(cut.stdout.splitlines()), "There is more" in cut.stderr) == (3, True)
    assert "There is nothing under no/ in the bucket" in said(stage, "bucket", "ls", media, "no/")
    line = refused(stage, "bucket", "ls", media, "--access", "writeonly")
    assert "the access writeonly (WriteOnly) may not do that" in line


def test_versions_are_listed_with_their_markers(stage: Namespace, minio: Store, unique: str) -> None:
    stage.apply(bucket(unique, minio, access=access(*MODES, prefix=unique), versioning="Enabled"))
    said(stage, "wait", unique, "--timeout", "60s")
    with minio.client() as root:
        root.put_object(Bucket=unique, Key="a", Body=b"1")
        root.delete_object(Bucket=unique, Key="a")
    listed = said(stage, "bucket", "ls", unique, "--versions").splitlines()[1:]
    assert [("delete marker" in line, line.split()[-1]) for line in listed] == [(True, "a"), (False, "a")]


def test_a_store_in_the_cluster_is_reached_by_every_form_of_its_name(
    stage: Namespace, minio: Store, media: str
) -> None:
    with minio.client() as root:
        root.put_object(Bucket=media, Key="there", Body=b"")
    for number, host in enumerate((minio.name, f"{minio.name}.{stage.name}", f"{minio.host}.cluster.local")):
        other = f"{media}-{number}"
        stage.apply(
            bucket(
                other,
                minio,
                bucketName=media,
                store={"endpoint": f"http://{host}:9000", "accounts": "Shared"},
                access=[{"name": "root", "secretName": minio.name}],
            )
        )
        assert said(stage, "bucket", "ls", other).splitlines()[-1].endswith("  there")


def test_a_certificate_is_checked_against_the_name_that_pods_use(
    stage: Namespace, tls_minio: Store, unique: str
) -> None:
    checked = {"caBundleRef": {"name": tls_minio.name}}
    with tls_minio.client() as root:
        root.create_bucket(Bucket=unique)
    shared: dict[str, Any] = {"bucketName": unique, "access": [{"name": "root", "secretName": tls_minio.name}]}
    stage.apply(
        bucket(f"{unique}-well", tls_minio, store=checked, **shared),
        bucket(f"{unique}-name", tls_minio, store=checked | {"endpoint": f"https://{tls_minio.name}:9000"}, **shared),
        bucket(f"{unique}-ca", tls_minio, **shared),
    )
    assert "There is nothing" in said(stage, "bucket", "ls", f"{unique}-well")
    assert rows(said(stage, "bucket", "test", f"{unique}-well"))["root"] == ["ReadWrite", *["works"] * 4]
    assert "is not trusted: " in refused(stage, "bucket", "ls", f"{unique}-name")
    assert "spec.store.caBundleRef" in refused(stage, "bucket", "ls", f"{unique}-ca")


def test_another_address_is_taken_as_it_is(stage: Namespace, minio: Store, media: str) -> None:
    with minio.forward() as address:
        assert "There is nothing" in said(stage, "bucket", "ls", media, "--endpoint", f"http://{address}")
    line = refused(stage, "bucket", "ls", media, "--endpoint", "http://127.0.0.1:1")
    assert "nothing listens at http://127.0.0.1:1" in line


# bucket test


@pytest.mark.parametrize("versioning", ["Suspended", "Enabled"])
def test_each_access_is_tried_and_nothing_is_left(stage: Namespace, minio: Store, unique: str, versioning: str) -> None:
    stage.apply(bucket(unique, minio, access=access(*MODES, prefix=unique), versioning=versioning))
    said(stage, "wait", unique, "--timeout", "60s")
    found = rows(said(stage, "bucket", "test", unique))
    assert found["readonly"] == ["ReadOnly", "refused", "works", "works", "refused"]
    assert found["writeonly"] == ["WriteOnly", "works", "refused", "refused", "refused"]
    assert found["readwrite"] == ["ReadWrite", "works", "works", "works", "works"]
    with minio.client() as root:
        assert held(root, unique) == set()
    assert forwards(stage) == []


def test_an_access_that_may_more_than_its_mode_is_wrong(stage: Namespace, minio: Store, media: str) -> None:
    secret = minio.share(stage, f"{media}-root")
    try:
        other = f"{media}-2"
        stage.apply(
            bucket(other, minio, bucketName=media, access=[{"name": "log", "mode": "WriteOnly", "secretName": secret}])
        )
        done = landfall(stage, "bucket", "test", other)
        assert rows(done.stdout)["log"] == ["WriteOnly", "works", "WRONG", "WRONG", "WRONG"]
        assert done.returncode == 1
        assert "3 of 4 are wrong: GET with log: it works, and WriteOnly forbids it" in done.stderr
        assert keys(stage, secret)["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    finally:
        stage.kubectl("delete", "secret", secret)


def test_what_nobody_may_delete_is_named(stage: Namespace, minio: Store, unique: str) -> None:
    stage.apply(bucket(unique, minio, access=access("WriteOnly", prefix=unique), deletionPolicy="Purge"))
    said(stage, "wait", unique, "--timeout", "60s")
    done = landfall(stage, "bucket", "test", unique)
    with minio.client() as root:
        (left,) = held(root, unique)
    assert (done.returncode, left.startswith(".landfall-test/")) == (0, True)
    assert f"No access may delete {left}: it stays" in done.stderr


def test_shared_accounts_are_told_to_enforce_nothing(stage: Namespace, versitygw: Store, unique: str) -> None:
    stage.apply(bucket(unique, versitygw, access=access(*MODES, prefix=unique)))
    said(stage, "wait", unique, "--timeout", "60s")
    shown = said(stage, "bucket", "test", unique)
    assert rows(shown)["readonly"] == ["ReadOnly", *["works"] * 4]
    assert "no mode is enforced" in shown
    assert "its keys are the store's own" in refused(stage, "rotate", unique)


def test_keys_that_the_store_does_not_take_are_told_with_their_secret(
    stage: Namespace, minio: Store, media: str
) -> None:
    secret = minio.share(stage, f"{media}-wrong", AWS_ACCESS_KEY_ID="nobody-knows-it")
    try:
        other = f"{media}-2"
        stage.apply(
            bucket(
                other, minio, bucketName=media, access=[{"name": "reader", "mode": "ReadOnly", "secretName": secret}]
            )
        )
        assert f"of the Secret {secret} (InvalidAccessKeyId)" in refused(stage, "bucket", "ls", other)
        done = landfall(stage, "bucket", "test", other)
        assert (done.returncode, rows(done.stdout)["reader"][1:]) == (1, ["WRONG"] * 4)
    finally:
        stage.kubectl("delete", "secret", secret)


def test_a_store_that_is_away_is_told_in_a_line(stage: Namespace, own_minio: Store, unique: str) -> None:
    stage.apply(bucket(unique, own_minio, access=access("ReadOnly", prefix=unique)))
    said(stage, "wait", unique, "--timeout", "60s")
    own_minio.stop()
    line = refused(stage, "bucket", "test", unique)
    assert f"port-forward cannot reach service/{own_minio.name}" in line
    assert "--endpoint" in line
    assert forwards(stage) == []


def test_a_store_that_hangs_is_told_and_leaves_no_kubectl_behind(
    stage: Namespace, own_minio: Store, unique: str
) -> None:
    stage.apply(bucket(unique, own_minio, access=access("ReadOnly", prefix=unique)))
    said(stage, "wait", unique, "--timeout", "60s")
    own_minio.hang()
    try:
        assert f"{own_minio.endpoint} does not answer in time" in refused(stage, "bucket", "ls", unique)
        with start(stage, "bucket", "ls", unique) as asking:
            try:
                until(lambda: forwards(stage), seconds=30, what="kubectl forwards a port")
            finally:
                asking.terminate()
        assert asking.returncode == 128 + signal.SIGTERM
        assert forwards(stage) == []
    finally:
        own_minio.go_on()


def start(stage: Namespace, *arguments: str) -> subprocess.Popen[bytes]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.Popen(["kubectl", "landfall", *arguments, "-n", stage.name], env={**os.environ, "PATH": path})


def test_a_secret_that_is_not_there_yet_is_told_with_the_operators_words(
    stage: Namespace, minio: Store, unique: str
) -> None:
    stage.apply(bucket(unique, minio, secret=f"{unique}-missing", access=access("ReadOnly", prefix=unique)))
    stage.told(unique, "SecretMissing")
    line = refused(stage, "bucket", "ls", unique)
    assert f"has no Secret {unique}-readonly yet: SecretMissing: " in line
