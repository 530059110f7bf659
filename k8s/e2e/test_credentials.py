"""Credentials: what was generated stays, through everything, unless somebody asks for new values."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from cluster import ROOT, ClusterError, Namespace, condition, migration, until
from credentials import (
    KIND,
    MADE,
    OWNER,
    ROTATE,
    change,
    credential,
    digest,
    encoded,
    hashes,
    held,
    ready,
    retried,
    rotated,
    told,
    versions,
)
from life import OPERATOR, Killer, sample, scrape, wait_until_up
from servers import Server

REAPPLIES = 50
MANY = 30
ROTATIONS = 5
HAND_OVER = "kubectl annotate --overwrite secret "
URL = "postgresql://{{user}}:{{ password }}@{{host}}/{{database}}"


def reinstall(stage: Namespace, body: dict[str, Any], image: str) -> None:
    """Uninstall the Credential and the operator, and install both anew: only the Secret stays."""
    text = (ROOT / "k8s/operator/install.yaml").read_text().replace("landfall-operator:dev", image)
    stage.kubectl("delete", KIND, body["metadata"]["name"], "--timeout=20s")
    stage.kubectl("delete", "-f", "-", "--timeout=60s", text=text)
    stage.kubectl("apply", "--server-side", "-f", "-", text=text)
    stage.apply(body)
    wait_until_up(stage)


def logs_in(server: Server, url: str) -> str:
    """Who a URL logs in as, over the network."""
    command = ("exec", f"deploy/{server.name}", "--", "psql", url, "-qAtc", "SELECT current_user")
    return server.stage.kubectl(*command).strip()


def test_a_generated_password_outlives_applies_restarts_and_a_reinstall_and_still_logs_in(
    own_stage: Namespace, server: Server, operator_image: str, app_image: str
) -> None:
    database = server.create(1, namespace=own_stage)[0]
    role = f"{database.name}-role"
    values = {"password": {"generate": {"alphabet": "Symbols", "length": 40}}, "user": {"value": role}}
    values |= {"host": {"value": server.host}, "database": {"value": database.name}}
    spec: dict[str, Any] = {"values": values, "templates": {"DATABASE_URL": URL}}
    own_stage.apply(credential("db", **spec))
    ready(own_stage, "db")
    password, before = held(own_stage, "db")["password"], hashes(own_stage, "db")
    server.sql(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{password}'")
    server.sql(f'ALTER DATABASE "{database.name}" OWNER TO "{role}"')
    own_stage.apply(migration("api", case="plain", image=app_image, secret="db"))
    own_stage.told("api", "UpToDate", kind="migration")
    written = versions(own_stage, "db")[1:]

    for count in range(REAPPLIES):
        values["password"] = {"generate": {"alphabet": "Hex", "length": 16 + count}}
        own_stage.apply(credential("db", labels={"count": str(count)}, **spec))
    ready(own_stage, "db")
    assert (hashes(own_stage, "db"), versions(own_stage, "db")[1:]) == (before, written)

    killer = Killer(own_stage)
    killer.prepare()
    killer.strike()
    killer.strike()
    wait_until_up(own_stage)
    retried(own_stage, "db", "Ready")
    assert (hashes(own_stage, "db"), versions(own_stage, "db")[1:]) == (before, written)

    reinstall(own_stage, credential("db", **spec), operator_image)
    assert ready(own_stage, "db")["status"]["secretUid"] == written[0][0]
    assert (hashes(own_stage, "db"), versions(own_stage, "db")[1]) == (before, written[0])

    assert logs_in(server, held(own_stage, "db")["DATABASE_URL"]) == role
    with pytest.raises(ClusterError, match="password authentication failed"):
        logs_in(server, held(own_stage, "db")["DATABASE_URL"].replace(quote(password, safe=""), "wrong"))


def passwords(stage: Namespace) -> dict[str, tuple[str, str]]:
    """Hashes of each Secret's password and of the one before."""
    found = {body["metadata"]["name"]: body.get("data") or {} for body in stage.list("secret")}
    keys = ("password", "password.previous")
    return {name: (digest(data.get(keys[0], "")), digest(data.get(keys[1], ""))) for name, data in found.items()}


def kill_amid(stage: Namespace, killer: Killer, *command: str, text: str | None = None) -> dict[str, tuple[str, str]]:
    """Kill the operator while it is given work; what was done by then."""
    wait_until_up(stage)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(stage.kubectl, *command, text=text)
        killer.strike()
        done = passwords(stage)
        begun.result()
    return done


def test_a_killed_operator_makes_and_rotates_each_value_once(own_stage: Namespace) -> None:
    killer, counts = Killer(own_stage), []
    killer.prepare()
    items = [credential(f"c-{number:02}", values={"password": MADE}) for number in range(MANY)]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    done = kill_amid(own_stage, killer, "apply", "--server-side", "-f", "-", text=text)
    bodies = own_stage.all_settled("c-", kind=KIND, seconds=60)
    assert {condition(body, "Ready")["status"] for body in bodies.values()} == {"True"}
    before = passwords(own_stage)
    assert {name: before[name] for name in done} == done
    counts.append(len(done))
    for wish in map(str, range(ROTATIONS)):
        done = kill_amid(own_stage, killer, "annotate", "--overwrite", KIND, "--all", f"{ROTATE}={wish}")
        counts.append(sum(done[name] != before[name] for name in before))
        wait_until_up(own_stage)
        until(lambda: all_rotated_for(own_stage, wish), seconds=60, what="all are rotated")  # noqa: B023
        after = passwords(own_stage)
        assert {name: last for name, (_, last) in after.items()} == {name: p for name, (p, _) in before.items()}
        before = after
    assert any(0 < count < MANY for count in counts), f"no kill met the operator at work: {counts}"


def all_rotated_for(stage: Namespace, wish: str) -> bool:
    return {body["status"].get("rotatedFor") for body in stage.list(KIND)} == {wish}


def test_a_restart_at_rest_writes_nothing(own_stage: Namespace) -> None:
    own_stage.apply(credential("one"), credential("two", deletionPolicy="Delete", templates={"t": "<{{user}}>"}))
    before = {name: (ready(own_stage, name), versions(own_stage, name))[1] for name in ("one", "two")}
    own_stage.kubectl("rollout", "restart", OPERATOR)
    wait_until_up(own_stage)
    looked = "landfall_reconcile_seconds_count"
    until(
        lambda: (sample(scrape(own_stage), looked, kind="Credential") or 0) >= 2 * len(before),
        seconds=30,
        what="the new operator has looked at both",
    )
    assert {name: versions(own_stage, name) for name in before} == before


def test_applying_the_same_thing_thrice_changes_nothing(stage: Namespace, unique: str) -> None:
    body = credential(unique, templates={"URL": "redis://:{{password}}@{{user}}"})
    stage.apply(body)
    ready(stage, unique)
    before = versions(stage, unique)
    for _ in range(3):
        stage.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(body))
    retried(stage, unique, "Ready")
    assert versions(stage, unique)[1:] == before[1:]


def test_a_deleted_secret_is_an_error_and_no_new_password_unless_asked_for(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique))
    ready(stage, unique)
    before = hashes(stage, unique)
    stage.kubectl("delete", "secret", unique)
    body = stage.told(unique, "SecretLost", kind=KIND, seconds=20)
    for words in (f"The Secret {unique} is gone", "password", "backup", "spec.onLoss: Regenerate"):
        assert words in condition(body, "Ready")["message"]
    assert condition(body, "Stalled")["status"] == "True"
    retried(stage, unique, "SecretLost")
    assert stage.kubectl("get", "secret", unique, "--ignore-not-found") == ""

    change(stage, KIND, unique, {"spec": {"onLoss": "Regenerate"}})
    ready(stage, unique)
    assert hashes(stage, unique)["password"] != before["password"]
    assert [reason for _, reason in told(stage, unique)].count("Regenerated") == 1
    stage.kubectl("delete", "secret", unique)
    until(lambda: stage.kubectl("get", "secret", unique, "--ignore-not-found"), seconds=20, what="it is made again")
    until(lambda: told(stage, unique).count(("Warning", "Regenerated")) == 2, seconds=10, what="that is told, too")


def test_a_secret_restored_from_a_backup_is_taken_up(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique))
    ready(stage, unique)
    before, backup = hashes(stage, unique), stage.get("secret", unique)
    for count in range(2):
        stage.kubectl("delete", "secret", unique)
        stage.told(unique, "SecretLost", kind=KIND, seconds=20)
        # Once as the backup has it, once with no more than the message asks for.
        marks = backup["metadata"]["annotations"] if count == 0 else {OWNER: f"Credential/{unique}"}
        stage.apply({**backup, "metadata": {"name": unique, "annotations": marks}})
        retried(stage, unique, "Ready")
        assert hashes(stage, unique) == before


def test_a_generated_key_that_somebody_removes_is_missed_by_name(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique, values={"one": MADE, "two": MADE}))
    ready(stage, unique)
    before = held(stage, unique)
    change(stage, "secret", unique, {"data": {"two": None}})
    message = condition(retried(stage, unique, "SecretLost"), "Ready")["message"]
    assert f"The Secret {unique} has lost the generated two." in message
    change(stage, "secret", unique, {"data": {"two": encoded(before["two"])}})
    retried(stage, unique, "Ready")
    assert held(stage, unique).keys() == before.keys()


def test_a_secret_that_somebody_else_made_is_left_alone_until_it_is_handed_over(stage: Namespace, unique: str) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": unique},
        "data": {"password": encoded("theirs")},
    }
    stage.apply(theirs)
    before = stage.get("secret", unique)
    stage.apply(credential(unique, deletionPolicy="Delete", onLoss="Regenerate", templates={"copy": "<{{password}}>"}))
    message = condition(stage.told(unique, "SecretForeign", kind=KIND, seconds=20), "Ready")["message"]
    rotating = {"metadata": {"annotations": {ROTATE: "1"}}}
    change(stage, KIND, unique, rotating)
    retried(stage, unique, "SecretForeign")
    assert stage.get("secret", unique) == before

    _, _, rest = message.partition(HAND_OVER)
    assert rest
    stage.kubectl("annotate", "--overwrite", "secret", *rest.split())
    retried(stage, unique, "Ready")
    assert held(stage, unique) == {"password": "theirs", "copy": "<theirs>", "user": "api"}


def test_two_credentials_of_one_secret_name_do_not_share_it(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique))
    ready(stage, unique)
    before = stage.get("secret", unique)
    other = credential(f"{unique}-2", onLoss="Regenerate")
    other["spec"]["secretName"] = unique
    stage.apply(other)
    message = condition(stage.told(f"{unique}-2", "SecretForeign", kind=KIND), "Ready")["message"]
    assert f"belongs to Credential/{unique}" in message
    assert stage.get("secret", unique) == before
    stage.kubectl("delete", KIND, f"{unique}-2")
    ready(stage, unique)


def test_a_rotation_keeps_the_last_values_and_is_done_once(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique, templates={"URL": "redis://:{{password}}@{{user}}"}))
    ready(stage, unique)
    first = hashes(stage, unique)
    body = rotated(stage, unique, "monday")
    second = hashes(stage, unique)
    assert second["password.previous"] == first["password"] != second["password"]
    assert second["URL"] != first["URL"]
    assert second["user"] == first["user"]
    assert "rotatedAt" in body["status"]
    assert ("Normal", "Rotated") in told(stage, unique)
    retried(stage, unique, "Ready")
    assert hashes(stage, unique) == second
    stage.kubectl("annotate", KIND, unique, f"{ROTATE}-")
    retried(stage, unique, "Ready")
    assert hashes(stage, unique) == second

    rotated(stage, unique, "tuesday")
    third = hashes(stage, unique)
    assert third["password.previous"] == second["password"] != third["password"]
    stage.kubectl("delete", KIND, unique)
    stage.apply(credential(unique))
    assert ready(stage, unique)["status"]["rotatedFor"] == "tuesday"
    assert hashes(stage, unique)["password"] == third["password"]


@pytest.mark.parametrize(("first", "last", "stays"), [("Retain", "Delete", False), ("Delete", "Retain", True)])
def test_the_last_deletion_policy_counts(stage: Namespace, unique: str, first: str, last: str, *, stays: bool) -> None:
    stage.apply(credential(unique, deletionPolicy=first))
    before = (ready(stage, unique), hashes(stage, unique))[1]
    change(stage, KIND, unique, {"spec": {"deletionPolicy": last}})
    body = ready(stage, unique)
    assert "finalizers" not in body["metadata"]
    stage.kubectl("delete", KIND, unique, "--timeout=20s")
    if stays:
        stage.apply(credential(unique))
        ready(stage, unique)
        assert hashes(stage, unique) == before
    else:
        names = (f"secret/{unique}", f"configmap/{unique}-landfall-watch")
        until(lambda: not stage.kubectl("get", *names, "--ignore-not-found"), seconds=30, what="the Secret goes")


def test_one_that_is_deleted_with_its_secret_and_made_again_at_once_is_ready(stage: Namespace, unique: str) -> None:
    """The Secret of the new one is not taken for the old one's by the garbage collector."""
    beside = [f"{unique}-{number}" for number in range(5)]
    for name in beside:
        stage.apply(credential(unique, deletionPolicy="Delete"))
        uid = ready(stage, unique)["metadata"]["uid"]
        owner = {"apiVersion": "landfall.dev/v1alpha1", "kind": "Credential", "name": unique, "uid": uid}
        stage.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": [owner]}})
        stage.kubectl("delete", KIND, unique)
        stage.apply(credential(unique, deletionPolicy="Delete"))
        assert ready(stage, unique)["metadata"]["uid"] != uid
    left = ("get", "configmap", *beside, "--ignore-not-found")
    until(lambda: not stage.kubectl(*left), seconds=30, what="the garbage collector is through with the old ones")
    body = retried(stage, unique, "Ready")
    assert stage.get("secret", unique)["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]


def test_what_people_set_by_hand_stays_where_it_was_generated_and_is_mended_elsewhere(
    stage: Namespace, unique: str
) -> None:
    stage.apply(credential(unique, templates={"URL": "redis://:{{password}}@{{user}}"}))
    ready(stage, unique)
    edited = {"password": "by/hand", "user": "wrong", "URL": "wrong", "more": "theirs"}
    change(stage, "secret", unique, {"data": {key: encoded(text) for key, text in edited.items()}})
    retried(stage, unique, "Ready")
    assert held(stage, unique) == {
        "password": "by/hand",
        "user": "api",
        "URL": "redis://:by%2Fhand@api",
        "more": "theirs",
    }


def test_keys_come_and_go_with_the_spec_but_for_generated_ones(stage: Namespace, unique: str) -> None:
    stage.apply(
        credential(unique, values={"one": MADE, "two": MADE, "given": {"value": "1"}}, templates={"t": "{{one}}"})
    )
    ready(stage, unique)
    before = hashes(stage, unique)
    stage.apply(credential(unique, values={"one": MADE, "three": MADE}))
    body = stage.settled(unique, kind=KIND)
    after = hashes(stage, unique)
    assert after.keys() == {"one", "two", "three"}
    assert (after["one"], after["two"]) == (before["one"], before["two"])
    assert body["status"]["unlistedKeys"] == ["two"]
    assert body["status"]["keys"] == ["one", "three", "two"]


def test_a_template_that_names_nothing_is_told_and_changes_nothing(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique))
    ready(stage, unique)
    before = versions(stage, unique)[1:]
    stage.apply(credential(unique, templates={"URL": "redis://:{{pasword}}@{{user}}"}))
    body = stage.told(unique, "TemplateInvalid", kind=KIND, seconds=20)
    assert "spec.templates.URL names 'pasword'" in condition(body, "Ready")["message"]
    assert versions(stage, unique)[1:] == before
    stage.apply(credential(unique, templates={"URL": "redis://:{{password}}@{{user}}"}))
    ready(stage, unique)


def test_a_secret_that_may_not_be_written_is_told_without_its_values(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique, values={"password": MADE, "given": {"value": "seeded-value"}}))
    ready(stage, unique)
    change(stage, "secret", unique, {"immutable": True})
    stage.apply(credential(unique, values={"password": MADE, "given": {"value": "other-seeded-value"}}))
    message = condition(stage.told(unique, "SecretRefused", kind=KIND, seconds=20), "Ready")["message"]
    assert f"The Secret {unique} could not be written" in message
    assert "422" in message
    shown = stage.kubectl("logs", OPERATOR) + json.dumps([stage.get(KIND, unique)["status"], *stage.list("event")])
    assert "seeded-value" not in shown + message


def test_no_value_is_in_the_log_the_status_or_an_event(stage: Namespace, unique: str) -> None:
    values = {"password": {"generate": {"alphabet": "Symbols"}}, "key": MADE}
    stage.apply(credential(unique, values=values, templates={"URL": "redis://:{{password}}@host/{{key}}"}))
    ready(stage, unique)
    seen = set(held(stage, unique).values())
    rotated(stage, unique, "1")
    seen |= set(held(stage, unique).values())
    stage.kubectl("delete", "secret", unique)
    stage.told(unique, "SecretLost", kind=KIND, seconds=20)
    shown = stage.kubectl("logs", OPERATOR) + json.dumps([stage.get(KIND, unique), *stage.list("event,configmap")])
    spellings = {form for value in seen for form in (value, quote(value, safe=""), encoded(value))}
    assert sum(spelling in shown for spelling in spellings) == 0


def test_the_metric_tells_whether_it_is_ready_and_goes_with_it(stage: Namespace, unique: str) -> None:
    def value() -> float | None:
        return sample(scrape(stage), "landfall_credential_ready", namespace=stage.name, name=unique)

    stage.apply(credential(unique))
    ready(stage, unique)
    assert value() == 1
    stage.kubectl("delete", "secret", unique)
    stage.told(unique, "SecretLost", kind=KIND, seconds=20)
    assert value() == 0
    stage.kubectl("delete", KIND, unique)
    until(lambda: value() is None, seconds=10, what="its metric goes")
