"""Each state of the design, by fixture: what the status, `kubectl get`, `kubectl wait` and kstatus say of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cluster import Namespace, condition, migration
from conftest import delete_migrations
from servers import Database, Server

AT = (
    "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); ALTER TABLE alembic_version OWNER TO app;"
    " INSERT INTO alembic_version VALUES ('{}')"
)
THINGS = "CREATE TABLE things (id serial PRIMARY KEY, old text); ALTER TABLE things OWNER TO app"
AT_A1 = (THINGS, AT.format("a1"))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is there and asked for, and what must be told of it; `columns` are Current, Target and Pending."""

    state: str
    reason: str
    kstatus: str
    columns: tuple[str, str, str]
    words: tuple[str, ...]
    case: str = "plain"
    before: tuple[str, ...] = ()
    first: dict[str, Any] | None = None
    spec: dict[str, Any] = field(default_factory=dict)


AHEAD = {"case": "plain_newer"}
PLANNED = ("mode Plan applies none", "kubectl get configmap", "plan\\.sql")
CASES = {
    "up-to-date": Case(
        state="UpToDate", reason="UpToDate", kstatus="Current", columns=("b2", "b2", "0"), words=("is at b2",)
    ),
    "at-an-earlier-target": Case(
        state="UpToDate",
        reason="UpToDate",
        kstatus="Current",
        columns=("a1", "a1", "0"),
        words=("is at a1",),
        spec={"target": "a1"},
    ),
    "unversioned-and-empty": Case(
        state="Unversioned",
        reason="Planned",
        kstatus="InProgress",
        columns=("", "b2", "2"),
        words=("2 revisions are pending", *PLANNED),
        spec={"mode": "Plan"},
    ),
    "unversioned-with-a-schema": Case(
        state="Unversioned",
        reason="Unversioned",
        kstatus="Failed",
        columns=("", "b2", "2"),
        words=("Revision a1", "already exists", "set spec.baseline to the one it is at"),
        before=(THINGS,),
    ),
    "baseline": Case(
        state="UpToDate",
        reason="UpToDate",
        kstatus="Current",
        columns=("b2", "b2", "0"),
        words=("is at b2",),
        before=(THINGS, "INSERT INTO things VALUES (1, 'kept')"),
        spec={"baseline": "a1"},
    ),
    "behind-and-planned": Case(
        state="Behind",
        reason="Planned",
        kstatus="InProgress",
        columns=("a1", "b2", "1"),
        words=("1 revision is pending", *PLANNED),
        before=AT_A1,
        spec={"mode": "Plan"},
    ),
    "behind-and-waiting": Case(
        state="Behind",
        reason="ApprovalNeeded",
        kstatus="InProgress",
        columns=("a1", "b2", "1"),
        words=("waits for an approval of this plan", "kubectl landfall approve NAME"),
        before=AT_A1,
        spec={"mode": "Approve"},
    ),
    "behind-and-suspended": Case(
        state="Behind",
        reason="Suspended",
        kstatus="InProgress",
        columns=("a1", "b2", "1"),
        words=("spec.suspend is true", "nothing is started until it is false"),
        before=AT_A1,
        first={"mode": "Plan"},
        spec={"mode": "Plan", "suspend": True},
    ),
    "suspended-from-the-start": Case(
        state="Unknown",
        reason="Suspended",
        kstatus="InProgress",
        columns=("", "", ""),
        words=("spec.suspend is true",),
        spec={"suspend": True},
    ),
    "suspended-when-ready": Case(
        state="UpToDate",
        reason="UpToDate",
        kstatus="Current",
        columns=("b2", "b2", "0"),
        words=("is at b2",),
        first={},
        spec={"suspend": True},
    ),
    "ahead-and-tolerated": Case(
        state="Ahead",
        reason="Ahead",
        kstatus="Current",
        columns=("c3", "b2", ""),
        words=("at c3, newer than this image's b2", "as after a rollback"),
        first=AHEAD,
    ),
    "ahead-and-blocked": Case(
        state="Ahead",
        reason="Ahead",
        kstatus="Failed",
        columns=("c3", "b2", ""),
        words=("at c3, newer than this image's b2", "policy.onAhead is Block"),
        first=AHEAD,
        spec={"policy": {"onAhead": "Block"}},
    ),
    "diverged": Case(
        state="Diverged",
        reason="Diverged",
        kstatus="Failed",
        columns=("b2", "x9", ""),
        words=("at b2, which does not descend from this image's x9", "Merge them"),
        case="plain_branched",
        first={"case": "plain"},
    ),
    "revision-unknown": Case(
        state="Unknown",
        reason="RevisionUnknown",
        kstatus="Failed",
        columns=("zz", "b2", ""),
        words=("at zz, which no image seen here carries", "Deploy the image that has it"),
        before=(AT.format("zz"),),
    ),
    "multiple-heads": Case(
        state="MultipleHeads",
        reason="MultipleHeads",
        kstatus="Failed",
        columns=("", "", ""),
        words=("2 heads: b2, c3", "Merge them (alembic merge), or set spec.target"),
        case="two_heads",
    ),
    "all-heads": Case(
        state="UpToDate",
        reason="UpToDate",
        kstatus="Current",
        columns=("b2,c3", "b2,c3", "0"),
        words=("is at b2, c3",),
        case="two_heads",
        spec={"target": "heads"},
    ),
    "target-unknown": Case(
        state="Unknown",
        reason="TargetUnknown",
        kstatus="Failed",
        columns=("", "", ""),
        words=("The image has no target nowhere", "spec.target"),
        spec={"target": "nowhere"},
    ),
    "conflict": Case(
        state="Unknown",
        reason="Conflict",
        kstatus="Failed",
        columns=("", "", ""),
        words=("belongs to the Migration STAGE/OWNER", "spec.database.takeOver: true"),
        first={"suffix": "-owner"},
    ),
}


@dataclass(frozen=True)
class Shown:
    """A Migration at rest as people see it."""

    body: dict[str, Any]
    columns: dict[str, str]
    database: Database


@pytest.fixture(scope="module")
def shown(stage: Namespace, server: Server, app_image: str, newer_app_image: str) -> Iterator[dict[str, Shown]]:
    """All cases at once: what was there before, then what is asked for."""
    prefix = f"s{uuid.uuid4().hex[:6]}-"
    databases = dict(zip(CASES, server.create(len(CASES), namespace=stage), strict=True))
    for name, case in CASES.items():
        if case.before:
            databases[name].sql(*case.before)
    earlier = [name for name in CASES if CASES[name].first is not None]
    newer = {name: newer_app_image for name in earlier if CASES[name].first == AHEAD}
    stage.apply(*(first_of(prefix, name, newer.get(name, app_image), databases[name]) for name in earlier))
    stage.all_settled(prefix)
    stage.apply(*(last_of(prefix, name, app_image, databases[name]) for name in CASES))
    bodies = stage.all_settled(prefix)
    rows = table(stage.kubectl("get", "migration", "-o", "wide"))
    yield {name: Shown(bodies[prefix + name], rows[prefix + name], databases[name]) for name in CASES}
    delete_migrations(stage, prefix)


def first_of(prefix: str, name: str, image: str, database: Database) -> dict[str, Any]:
    spec = {"case": "plain", **(CASES[name].first or {})}
    return migration(prefix + name + spec.pop("suffix", ""), image=image, secret=database.secret, **spec)


def last_of(prefix: str, name: str, image: str, database: Database) -> dict[str, Any]:
    case = CASES[name]
    return migration(prefix + name, case=case.case, image=image, secret=database.secret, **case.spec)


def table(text: str) -> dict[str, dict[str, str]]:
    """The table that kubectl prints, by the first column; a cell begins where its heading does."""
    heading, *lines = text.splitlines()
    names = heading.split()
    starts = [heading.index(name) for name in names]
    ends = [*starts[1:], None]
    cells = [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in lines]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


def kstatus(body: dict[str, Any]) -> str:
    """As kstatus computes it for a kind that it does not know, and so Helm 4, Flux and Argo."""
    if "deletionTimestamp" in body["metadata"]:
        return "Terminating"
    status = body.get("status") or {}
    if status.get("observedGeneration", body["metadata"]["generation"]) != body["metadata"]["generation"]:
        return "InProgress"
    for found in status.get("conditions") or []:
        if (found["type"], found["status"]) == ("Reconciling", "True"):
            return "InProgress"
        if (found["type"], found["status"]) == ("Stalled", "True"):
            return "Failed"
    ready = condition(body, "Ready")
    return "Current" if ready.get("status", "True") == "True" else "InProgress"


@pytest.mark.parametrize("name", CASES)
def test_the_state_and_its_advice_are_told(shown: dict[str, Shown], stage: Namespace, name: str) -> None:
    body, case = shown[name].body, CASES[name]
    ready = condition(body, "Ready")
    assert (body["status"]["state"], ready["reason"]) == (case.state, case.reason)
    own = body["metadata"]["name"]
    for words in case.words:
        expected = words.replace("NAME", own).replace("STAGE", stage.name).replace("OWNER", f"{own}-owner")
        assert expected in ready["message"]


@pytest.mark.parametrize("name", CASES)
def test_the_printer_columns_tell_the_same(shown: dict[str, Shown], name: str) -> None:
    columns, body, case = shown[name].columns, shown[name].body, CASES[name]
    assert columns["STATE"] == case.state
    assert (columns["CURRENT"], columns["TARGET"], columns["PENDING"]) == case.columns
    ready = condition(body, "Ready")
    assert (columns["READY"], columns["MESSAGE"]) == (ready["status"], ready["message"])


@pytest.mark.parametrize("name", CASES)
def test_kubectl_wait_and_kstatus_agree(shown: dict[str, Shown], stage: Namespace, name: str) -> None:
    body, case = shown[name].body, CASES[name]
    assert kstatus(body) == case.kstatus
    object_name = f"migration/{body['metadata']['name']}"
    met = {
        kind: "condition met"
        in stage.kubectl("wait", f"--for=condition={kind}", object_name, "--timeout=0", check=False)
        for kind in ("Ready", "Stalled")
    }
    assert met == {"Ready": case.kstatus == "Current", "Stalled": case.kstatus == "Failed"}


def test_a_baseline_is_stamped_and_not_run(shown: dict[str, Shown]) -> None:
    assert shown["baseline"].database.sql("SELECT old FROM things") == "kept"


@pytest.mark.parametrize("name", ["unversioned-with-a-schema", "target-unknown", "multiple-heads", "revision-unknown"])
def test_a_database_that_is_refused_is_left_as_it_was(shown: dict[str, Shown], name: str) -> None:
    tables = shown[name].database.sql("SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'")
    before = {"unversioned-with-a-schema": "things", "revision-unknown": "alembic_version"}
    assert tables == before.get(name, "")
