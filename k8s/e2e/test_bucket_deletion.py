"""Deleting a Bucket: what becomes of the bucket, its accounts and Secrets; nothing hangs, and nothing foreign goes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cluster import Namespace, condition, until
from conftest import installed
from stores import Program, Store, access, bucket, bucket_names, held, users

PROGRAMS: tuple[Program, ...] = ("minio", "versitygw")
POLICIES = ("Retain", "Delete", "Purge")
STATES = ("empty", "full", "versioned", "adopted", "foreign")
AWAY = ("away", "refused")  # the store does not answer; it does not take the keys
REMEDIES = ("emptied", "purged", "retained")  # of a Bucket that says that it is not empty
OBJECT = "kept/by-somebody.txt"
GONE_SECONDS = 60
FINALIZER = "landfall.dev/finalizer"
LET_GO = "set spec.deletionPolicy to Retain"
REMEDY = {
    "BucketNotEmpty": "Empty it, or set spec.deletionPolicy to Purge",
    "StoreUnreachable": "Is the store up",
    "WrongKeys": "Correct the Secret of spec.store.credentialsSecretRef",
}

Cell = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Left:
    """What there is after a deletion: the Bucket with a reason, the bucket, objects in it, the Secret, the account."""

    reason: str = ""
    bucket: bool = False
    objects: bool = False
    secret: bool = False
    account: bool = False


NOTHING = Left()
FOREIGN = Left(bucket=True, objects=True)
KEPT = Left(bucket=True, objects=True, secret=True, account=True)
REFUSED = Left(reason="BucketNotEmpty", bucket=True, objects=True, secret=True, account=True)
KEPT_EMPTY = Left(bucket=True, secret=True, account=True)
OUTCOMES: dict[Cell, Left] = {
    ("empty", "Retain"): KEPT_EMPTY,
    ("empty", "Delete"): NOTHING,
    ("empty", "Purge"): NOTHING,
    ("full", "Retain"): KEPT,
    ("full", "Delete"): REFUSED,
    ("full", "Purge"): NOTHING,
    ("versioned", "Retain"): KEPT,
    ("versioned", "Delete"): REFUSED,
    ("versioned", "Purge"): NOTHING,
    ("adopted", "Retain"): KEPT,
    ("adopted", "Delete"): REFUSED,
    ("adopted", "Purge"): NOTHING,
    ("foreign", "Retain"): FOREIGN,
    ("foreign", "Delete"): FOREIGN,
    ("foreign", "Purge"): FOREIGN,
    ("away", "Retain"): KEPT_EMPTY,
    ("away", "Delete"): NOTHING,
    ("away", "Purge"): NOTHING,
    ("refused", "Retain"): KEPT_EMPTY,
    ("refused", "Delete"): NOTHING,
    ("refused", "Purge"): NOTHING,
    ("emptied", "Delete"): NOTHING,
    ("purged", "Delete"): NOTHING,
    ("retained", "Delete"): KEPT,
}
# Before the store is back or the remedy is taken; a Retain is gone by then.
MEANWHILE: dict[Cell, str] = {
    ("away", "Retain"): "",
    ("away", "Delete"): "StoreUnreachable",
    ("away", "Purge"): "StoreUnreachable",
    ("refused", "Retain"): "",
    ("refused", "Delete"): "WrongKeys",
    ("refused", "Purge"): "WrongKeys",
    **dict.fromkeys(((remedy, "Delete") for remedy in REMEDIES), "BucketNotEmpty"),
}


@dataclass
class Row:
    """One store's Buckets, a cell of the matrix each."""

    on: Store
    finalizers: dict[Cell, list[str]] = field(default_factory=dict)
    meanwhile: dict[Cell, dict[str, Any] | None] = field(default_factory=dict)
    left: dict[Cell, Left] = field(default_factory=dict)

    def name(self, of: Cell) -> str:
        return f"{self.on.name}-{'-'.join(of).lower()}"

    def make(self, cells: Iterable[Cell]) -> None:
        """Make them, and put into each bucket what its state says."""
        names = {self.name(of): of for of in cells}
        stage = self.on.stage
        self.on.share(stage, f"{self.on.name}-keys")
        with self.on.client() as client:
            for name in (name for name, (state, _) in names.items() if state in {"foreign", "adopted"}):
                client.create_bucket(Bucket=name)
                client.put_object(Bucket=name, Key=OBJECT, Body=b"somebody's")
            stage.apply(*(self._body(name, *of) for name, of in names.items()))
            for name, (state, _) in names.items():
                body = stage.told(name, "BucketForeign" if state == "foreign" else "Ready")
                self.finalizers[names[name]] = body["metadata"].get("finalizers") or []
                if state in {"full", "versioned", *REMEDIES}:
                    client.put_object(Bucket=name, Key=OBJECT, Body=b"ours")
                if state == "versioned":
                    client.delete_object(Bucket=name, Key=OBJECT)
                    client.create_multipart_upload(Bucket=name, Key="unfinished")

    def _body(self, name: str, state: str, policy: str) -> dict[str, Any]:
        more = {"versioned": {"versioning": "Enabled"}, "adopted": {"adopt": "IfExists"}}.get(state, {})
        secret = f"{self.on.name}-keys" if state == "refused" else ""
        accesses = access("ReadWrite", prefix=name)
        return bucket(name, self.on, secret=secret, deletionPolicy=policy, access=accesses, **more)

    def delete(self, cells: Iterable[Cell]) -> None:
        self.on.stage.kubectl("delete", "bucket", "--wait=false", *map(self.name, cells))

    def remedy(self) -> None:
        stage, policies = self.on.stage, {"purged": "Purge", "retained": "Retain"}
        with self.on.client() as client:
            client.delete_object(Bucket=self.name(("emptied", "Delete")), Key=OBJECT)
        for state, policy in policies.items():
            patch = f'{{"spec": {{"deletionPolicy": "{policy}"}}}}'
            stage.kubectl("patch", "bucket", self.name((state, "Delete")), "--type=merge", "-p", patch)

    def bodies(self, cells: Iterable[Cell]) -> dict[Cell, dict[str, Any] | None]:
        """Those that are there still."""
        found = {body["metadata"]["name"]: body for body in self.on.stage.list("bucket")}
        return {of: found.get(self.name(of)) for of in cells}

    def look(self) -> None:
        """Note what is left of each."""
        bodies = self.bodies(OUTCOMES)
        secrets = {body["metadata"]["name"] for body in self.on.stage.list("secret")}
        accounts = users(self.on)
        with self.on.client() as client:
            buckets = bucket_names(client, self.on.name)
            for of, body in bodies.items():
                name = self.name(of)
                self.left[of] = Left(
                    reason=reason(body),
                    bucket=name in buckets,
                    objects=name in buckets and bool(held(client, name)),
                    secret=f"{name}-readwrite" in secrets,
                    account=f"landfall-{name}" in accounts,
                )


def reason(body: dict[str, Any] | None) -> str:
    return condition(body, "Ready")["reason"] if body else ""


def until_told(rows: list[Row], wanted: dict[Cell, str], *, seconds: float = GONE_SECONDS) -> None:
    """Wait until each deleted Bucket says what it should, "" for one that is gone, or has had its time."""

    def look() -> bool:
        return all({of: reason(body) for of, body in row.bodies(wanted).items()} == wanted for row in rows)

    with suppress(AssertionError):  # each cell's test says it better
        until(look, seconds=seconds, what="the Buckets go or say why not")


def of_state(*states: str) -> list[Cell]:
    return [of for of in OUTCOMES if of[0] in states]


@pytest.fixture(scope="module")
def rows(stage: Namespace, minio_image: str, versitygw_image: str) -> Iterator[dict[str, Row]]:
    """All cells for both stores, which are away in between, and come back with other root keys."""
    images = {"minio": minio_image, "versitygw": versitygw_image}
    mark = uuid.uuid4().hex[:4]
    made = [Row(installed(stage, f"{program[0]}{mark}", program, images[program])) for program in PROGRAMS]
    for row in made:
        row.make(OUTCOMES)
    step(made, of_state(*STATES, *REMEDIES))
    for row in made:
        row.remedy()
        row.on.stop()
    step(made, of_state("away"))
    for row in made:
        row.on = row.on.with_other_root()
        row.on.start()
    step(made, of_state("refused"))
    for row in made:
        row.on.share(stage, f"{row.on.name}-keys")
    until_told(made, {of: left.reason for of, left in OUTCOMES.items()})
    for row in made:
        row.look()
    yield {row.on.program: row for row in made}
    for row in made:
        row.on.uninstall()


def step(rows: list[Row], cells: list[Cell]) -> None:
    """Delete those, and note what they say as soon as they say what they should."""
    for row in rows:
        row.delete(cells)
    until_told(rows, {of: MEANWHILE.get(of, OUTCOMES[of].reason) for of in cells})
    for row in rows:
        row.meanwhile.update(row.bodies(cells))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("of", OUTCOMES, ids="-".join)
def test_a_deletion_leaves_what_its_policy_says(rows: dict[str, Row], program: str, of: Cell) -> None:
    expected = OUTCOMES[of]
    assert rows[program].left[of] == (expected if program == "minio" else replace(expected, account=False))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("of", MEANWHILE, ids="-".join)
def test_a_deletion_that_has_to_wait_says_what_for(rows: dict[str, Row], program: str, of: Cell) -> None:
    body = rows[program].meanwhile[of]
    assert reason(body) == MEANWHILE[of]
    if body:
        assert body["metadata"]["finalizers"] == [FINALIZER]
        assert REMEDY[reason(body)] in condition(body, "Ready")["message"]
        assert LET_GO in condition(body, "Ready")["message"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_deletion_that_nobody_owes_has_no_finalizer(rows: dict[str, Row], program: str) -> None:
    """Retain, and what is not ours: they went at once, also with the store away."""
    row = rows[program]
    assert {of: row.finalizers[of] for of in OUTCOMES} == {
        of: [] if "Retain" in of or "foreign" in of else [FINALIZER] for of in OUTCOMES
    }
