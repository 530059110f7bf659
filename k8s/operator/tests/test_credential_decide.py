"""What is written into a Credential's Secret, and when nothing is, but a remedy told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from landfall_operator.conditions import Verdict
from landfall_operator.credential_reconciler import Step, decide
from landfall_operator.kube import Secret
from landfall_operator.resource import Credential

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROTATE = "landfall.dev/rotate"
OWNER = "landfall.dev/owner"
MADE: dict[str, Any] = {"generate": {"length": 32, "alphabet": "Alphanumeric"}}
KEYS: dict[str, Any] = {"password": MADE, "user": {"value": "api"}}
TEMPLATES = {"URL": "postgresql://{{user}}:{{password}}@pg/api"}
SOMEBODYS = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "9"}


def credential(
    *, uid: str = "c1", annotations: dict[str, str] | None = None, status: dict[str, Any] | None = None, **spec: Any
) -> Credential:
    base = {"secretName": "db", "values": KEYS, "templates": TEMPLATES, "deletionPolicy": "Retain", "onLoss": "Fail"}
    metadata = {"namespace": "shop", "name": "db", "uid": uid, "generation": 1, "annotations": annotations or {}}
    return Credential(body={"metadata": metadata, "spec": base | spec, "status": status or {}})


def secret(data: dict[str, str], **annotations: str) -> Secret:
    return Secret(
        namespace="shop",
        name="db",
        uid="s1",
        version="1",
        annotations=annotations,
        owner_references=(),
        data=data,
    )


def step(of: Credential, held: Secret | None) -> Step:
    decided = decide(of, held, now=NOW)
    assert isinstance(decided, Step), decided
    return decided


def stall(of: Credential, held: Secret | None, **more: Any) -> Verdict:
    decided = decide(of, held, now=NOW, **more)
    assert isinstance(decided, Verdict)
    assert decided.kind == "stalled"
    return decided


def after(of: Credential, held: Secret | None = None) -> Secret:
    """The Secret once the step was written."""
    made = step(of, held)
    held = held or secret({}, **{OWNER: "Credential/db"})
    data = {key: value for key, value in {**held.data, **made.data}.items() if value is not None}
    references = held.owner_references if made.references is None else tuple(made.references)
    return replace(held, data=data, annotations={**held.annotations, **made.annotations}, owner_references=references)


def known(held: Secret, **fields: Any) -> dict[str, Any]:
    """The status that goes with the Secret."""
    return {"secretUid": held.uid, "keys": sorted(held.data), **fields}


def nothing(made: Step) -> bool:
    return not made.data and not made.annotations and made.references is None


def test_what_was_written_is_not_written_again() -> None:
    for of in (credential(), credential(deletionPolicy="Delete"), credential(annotations={ROTATE: "1"})):
        assert nothing(step(of, after(of)))


def test_a_new_credential_of_the_same_name_takes_the_secret_up_as_it_is() -> None:
    held = after(credential())
    again = step(credential(uid="c2"), held)
    assert nothing(again)
    assert again.fields["keys"] == ["URL", "password", "user"]


def test_a_secret_that_somebody_else_made_is_not_touched() -> None:
    for owner in ({}, {OWNER: "Credential/other"}, {OWNER: "Bucket/db"}):
        verdict = stall(credential(onLoss="Regenerate"), secret({"password": "theirs"}, **owner))
        assert verdict.reason == "SecretForeign"
        assert "another secretName" in verdict.message
        hand_over = "kubectl annotate --overwrite secret db -n shop landfall.dev/owner=Credential/db"
        assert verdict.message.endswith(hand_over)
        assert "theirs" not in verdict.message


def test_a_secret_that_was_handed_over_keeps_its_values() -> None:
    held = secret({"password": "theirs", "more": "kept"}, **{OWNER: "Credential/db"})
    made = step(credential(annotations={ROTATE: "1"}), held)
    assert made.data == {"URL": "postgresql://api:theirs@pg/api", "user": "api"}
    assert made.annotations["landfall.dev/rotated-for"] == "1"
    assert made.event is None


@pytest.mark.parametrize("values", [KEYS, KEYS | {"new": MADE}, {"another": MADE}])
def test_a_secret_that_is_gone_is_an_error_with_its_remedy(values: dict[str, Any]) -> None:
    held = after(credential())
    verdict = stall(credential(status=known(held), values=values, templates={}), None)
    assert verdict.reason == "SecretLost"
    for words in ("is gone", "backup", "landfall.dev/owner=Credential/db", "spec.onLoss: Regenerate"):
        assert words in verdict.message


def test_a_secret_that_is_gone_is_made_anew_where_the_spec_says_so_and_told() -> None:
    held = after(credential())
    made = step(credential(status=known(held), onLoss="Regenerate", annotations={ROTATE: "1"}), None)
    assert made.data["password"] != held.data["password"]
    assert made.event
    assert (made.event.kind, made.event.reason) == ("stalled", "Regenerated")
    assert made.annotations["landfall.dev/rotated-for"] == "1"


def test_a_secret_that_is_gone_and_had_nothing_generated_is_made_again() -> None:
    values = {"user": {"value": "api"}}
    held = after(credential(values=values, templates={}))
    assert step(credential(status=known(held), values=values, templates={}), None).data == {"user": "api"}


def test_a_restored_secret_is_taken_up_with_its_new_uid() -> None:
    held = after(credential())
    status = known(held)
    assert nothing(step(credential(status=status), replace(held, uid="s2")))
    bare = replace(held, uid="s2", annotations={OWNER: "Credential/db"})
    assert step(credential(status=status), bare).data == {}


@pytest.mark.parametrize("bare", [True, False])
def test_a_generated_key_that_is_gone_is_a_loss_too(*, bare: bool) -> None:
    held = after(credential())
    status = known(held)
    rest = {key: value for key, value in held.data.items() if key != "password"}
    less = replace(held, data=rest, annotations={OWNER: "Credential/db"} if bare else held.annotations)
    verdict = stall(credential(status=status), less)
    assert (verdict.reason, "lost the generated password" in verdict.message) == ("SecretLost", True)
    made = step(credential(status=status, onLoss="Regenerate"), less)
    assert made.data.keys() == {"URL", "password"}
    assert made.event
    assert made.event.reason == "Regenerated"


def test_a_rotation_is_done_once_and_recorded_on_the_secret() -> None:
    first = after(credential())
    wish = credential(annotations={ROTATE: "1"})
    made, second = step(wish, first), after(wish, first)
    assert second.data["password.previous"] == first.data["password"] != second.data["password"]
    assert second.data["password"] in second.data["URL"]
    assert (made.fields["rotatedFor"], made.fields["rotatedAt"]) == ("1", "2026-11-21T12:00:00Z")
    assert made.event
    assert (made.event.kind, made.event.reason) == ("ready", "Rotated")
    assert nothing(step(wish, second))  # the status was lost with a crash in between
    assert nothing(step(credential(), second))  # the wish was taken away


def test_an_annotation_that_was_there_from_the_first_is_no_wish() -> None:
    wish = credential(annotations={ROTATE: "1"})
    held = after(wish)
    assert "password.previous" not in held.data
    assert step(wish, held).fields["rotatedFor"] == "1"
    assert step(wish, held).fields["rotatedAt"] is None


def test_a_restored_secret_from_before_a_rotation_is_not_rotated_again() -> None:
    before = after(credential())
    wish = credential(annotations={ROTATE: "1"}, status=known(before, rotatedFor="1"))
    made = step(wish, before)
    assert (made.data, made.event) == ({}, None)
    assert made.annotations == {"landfall.dev/rotated-for": "1"}


def test_a_template_that_cannot_be_filled_in_changes_nothing() -> None:
    wrong = {"URL": "postgresql://{{password}}@{{nobody}}/"}
    for of in (credential(templates=wrong), credential(templates=wrong, annotations={ROTATE: "1"})):
        verdict = stall(of, after(credential()))
        assert verdict.reason == "TemplateInvalid"
        assert "spec.templates.URL" in verdict.message
        assert "'nobody'" in verdict.message


def test_the_policy_sets_and_removes_the_reference_and_leaves_those_of_others() -> None:
    mine = credential(deletionPolicy="Delete")
    theirs = replace(after(credential()), owner_references=(SOMEBODYS,))
    deletes = after(mine, theirs)
    assert [owner["uid"] for owner in deletes.owner_references] == ["9", "c1"]
    assert step(credential(), deletes).references == [SOMEBODYS]
    successor = step(credential(uid="c2", deletionPolicy="Delete"), deletes)
    assert [owner["uid"] for owner in successor.references or []] == ["9", "c2"]


def test_generated_keys_that_the_spec_drops_are_told() -> None:
    held = after(credential(values=KEYS | {"old": MADE}))
    made = step(credential(), held)
    assert made.fields["unlistedKeys"] == ["old"]
    assert "kept: old" in made.verdict.message


def test_an_older_crd_stalls_what_is_not_ready_and_leaves_the_rest() -> None:
    verdict = stall(credential(), None, lacking=["spec.onLoss"])
    assert (verdict.reason, "spec.onLoss" in verdict.message) == ("CustomResourceDefinitionOutdated", True)
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "Fine.", "observedGeneration": 1}
    decided = decide(credential(status={"conditions": [ready]}), None, now=NOW, lacking=["spec.onLoss"])
    assert decided == Verdict(kind="ready", reason="Ready", message="Fine.")


def test_no_value_is_in_a_step_s_repr() -> None:
    made = step(credential(), None)
    assert str(made.data["password"]) not in repr(made)
