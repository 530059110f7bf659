"""What `kubectl landfall` does with Migrations alone: plans, approvals, runs."""

from __future__ import annotations

import argparse
import sys
import time

from lightkube.core.exceptions import ApiError

from landfall_operator.cli import show
from landfall_operator.cli.cluster import MIGRATION, Cluster, RefusalError
from landfall_operator.cli.finding import find
from landfall_operator.cli.terminal import of_stdout, say
from landfall_operator.conditions import condition
from landfall_operator.constants import ANNOTATION_APPROVE, ANNOTATION_APPROVED_BY, PLAN_BYTES
from landfall_operator.resource import Json

POLL_SECONDS = 1.0
SHORTEST_HASH = 8  # characters of it that --hash takes


def plan(cluster: Cluster, options: argparse.Namespace) -> None:
    body = find(cluster, options.name, among=[MIGRATION])
    found = _plan_of(body)
    sql = _sql(cluster, found) if found.get("configMap") else None
    say([*([sql] if sql is not None else []), *(f"-- {line}" for line in show.plan_notes(body, of_stdout()))])


def _plan_of(body: Json) -> Json:
    name, spec = body["metadata"]["name"], body["spec"]
    found: Json | None = (body.get("status") or {}).get("plan")
    if found:
        return found
    ready = condition(body.get("status") or {}, "Ready")
    if spec["mode"] == "Auto" and spec["policy"]["destructive"] == "Allow":
        raise RefusalError(f"{name} makes no plan: its mode is Auto. Set spec.mode to Plan or Approve for one.")
    raise RefusalError(f"{name} has no plan now: {ready.get('reason', 'Unknown')}: {ready.get('message', '')}")


def _sql(cluster: Cluster, found: Json) -> str:
    try:
        sql = cluster.plan(found["configMap"])
    except ApiError as error:
        if error.status.code != 404:  # noqa: PLR2004 - not found
            raise
        sql = None
    if sql is None:
        raise RefusalError(
            f"the plan's ConfigMap {found['configMap']} is gone. Plan again: kubectl landfall retry NAME"
        )
    if found.get("bytes", 0) > PLAN_BYTES:
        sys.stderr.write("The plan is cut: it is longer than a ConfigMap holds. The Job's log has all of it.\n")
    return sql


def approve(cluster: Cluster, options: argparse.Namespace) -> None:
    body = find(cluster, options.name, among=[MIGRATION])
    name, found = body["metadata"]["name"], _plan_of(body)
    ready = condition(body.get("status") or {}, "Ready")
    if show.is_unseen(body):
        raise RefusalError(f"the plan of {name} is void: the spec has changed. Wait for the new one, and read it.")
    if found.get("unchecked"):
        raise RefusalError(f"the plan of {name} is unchecked and cannot be approved: {found['unchecked']}")
    if ready.get("reason") != "ApprovalNeeded":
        raise RefusalError(f"nothing of {name} waits for an approval: {ready.get('reason')}: {ready.get('message')}")
    if options.hash and (len(options.hash) < SHORTEST_HASH or not found["hash"].startswith(options.hash)):
        raise RefusalError(f"the plan's hash is {found['hash']}. Read it: kubectl landfall plan {name}")
    user = cluster.user()
    cluster.annotate(MIGRATION, name, {ANNOTATION_APPROVE: found["hash"], ANNOTATION_APPROVED_BY: user})
    say([f"approved as {user}: the plan {found['hash'][: show.HASH_CHARACTERS]}… of {name}"])


def history(cluster: Cluster, options: argparse.Namespace) -> None:
    entries = (find(cluster, options.name, among=[MIGRATION]).get("status") or {}).get("history") or []
    say(show.history(entries, of_stdout()) if entries else [f"{options.name} has not run yet."])


def logs(cluster: Cluster, options: argparse.Namespace) -> None:
    while True:
        state: Json = find(cluster, options.name, among=[MIGRATION]).get("status") or {}
        job = (state.get("runner") or {}).get("job")
        pod, begun = (cluster.pod(job) if job else None) or (None, False)
        if pod and begun:
            break
        if not options.follow or condition(state, "Stalled").get("status") == "True":
            obstacle = "its pod has not begun" if pod else f"the pod of {job} has gone" if job else "it has not run yet"
            raise RefusalError(f"{options.name} has no log: {obstacle}. See: kubectl landfall status {options.name}")
        time.sleep(POLL_SECONDS)
    for line in show.readable(cluster.log(pod, follow=options.follow)):
        sys.stdout.write(line)
        sys.stdout.flush()
