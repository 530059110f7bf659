"""`kubectl landfall`: what people ask of Migrations.

Exit codes: 0 done (`wait`: ready); 1 not so, with one line on standard error that says why; 2 wrong usage;
130 ended by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import httpx2
from lightkube.core.exceptions import ApiError, ConfigError, LoadResourceError

from landfall_operator.cli import show
from landfall_operator.cli.cluster import Cluster, RefusalError, advice, may_pass
from landfall_operator.cli.terminal import of_stdout
from landfall_operator.cli.waiting import Look, look
from landfall_operator.conditions import condition
from landfall_operator.constants import ANNOTATION_APPROVE, ANNOTATION_APPROVED_BY, ANNOTATION_RETRY, PLAN_BYTES
from landfall_operator.views import Json, seconds, stamp

POLL_SECONDS = 1.0
SHORTEST_HASH = 8  # characters of it that --hash takes
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    try:
        cluster = Cluster(context=options.context, namespace=options.namespace)
        try:
            options.run(cluster, options)
        except httpx2.HTTPError as error:
            raise RefusalError(advice(error, server=cluster.server, namespace=cluster.namespace)) from error
    except (RefusalError, ConfigError, LoadResourceError) as error:
        sys.exit(f"kubectl landfall: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()


def parser() -> argparse.ArgumentParser:
    description, _, codes = (__doc__ or "").partition("\n\n")
    root = argparse.ArgumentParser(prog="kubectl landfall", description=description, epilog=codes)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-n", "--namespace", help="the namespace; the context's when left out")
    common.add_argument("--context", help="the kubeconfig's context")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    made: dict[str, argparse.ArgumentParser] = {}
    for run, text in (
        (status, "all Migrations, or one in full"),
        (plan, "the SQL of the plan, and what was found in it"),
        (approve, "let the plan as it stands be applied"),
        (retry, "run again what has stalled"),
        (wait, "wait until it is ready for its newest spec; 1 where it stalls, or is at rest and not ready"),
        (history, "the last runs"),
        (logs, "the log of the last run"),
    ):
        name = run.__name__
        made[name] = commands.add_parser(name, help=text, description=text, epilog=codes, parents=[common])
        made[name].add_argument("name", nargs="?" if run is status else None, help="the Migration's name")
        made[name].set_defaults(run=run)
    made["status"].add_argument("-A", "--all-namespaces", action="store_true", help="of every namespace")
    made["status"].add_argument("-o", "--output", choices=["json"], help="the resources themselves")
    made["approve"].add_argument("--hash", help="of the plan that you have read: refused where it is another by now")
    made["wait"].add_argument("--timeout", type=_duration, default="10m", help="such as 90s or 1h30m; 10m if left out")
    made["logs"].add_argument("-f", "--follow", action="store_true", help="from its start to its end, as it is written")
    return root


def _duration(text: str) -> float:
    if not re.fullmatch(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", text):
        raise argparse.ArgumentTypeError(f"{text} is no duration: write 90s, 10m or 1h30m")
    return seconds(text)


def status(cluster: Cluster, options: argparse.Namespace) -> None:
    if options.name and options.all_namespaces:
        raise RefusalError("a name is of one namespace: leave out -A, or give --namespace.")
    found = [cluster.get(options.name)] if options.name else cluster.list(everywhere=options.all_namespaces)
    if options.output == "json":
        whole = found[0] if options.name else {"apiVersion": "v1", "kind": "List", "items": found}
        _say([json.dumps(whole, indent=2)])
    elif options.name:
        _say(show.one(found[0], of_stdout()))
    elif found:
        _say(show.everything(found, of_stdout(), namespaces=options.all_namespaces))
    else:
        where = "any namespace" if options.all_namespaces else f"the namespace {cluster.namespace}"
        _say([f"There is no Migration in {where}."])


def plan(cluster: Cluster, options: argparse.Namespace) -> None:
    body = cluster.get(options.name)
    found = _plan_of(body)
    sql = _sql(cluster, found) if found.get("configMap") else None
    _say([*([sql] if sql is not None else []), *(f"-- {line}" for line in show.plan_notes(body, of_stdout()))])


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
    body = cluster.get(options.name)
    name, found = options.name, _plan_of(body)
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
    cluster.annotate(name, {ANNOTATION_APPROVE: found["hash"], ANNOTATION_APPROVED_BY: user})
    _say([f"approved as {user}: the plan {found['hash'][: show.HASH_CHARACTERS]}… of {name}"])


def retry(cluster: Cluster, options: argparse.Namespace) -> None:
    cluster.annotate(options.name, {ANNOTATION_RETRY: stamp(datetime.now(UTC))})
    _say([f"asked for another run of {options.name}. See how it ends: kubectl landfall wait {options.name}"])


def wait(cluster: Cluster, options: argparse.Namespace) -> None:
    timeout = options.timeout
    deadline = time.monotonic() + timeout
    told = ""
    while True:
        seen = _look(cluster, options.name)
        if seen.over and seen.ready:
            _say([f"{options.name} is ready: {seen.text}"])
            return
        if seen.over:
            raise RefusalError(f"{options.name}: {seen.text}")
        left = deadline - time.monotonic()
        if left <= 0:
            raise RefusalError(f"{options.name} is not ready after {timeout:g} s. It waits still: {seen.text}")
        if seen.text != told:
            told = seen.text
            sys.stderr.write(f"{options.name}: {told}\n")
        time.sleep(min(POLL_SECONDS, left))


def _look(cluster: Cluster, name: str) -> Look:
    try:
        body = cluster.get(name)
        return look(body, image=cluster.image(body))
    except httpx2.HTTPError as error:
        if not may_pass(error):
            raise
        return Look(over=False, text=advice(error, server=cluster.server, namespace=cluster.namespace))


def history(cluster: Cluster, options: argparse.Namespace) -> None:
    entries = (cluster.get(options.name).get("status") or {}).get("history") or []
    _say(show.history(entries, of_stdout()) if entries else [f"{options.name} has not run yet."])


def logs(cluster: Cluster, options: argparse.Namespace) -> None:
    while True:
        state: Json = cluster.get(options.name).get("status") or {}
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


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
