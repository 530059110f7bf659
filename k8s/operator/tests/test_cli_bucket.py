"""What `kubectl landfall bucket` lists and tries, on moto's server. On MinIO: k8s/e2e/test_kubectl_bucket.py."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from landfall_operator.cli import main
from landfall_operator.cli.endpoint import service_named
from landfall_operator.cli.objects import Entry, entries, lines, printable, sized
from landfall_operator.cli.terminal import Terminal
from landfall_operator.cli.trial import VERBS, Access, Trial
from landfall_operator.s3.connection import Connection, Stores
from landfall_operator.s3.errors import StoreError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TERMINAL = Terminal(width=30, now=NOW)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture
def stores() -> Iterator[Stores]:
    made = Stores()
    yield made
    made.close()


@pytest.fixture
def connection(endpoint: str) -> Connection:
    return Connection(endpoint=endpoint, access_key="key", secret_key=uuid.uuid4().hex)


@pytest.fixture
def client(stores: Stores, connection: Connection) -> Any:
    return stores.client(connection)


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"b-{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=name)
    return name


def access(client: Any, connection: Connection, mode: str = "ReadWrite") -> Access:
    return Access(name=mode.lower(), mode=mode, secret=f"s-{mode.lower()}", connection=connection, client=client)


def keys_of(client: Any, bucket: str) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


MODES = ("ReadOnly", "ReadWrite", "WriteOnly")
RIGHTS = {
    "s3:PutObject": "ReadWrite WriteOnly",
    "s3:GetObject": "ReadWrite ReadOnly",
    "s3:ListBucket": "ReadWrite ReadOnly",
    "s3:DeleteObject": "ReadWrite",
}


@contextmanager
def enforced(endpoint: str, policies: Mapping[str, Sequence[str]]) -> Iterator[dict[str, tuple[str, str]]]:
    """Accounts that may do just these actions; until the end the server checks who asks for what."""
    given: dict[str, Any] = {
        "region_name": "us-east-1",
        "aws_access_key_id": "key",
        "aws_secret_access_key": uuid.uuid4().hex,
    }
    with closing(boto3.client("iam", endpoint_url=endpoint, **given)) as iam:
        keys = {}
        for name, actions in policies.items():
            user = f"{name}-{uuid.uuid4().hex[:6]}"
            iam.create_user(UserName=user)
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=policy)
            made = iam.create_access_key(UserName=user)["AccessKey"]
            keys[name] = made["AccessKeyId"], made["SecretAccessKey"]
    check_after(endpoint, "0")
    try:
        yield keys
    finally:
        check_after(endpoint, "inf")


def check_after(endpoint: str, requests: str) -> None:
    """From how many requests on it checks them."""
    text = {"Content-Type": "text/plain"}  # of a form moto sees nothing
    request = Request(f"{endpoint}/moto-api/reset-auth", data=requests.encode(), headers=text, method="POST")
    with urlopen(request) as answer:
        assert answer.status == 200


def restricted(stores: Stores, endpoint: str, mode: str, keys: tuple[str, str]) -> Access:
    connection = Connection(endpoint=endpoint, access_key=keys[0], secret_key=keys[1])
    return access(stores.client(connection), connection, mode)


# ls


def test_folders_are_closed_unless_asked_for_recursively(client: Any, bucket: str) -> None:
    for key in ("a/1", "a/2", "b", "c/d/3"):
        client.put_object(Bucket=bucket, Key=key, Body=b"xyz")
    found, more = entries(client, bucket, "", recursive=False, versions=False, limit=10)
    assert ([entry.key for entry in found], more) == (["a/", "b", "c/"], False)
    assert [entry.size for entry in found] == [None, 3, None]
    found, _ = entries(client, bucket, "c/", recursive=True, versions=False, limit=10)
    assert [entry.key for entry in found] == ["c/d/3"]


@pytest.mark.parametrize(("limit", "more"), [(1, True), (2, True), (3, False)])
def test_a_list_ends_at_its_limit_and_tells_of_more(client: Any, bucket: str, *, limit: int, more: bool) -> None:
    for key in ("1", "2", "3"):
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    found = entries(client, bucket, "", recursive=True, versions=False, limit=limit)
    assert (len(found[0]), found[1]) == (limit, more)


def test_versions_come_newest_first_with_the_markers_of_deletions(client: Any, bucket: str) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=bucket, Key="a", Body=b"1")
    client.put_object(Bucket=bucket, Key="a", Body=b"22")
    client.delete_object(Bucket=bucket, Key="a")
    found, _ = entries(client, bucket, "", recursive=True, versions=True, limit=10)
    assert [(entry.size, entry.latest, entry.deleted) for entry in found] == [
        (None, True, True),
        (2, False, False),
        (1, False, False),
    ]
    assert "latest, delete marker" in lines(found, TERMINAL, versions=True)[1]


def test_keys_stand_whole_at_the_end_of_their_line() -> None:
    key = "a  b/" + "long" * 30
    shown = lines([Entry(key=key, size=2048, at=NOW), Entry(key="folder/")], TERMINAL, versions=False)
    assert [line.split()[:3] for line in (shown[0], shown[2])] == [["SIZE", "AGE", "KEY"], ["-", "-", "folder/"]]
    assert shown[1] == f"2.0 KiB  0s   {key}"


def test_a_key_cannot_act_on_the_terminal() -> None:
    assert printable("a\x1b[31m\nb ü") == "a\\x1b[31m\\nb ü"


@pytest.mark.parametrize(
    ("count", "words"), [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024**3, "3.0 GiB")]
)
def test_sizes_are_in_the_unit_that_fits(count: int | None, words: str) -> None:
    assert sized(count) == words


# test


def tried(accesses: Sequence[Access], bucket: str, *, enforced: bool) -> tuple[Trial, list[list[str]]]:
    trial = Trial(bucket=bucket, enforced=enforced)
    trial.run(accesses)
    words = [[trial.outcome(one, verb).word for verb in VERBS] for one in accesses]
    trial.clean(accesses)
    return trial, words


@pytest.mark.parametrize("versioned", [False, True])
def test_a_trial_leaves_nothing_behind(client: Any, connection: Connection, bucket: str, *, versioned: bool) -> None:
    if versioned:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=bucket, Key="mine", Body=b"")
    both = [access(client, connection), access(client, connection, "WriteOnly")]
    trial, words = tried(both, bucket, enforced=False)
    assert words == [["works"] * 4] * 2
    assert trial.left == []
    found, _ = entries(client, bucket, "", recursive=True, versions=True, limit=10)
    assert [entry.key for entry in found] == ["mine"]


def test_what_a_mode_forbids_and_the_store_lets_through_is_wrong(
    client: Any, connection: Connection, bucket: str
) -> None:
    modes = [access(client, connection, mode) for mode in MODES]
    _, words = tried(modes, bucket, enforced=True)
    assert words == [
        ["WRONG", "works", "works", "WRONG"],
        ["works", "works", "works", "works"],
        ["works", "WRONG", "WRONG", "WRONG"],
    ]


def test_what_a_mode_forbids_is_refused(stores: Stores, endpoint: str, bucket: str) -> None:
    policies = {mode: [right for right, modes in RIGHTS.items() if mode in modes.split()] for mode in MODES}
    with enforced(endpoint, policies) as keys:
        modes = [restricted(stores, endpoint, mode, keys[mode]) for mode in MODES]
        trial, words = tried(modes, bucket, enforced=True)
    assert words == [
        ["refused", "works", "works", "refused"],
        ["works", "works", "works", "works"],
        ["works", "refused", "refused", "refused"],
    ]
    assert trial.left == []


def test_what_nobody_may_delete_is_told(stores: Stores, endpoint: str, client: Any, bucket: str) -> None:
    with enforced(endpoint, {"WriteOnly": ["s3:PutObject"]}) as keys:
        trial, words = tried([restricted(stores, endpoint, "WriteOnly", keys["WriteOnly"])], bucket, enforced=True)
    assert words == [["works", "refused", "refused", "refused"]]
    assert [key for key, _ in trial.left] == keys_of(client, bucket) == [f"{trial.folder}/writeonly"]


def test_what_a_mode_allows_and_the_store_refuses_is_wrong(stores: Stores, endpoint: str, bucket: str) -> None:
    with enforced(endpoint, {"ReadWrite": ["s3:PutObject", "s3:DeleteObject"]}) as keys:
        _, words = tried([restricted(stores, endpoint, "ReadWrite", keys["ReadWrite"])], bucket, enforced=True)
    assert words == [["works", "WRONG", "WRONG", "works"]]


def test_an_access_alone_that_may_only_read_is_not_blamed_for_finding_nothing(
    stores: Stores, endpoint: str, bucket: str
) -> None:
    with enforced(endpoint, {"ReadOnly": ["s3:GetObject", "s3:ListBucket"]}) as keys:
        _, words = tried([restricted(stores, endpoint, "ReadOnly", keys["ReadOnly"])], bucket, enforced=True)
    assert words == [["refused", "works", "works", "refused"]]


def test_keys_that_the_store_does_not_know_are_wrong_in_every_mode(stores: Stores, endpoint: str, bucket: str) -> None:
    with enforced(endpoint, {}):
        modes = [restricted(stores, endpoint, mode, ("AKIAUNKNOWN", uuid.uuid4().hex)) for mode in MODES]
        trial, words = tried(modes, bucket, enforced=True)
    assert words == [["WRONG"] * 4] * 3
    assert "keys of the Secret s-readonly" in trial.outcome(modes[0], "PUT").why


def test_a_store_that_does_not_answer_says_nothing_of_an_access(stores: Stores) -> None:
    nowhere = Connection(endpoint="http://127.0.0.1:1", access_key="key", secret_key=uuid.uuid4().hex)
    with pytest.raises(StoreError, match="nothing listens"):
        Trial(bucket="b", enforced=True).run([access(stores.client(nowhere), nowhere)])


# The way to the store


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("minio", ("minio", "shop")),
        ("minio.store", ("minio", "store")),
        ("minio.store.svc", ("minio", "store")),
        ("minio.store.svc.cluster.local", ("minio", "store")),
        ("localhost", None),
        ("10.0.0.1", None),
        ("::1", None),
        ("s3.eu-central-1.amazonaws.com", None),
    ],
)
def test_names_that_only_pods_know_are_taken_for_services(host: str, service: tuple[str, str] | None) -> None:
    assert service_named(host, namespace="shop") == service


@pytest.mark.parametrize(
    "arguments",
    [
        ["bucket"],
        ["bucket", "ls"],
        ["bucket", "frob", "media"],
        ["bucket", "ls", "media", "--limit", "0"],
        ["bucket", "test", "media", "--endpoint", "minio:9000"],
        ["rotate"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
