"""The operator's own life: killed, restarted, deaf; and what it tells of itself."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from cluster import Namespace, condition, migration, until
from life import (
    OPERATOR,
    Killer,
    approve_waiting,
    events_of,
    jobs_of,
    operator_pod,
    pace,
    pods_made,
    sample,
    scrape,
    versions,
    wait_until_up,
)
from servers import Database, Server

API_SERVER = "KUBERNETES_SERVICE_HOST"
MIGRATIONS = 20
APART_SECONDS = 1.5  # so that one kill meets them at as many ages, over the 30 s that each takes
KILL_EVERY = 4  # Migrations
KILLS = 12
REVISIONS = 15
# By turns: one Job; a plan and a Job; a plan, an approval and a Job.
MODES: tuple[dict[str, Any], ...] = ({}, {"policy": {"destructive": "Deny"}}, {"mode": "Approve"})
PHASES = (["apply"], ["plan", "apply"], ["plan", "apply"])
RESTING = {"rest-ready": "UpToDate", "rest-failed": "StatementFailed", "rest-planned": "Planned"}


def rest(stage: Namespace, server: Server, image: str) -> None:
    """Migrations that are at rest: ready, stalled, and planned only."""
    cases = {"rest-ready": "plain", "rest-failed": "failing", "rest-planned": "plain"}
    databases = server.create(len(cases), namespace=stage)
    stage.apply(
        *(
            migration(name, case=case, image=image, secret=database.secret, mode=mode)
            for (name, case), database, mode in zip(cases.items(), databases, ("Auto", "Auto", "Plan"), strict=True)
        )
    )
    bodies = stage.all_settled("rest-")
    assert {name: condition(body, "Ready")["reason"] for name, body in bodies.items()} == RESTING


def resting(stage: Namespace) -> dict[str, tuple[Any, int]]:
    return {name: (stage.get("migration", name), len(events_of(stage, name))) for name in RESTING}


def migrate_under_fire(stage: Namespace, databases: list[Database], image: str, killer: Killer) -> None:
    """Begin the Migrations one after the other, and kill the operator all the while until the last is ready."""
    begun = time.monotonic()
    for beat in range(KILL_EVERY * KILLS + MIGRATIONS):
        pace(begun + beat * APART_SECONDS)
        if beat < MIGRATIONS:
            mode = MODES[beat % len(MODES)]
            stage.apply(migration(f"m-{beat:02}", case="slow", image=image, secret=databases[beat].secret, **mode))
        approve_waiting(stage)
        if beat % KILL_EVERY == KILL_EVERY - 1 and len(killer.at) < KILLS:
            killer.strike()
        bodies = [body for body in stage.list("migration") if body["metadata"]["name"].startswith("m-")]
        if len(bodies) == MIGRATIONS and all(condition(body, "Ready").get("status") == "True" for body in bodies):
            return


def moments_hit(jobs: list[dict[str, Any]], killer: Killer) -> tuple[set[int], Counter[str]]:
    """The ages in whole seconds at which a kill met a running Job, and how many of each phase were met."""
    ages, phases = set(), Counter[str]()
    for job in jobs:
        began = datetime.fromisoformat(job["status"]["startTime"])
        ended = datetime.fromisoformat(job["status"]["completionTime"])
        for at in killer.at:
            if began <= at <= ended:
                ages.add(int((at - began).total_seconds()))
                phases[job["metadata"]["labels"]["landfall.dev/phase"]] += 1
    return ages, phases


def test_a_killed_operator_loses_nothing_and_does_nothing_twice(
    own_stage: Namespace, server: Server, app_image: str
) -> None:
    rest(own_stage, server, app_image)
    databases = server.create(MIGRATIONS, namespace=own_stage)
    killer = Killer(own_stage)
    killer.prepare()
    before = resting(own_stage)

    migrate_under_fire(own_stage, databases, app_image, killer)

    wait_until_up(own_stage)
    bodies = own_stage.all_settled("m-", seconds=90)
    assert {condition(body, "Ready")["status"] for body in bodies.values()} == {"True"}
    once = f"{REVISIONS}|{REVISIONS}"
    counts = {
        database.name: database.sql("SELECT count(*), count(DISTINCT revision) FROM audit") for database in databases
    }
    assert counts == {database.name: once for database in databases}

    jobs = []
    for number, body in enumerate(bodies.values()):
        mine = jobs_of(own_stage, body)
        phases = PHASES[number % len(PHASES)]
        assert [job["metadata"]["labels"]["landfall.dev/phase"] for job in mine] == phases
        history = body["status"]["history"]
        assert [entry["job"] for entry in reversed(history)] == [job["metadata"]["name"] for job in mine]
        assert history[0]["outcome"] == "Succeeded"
        assert {entry["attempts"] for entry in history} == {1}
        jobs += mine
    made = pods_made(own_stage)
    assert {job["metadata"]["name"]: made[job["metadata"]["name"]] for job in jobs} == {
        job["metadata"]["name"]: 1 for job in jobs
    }

    ages, phases_met = moments_hit(jobs, killer)
    assert len(ages & set(range(30))) >= MIGRATIONS, f"the kills met only the ages {sorted(ages)}"
    assert min(phases_met["plan"], phases_met["apply"]) > 0, phases_met
    assert resting(own_stage) == before


def test_a_restart_at_rest_writes_nothing(own_stage: Namespace, server: Server, app_image: str) -> None:
    rest(own_stage, server, app_image)
    database = server.create(1, namespace=own_stage)[0]
    own_stage.apply(
        migration("waits", case="plain", image=app_image, secret=database.secret, mode="Approve"),
        migration("sleeps", case="plain", image=app_image, secret=database.secret, suspend=True),
    )
    own_stage.settled("waits")
    own_stage.settled("sleeps")
    # The operator goes by the Pods: the Job controller may have its last word later.
    until(lambda: all(over(job) for job in own_stage.list("job")), seconds=30, what="all Jobs are over")
    before = versions(own_stage)
    own_stage.kubectl("rollout", "restart", OPERATOR)
    wait_until_up(own_stage)
    looked = "landfall_reconcile_seconds_count"
    until(
        lambda: (sample(scrape(own_stage), looked, kind="Migration") or 0) >= 2 * len(RESTING),
        seconds=30,
        what="the new operator has looked at every Migration",
    )
    assert versions(own_stage) == before


def over(job: dict[str, Any]) -> bool:
    return any(condition(job, kind).get("status") == "True" for kind in ("Complete", "Failed"))


def test_the_metrics_tell_what_has_happened(stage: Namespace, app_image: str, database: Database, unique: str) -> None:
    began = time.time()
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")
    found = scrape(stage)

    def value(metric: str, **labels: str) -> float | None:
        return sample(found, f"landfall_migration_{metric}", namespace=stage.name, name=unique, **labels)

    assert [state for state in ("Unknown", "Behind", "UpToDate") if value("state", state=state)] == ["UpToDate"]
    assert value("pending") == 0
    assert value("attempts_total", outcome="Succeeded") == 1
    assert value("duration_seconds_count", phase="apply") == 1
    duration = stage.get("migration", unique)["status"]["history"][0]["durationSeconds"]
    assert value("duration_seconds_sum", phase="apply") == pytest.approx(duration)
    assert value("lock_wait_seconds_count") == 1
    assert began - 1 <= (value("last_success_timestamp_seconds") or 0) <= time.time()
    assert (sample(found, "landfall_reconcile_seconds_count", kind="Migration") or 0) > 0
    assert sample(found, "landfall_reconcile_errors_total", kind="Migration") is not None


def test_a_deleted_migration_leaves_no_metrics(
    stage: Namespace, app_image: str, database: Database, unique: str
) -> None:
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret, suspend=True))
    stage.settled(unique)
    assert any(("name", unique) in labels for _, labels in scrape(stage))
    stage.kubectl("delete", "migration", unique, "--timeout=20s")
    until(lambda: not any(("name", unique) in labels for _, labels in scrape(stage)), seconds=10, what="its metrics go")


def test_the_log_is_json_lines_with_the_migration_s_name(
    stage: Namespace, app_image: str, database: Database, unique: str
) -> None:
    stage.apply(migration(unique, case="plain", image=app_image, secret=database.secret))
    stage.kubectl("wait", "--for=condition=Ready", f"migration/{unique}", "--timeout=60s")
    lines = [json.loads(line) for line in stage.kubectl("logs", OPERATOR).splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert any(f"{stage.name}/{unique}" in line["message"] for line in lines)


def health(stage: Namespace, path: str = "healthz") -> tuple[int, dict[str, Any]]:
    """A probe's code and body, asked for inside the pod: the API server's proxy hides the body of a 503.

    The code is 0 where nobody listens yet.
    """
    ask_there = (
        "import urllib.request, urllib.error\n"
        f"try: answer = urllib.request.urlopen('http://localhost:8080/{path}')\n"
        "except urllib.error.HTTPError as error: answer = error\n"
        "except urllib.error.URLError: raise SystemExit(print(0, '{}'))\n"
        "print(answer.status, answer.read().decode())"
    )
    code, _, body = stage.kubectl("exec", OPERATOR, "--", "python", "-c", ask_there).partition(" ")
    return int(code), json.loads(body)


def test_an_operator_that_is_answered_no_more_says_that_it_is_deaf(own_stage: Namespace) -> None:
    own_stage.kubectl("set", "env", OPERATOR, "LANDFALL_RESYNC_SECONDS=10")
    wait_until_up(own_stage)
    assert health(own_stage)[0] == 200
    binding = own_stage.get("rolebinding", "landfall-operator")
    own_stage.kubectl("delete", "rolebinding", "landfall-operator")
    until(lambda: health(own_stage)[0] != 200, seconds=100, what="it says so")
    code, body = health(own_stage)
    assert (code, body["status"]) == (503, "deaf")
    kept = {name: binding[name] for name in ("apiVersion", "kind", "roleRef", "subjects")}
    own_stage.apply(kept | {"metadata": {"name": "landfall-operator"}})
    until(lambda: health(own_stage)[0] == 200, seconds=60, what="it hears again")


def test_an_operator_that_has_not_seen_its_migrations_yet_is_not_ready(own_stage: Namespace) -> None:
    """With an API server that does not answer, as behind a NetworkPolicy that is too narrow."""
    own_stage.kubectl("set", "env", OPERATOR, f"{API_SERVER}=192.0.2.1")
    until(lambda: runs_with(own_stage, API_SERVER) and health(own_stage)[0], seconds=40, what="its probes answer")
    assert health(own_stage)[0] == 200
    code, body = health(own_stage, "readyz")
    assert (code, body["status"]) == (503, "starting")


def runs_with(stage: Namespace, variable: str) -> bool:
    """Whether the operator runs that was given it: the one before is asked for as long as it is there."""
    if (pod := operator_pod(stage)) is None:
        return False
    given = {each["name"] for each in pod["spec"]["containers"][0].get("env", [])}
    containers = pod["status"].get("containerStatuses")
    return variable in given and bool(containers and "running" in containers[0]["state"])
