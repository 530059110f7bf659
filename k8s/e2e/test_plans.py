"""Plans and approvals: what is written nowhere, what is shown, and for what exactly an approval is given."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cluster import Namespace, condition, migration, until
from conftest import delete_migrations
from servers import Database, Server

AT_A1 = (
    "CREATE TABLE things (id serial PRIMARY KEY, old text); ALTER TABLE things OWNER TO app",
    "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); ALTER TABLE alembic_version OWNER TO app",
    "INSERT INTO alembic_version VALUES ('a1'); INSERT INTO things VALUES (1, 'kept')",
)
PLAN_BYTES = 900 * 1024
# Of each: the spec, whether a version table is there at a1, and the reason when it is at rest.
PLANS: dict[str, tuple[dict[str, Any], bool, str]] = {
    "empty": ({"mode": "Plan"}, False, "Planned"),
    "versioned": ({"mode": "Plan"}, True, "Planned"),
    "denied": ({"case": "destructive", "policy": {"destructive": "Deny"}}, True, "DestructiveDenied"),
    "asked": ({"case": "destructive", "policy": {"destructive": "Approve"}}, True, "ApprovalNeeded"),
    "large": ({"mode": "Plan", "case": "large_plan"}, False, "Planned"),
    "approved": ({"mode": "Approve"}, True, "ApprovalNeeded"),
    "new-sql": ({"mode": "Approve"}, True, "ApprovalNeeded"),
    "same-sql": ({"mode": "Approve"}, True, "ApprovalNeeded"),
    "moved": ({"mode": "Approve", "case": "plain_newer"}, True, "ApprovalNeeded"),
}
UNTOUCHED = ["empty", "versioned", "denied", "asked", "large"]


@dataclass(frozen=True)
class Plans:
    stage: Namespace
    prefix: str
    image: str
    databases: dict[str, Database]
    dumps: dict[str, str]

    def name(self, plan: str) -> str:
        return f"{self.prefix}-{plan}"

    def body(self, plan: str, **changes: Any) -> dict[str, Any]:
        spec = {"case": "plain", "image": self.image} | PLANS[plan][0] | changes
        return migration(self.name(plan), secret=self.databases[plan].secret, **spec)

    def get(self, plan: str) -> dict[str, Any]:
        return self.stage.get("migration", self.name(plan))

    def approve(self, plan: str, named: str) -> None:
        marks = (f"landfall.dev/approve={named}", "landfall.dev/approved-by=grace")
        self.stage.kubectl("annotate", "--overwrite", f"migration/{self.name(plan)}", *marks)

    def planned_anew(self, plan: str, old: str) -> dict[str, Any]:
        """The Migration when another plan than the old one waits."""

        def look() -> dict[str, Any] | None:
            body = self.get(plan)
            fresh = (body["status"].get("plan") or {}).get("hash", old) != old
            return body if fresh and condition(body, "Ready")["reason"] == "ApprovalNeeded" else None

        return until(look, seconds=60, what=f"{plan} has another plan")


def dump(database: Database) -> str:
    """All that is in a database, without the key that pg_dump draws anew each time."""
    command = ("exec", "deploy/pg", "--", "pg_dump", "-h", "/tmp", "-U", "postgres", database.name)
    lines = database.server.stage.kubectl(*command).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


@pytest.fixture(scope="module")
def plans(stage: Namespace, server: Server, app_image: str) -> Iterator[Plans]:
    """All plans at once."""
    databases = dict(zip(PLANS, server.create(len(PLANS), namespace=stage), strict=True))
    for name, (_, versioned, _) in PLANS.items():
        if versioned:
            databases[name].sql(*AT_A1)
    dumps = {name: dump(databases[name]) for name in UNTOUCHED}
    made = Plans(stage, f"n{uuid.uuid4().hex[:6]}", app_image, databases, dumps)
    stage.apply(*(made.body(name) for name in PLANS))
    stage.all_settled(made.prefix)
    yield made
    delete_migrations(stage, made.prefix)


@pytest.mark.parametrize("name", UNTOUCHED)
def test_a_plan_leaves_the_database_byte_for_byte_as_it_was(plans: Plans, name: str) -> None:
    assert condition(plans.get(name), "Ready")["reason"] == PLANS[name][2]
    assert dump(plans.databases[name]) == plans.dumps[name]


def test_the_command_that_the_message_names_shows_the_sql(plans: Plans) -> None:
    message = condition(plans.get("empty"), "Ready")["message"]
    command = message.partition("Read the plan: ")[2]
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert "CREATE TABLE things" in done.stdout
    assert "UPDATE alembic_version SET version_num='b2'" in done.stdout


def test_a_plan_starts_where_the_database_is(plans: Plans) -> None:
    name = plans.get("versioned")["status"]["plan"]["configMap"]
    assert "CREATE TABLE things" not in plans.stage.get("configmap", name)["data"]["plan.sql"]


@pytest.mark.parametrize("name", ["denied", "asked"])
def test_a_destructive_plan_is_told_by_its_rule(plans: Plans, name: str) -> None:
    findings = plans.get(name)["status"]["plan"]["findings"]
    assert ("Destructive", "ban-drop-column") in [(found["severity"], found["rule"]) for found in findings]


def test_a_destructive_plan_that_is_denied_says_so(plans: Plans) -> None:
    stalled = condition(plans.get("denied"), "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "DestructiveDenied")
    assert "policy.destructive is Deny" in stalled["message"]


def test_a_plan_too_long_for_a_config_map_is_cut_with_a_note(plans: Plans) -> None:
    plan = plans.get("large")["status"]["plan"]
    sql = plans.stage.get("configmap", plan["configMap"])["data"]["plan.sql"]
    assert plan["bytes"] > PLAN_BYTES
    assert PLAN_BYTES - 4 <= len(sql.encode()) <= PLAN_BYTES + 200
    assert f"Cut here by landfall: {PLAN_BYTES} of {plan['bytes']} bytes" in sql.splitlines()[-1]


def test_an_approval_applies_the_plan_and_is_recorded(plans: Plans) -> None:
    plan = plans.get("approved")["status"]["plan"]
    plans.approve("approved", plan["hash"])
    plans.stage.kubectl("wait", "--for=condition=Ready", f"migration/{plans.name('approved')}", "--timeout=60s")
    status = plans.get("approved")["status"]
    assert plans.databases["approved"].sql("SELECT version_num FROM alembic_version") == "b2"
    assert (status["plan"]["hash"], status["plan"]["approvedBy"]) == (plan["hash"], "grace")
    assert status["plan"]["approvedAt"].endswith("Z")
    assert [(entry["phase"], entry["planSha256"]) for entry in status["history"]] == [
        ("apply", plan["sha256"]),
        ("plan", plan["sha256"]),
    ]


@pytest.mark.parametrize("named", ["sha256", "another"])
def test_only_the_plans_own_hash_approves_it(plans: Plans, named: str) -> None:
    """An approval names the image too, which the SQL's hash does not."""
    plan = plans.get("asked")["status"]["plan"]
    plans.approve("asked", {"sha256": plan["sha256"], "another": "0" * 64}[named])
    plans.stage.kubectl("label", "--overwrite", f"migration/{plans.name('asked')}", f"seen={named}")
    plans.stage.settled(plans.name("asked"))
    assert condition(plans.get("asked"), "Ready")["reason"] == "ApprovalNeeded"
    assert dump(plans.databases["asked"]) == plans.dumps["asked"]


@pytest.mark.parametrize(("name", "case"), [("new-sql", "plain_newer"), ("same-sql", "plain")])
def test_an_approval_is_void_with_a_new_image(plans: Plans, newer_app_image: str, name: str, case: str) -> None:
    old = plans.get(name)["status"]["plan"]
    plans.stage.apply(plans.body(name, image=newer_app_image, case=case))
    plans.approve(name, old["hash"])
    body = plans.planned_anew(name, old["hash"])
    assert (body["status"]["plan"]["sha256"] == old["sha256"]) == (name == "same-sql")
    assert "approvedBy" not in body["status"]["plan"]
    assert plans.databases[name].sql("SELECT version_num FROM alembic_version") == "a1"


def test_an_approval_is_void_when_the_database_has_moved(plans: Plans) -> None:
    old = plans.get("moved")["status"]["plan"]
    plans.databases["moved"].sql("UPDATE alembic_version SET version_num = 'b2'")
    plans.approve("moved", old["hash"])
    body = plans.planned_anew("moved", old["hash"])
    assert body["status"]["pendingCount"] == 1
    assert "approvedBy" not in body["status"]["plan"]
    assert plans.databases["moved"].sql("SELECT version_num FROM alembic_version") == "b2"
    plans.approve("moved", body["status"]["plan"]["hash"])
    plans.stage.kubectl("wait", "--for=condition=Ready", f"migration/{plans.name('moved')}", "--timeout=60s")
    assert plans.databases["moved"].sql("SELECT version_num FROM alembic_version") == "c3"
