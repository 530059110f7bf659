"""`kubectl landfall`: what people ask of Migrations. Exit codes: 0 done, 1 not so, 2 wrong usage."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError, LoadResourceError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType

from landfall_operator.conditions import condition
from landfall_operator.constants import (
    ANNOTATION_APPROVE,
    ANNOTATION_APPROVED_BY,
    ANNOTATION_RETRY,
    CONTAINER,
    GROUP,
    VERSION,
)
from landfall_operator.views import Json, moment, stamp

Migration = create_namespaced_resource(GROUP, VERSION, "Migration", "migrations")
COLOURS = {"True": "32", "False": "31", "Unknown": "33", "Destructive": "31", "Blocking": "33", "Style": "2"}


class UsageError(Exception):
    """What was asked cannot be done; the text says why, and what can."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        options.run(_Session(options), options)
    except UsageError as error:
        sys.exit(f"kubectl landfall: {error}")
    except ApiError as error:
        sys.exit(f"kubectl landfall: {error.status.message}")
    except (ConfigError, LoadResourceError) as error:
        sys.exit(f"kubectl landfall: no cluster: {error}. Set KUBECONFIG, or name another --context.")
    except BrokenPipeError:
        sys.stderr.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubectl landfall", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-n", "--namespace", help="the namespace; the context's when left out")
    common.add_argument("--context", help="the kubeconfig's context")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text, takes_name in (
        ("status", status, "all Migrations, or one in full", "?"),
        ("plan", plan, "the SQL of the plan, and what was found in it", None),
        ("approve", approve, "let the plan as it stands be applied", None),
        ("retry", retry, "run again what has stalled", None),
        ("history", history, "the last runs", None),
        ("logs", logs, "the log of the last run", None),
    ):
        command = commands.add_parser(name, help=text, description=text, parents=[common])
        command.add_argument("name", nargs=takes_name, help="the Migration's name")
        command.set_defaults(run=run)
        if name == "status":
            command.add_argument("-A", "--all-namespaces", action="store_true", help="of every namespace")
        if name == "approve":
            command.add_argument("--sha256", help="the plan that you have read; refused when it is another by now")
    return parser


class _Session:
    """The cluster, and how to print."""

    def __init__(self, options: argparse.Namespace) -> None:
        config = KubeConfig.from_env().get(context_name=options.context)
        if config is None:
            raise ConfigError("the kubeconfig names no context")
        self.client = Client(config=config)
        self.namespace: str = options.namespace or config.namespace or "default"
        self._colours = sys.stdout.isatty()

    def get(self, name: str) -> Json:
        return dict(self.client.get(Migration, name, namespace=self.namespace).to_dict())

    def colour(self, text: str, kind: str) -> str:
        code = COLOURS.get(kind)
        return f"\033[{code}m{text}\033[0m" if self._colours and code else text

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            cells = [self.colour(cell.ljust(width), cell) for cell, width in zip(row, widths, strict=True)]
            print("   ".join(cells).rstrip())


def status(session: _Session, options: argparse.Namespace) -> None:
    if options.name:
        _show_one(session, session.get(options.name))
        return
    namespace = "*" if options.all_namespaces else session.namespace
    found = [item.to_dict() for item in session.client.list(Migration, namespace=namespace)]
    if not found:
        print(f"There is no Migration in {'any namespace' if namespace == '*' else namespace}.")
        return
    rows = [("NAMESPACE", "NAME", "STATE", "CURRENT", "TARGET", "PENDING", "READY", "AGE", "MESSAGE")]
    for body in found:
        state, ready = body.get("status") or {}, condition(body.get("status") or {}, "Ready")
        rows.append(
            (
                body["metadata"]["namespace"],
                body["metadata"]["name"],
                state.get("state", "Unknown"),
                state.get("currentRevision") or "-",
                state.get("targetRevision") or "-",
                str(state.get("pendingCount", "-")),
                ready.get("status", "Unknown"),
                _age(body["metadata"]["creationTimestamp"]),
                ready.get("message", "")[:80],
            )
        )
    session.table(rows)


def _show_one(session: _Session, body: Json) -> None:
    state = body.get("status") or {}
    ready = condition(state, "Ready")
    rows = [
        ("Migration", f"{body['metadata']['namespace']}/{body['metadata']['name']}"),
        ("Ready", ready.get("status", "Unknown")),
        ("Reason", ready.get("reason", "")),
        ("State", state.get("state", "Unknown")),
        ("Current", state.get("currentRevision") or "-"),
        ("Target", state.get("targetRevision") or "-"),
        ("Image", f"{state.get('image', '-')} {state.get('imageDigest', '')}".strip()),
        ("Last job", (state.get("runner") or {}).get("job", "-")),
    ]
    session.table(rows)
    print(f"\n{ready.get('message', '')}")
    for pending in state.get("pending") or []:
        print(f"  pending {pending['revision']}  {pending.get('message', '')}")
    for name, text in (state.get("failure") or {}).items():
        print(f"\n{name}:\n  {text}")


def plan(session: _Session, options: argparse.Namespace) -> None:
    shown = _plan_of(session.get(options.name))
    sql = (session.client.get(ConfigMap, shown["configMap"], namespace=session.namespace).data or {}).get(
        "plan.sql", ""
    )
    print(sql)
    for finding in shown.get("findings") or []:
        severity = session.colour(finding["severity"], finding["severity"])
        print(f"-- line {finding['line']}: {severity}: {finding['message']} ({finding['rule']})")
    if shown.get("note"):
        print(f"-- {shown['note']}")
    print(f"-- sha256 {shown['sha256']}")


def approve(session: _Session, options: argparse.Namespace) -> None:
    shown = _plan_of(session.get(options.name))
    if options.sha256 and options.sha256 != shown["sha256"]:
        raise UsageError(f"the plan is {shown['sha256']} by now. Read it again: kubectl landfall plan {options.name}")
    annotations = {ANNOTATION_APPROVE: shown["sha256"], ANNOTATION_APPROVED_BY: getpass.getuser()}
    _annotate(session, options.name, annotations)
    print(f"approved the plan {shown['sha256'][:12]}… of {options.name}")


def retry(session: _Session, options: argparse.Namespace) -> None:
    _annotate(session, options.name, {ANNOTATION_RETRY: stamp(datetime.now(UTC))})
    print(f"asked for another run of {options.name}")


def history(session: _Session, options: argparse.Namespace) -> None:
    entries = (session.get(options.name).get("status") or {}).get("history") or []
    if not entries:
        print(f"{options.name} has not run yet.")
        return
    rows = [("STARTED", "PHASE", "OUTCOME", "SECONDS", "ATTEMPT", "TO", "IMAGE", "MESSAGE")]
    for entry in entries:
        digest = entry.get("imageDigest", "").removeprefix("sha256:")[:12]
        rows.append(
            (
                entry.get("startedAt", "-"),
                entry.get("phase", "-"),
                entry.get("outcome", "-"),
                f"{entry.get('durationSeconds', 0):g}",
                str(entry.get("attempts", "-")),
                entry.get("toRevision", "-"),
                f"{entry.get('image', '-')} {digest}".strip(),
                entry.get("message", "")[:60],
            )
        )
    session.table(rows)


def logs(session: _Session, options: argparse.Namespace) -> None:
    job = ((session.get(options.name).get("status") or {}).get("runner") or {}).get("job")
    pods = list(session.client.list(Pod, namespace=session.namespace, labels={"batch.kubernetes.io/job-name": job}))
    if not job or not pods or not pods[-1].metadata or not pods[-1].metadata.name:
        raise UsageError(f"{options.name} has no pod with a log")
    for line in session.client.log(pods[-1].metadata.name, namespace=session.namespace, container=CONTAINER):
        print(line, end="")


def _plan_of(body: Json) -> Json:
    shown: Json | None = (body.get("status") or {}).get("plan")
    if not shown or "configMap" not in shown:
        raise UsageError(f"{body['metadata']['name']} has no plan: spec.mode is {body['spec']['mode']}")
    return shown


def _annotate(session: _Session, name: str, annotations: dict[str, Any]) -> None:
    patch = {"metadata": {"annotations": annotations}}
    session.client.patch(Migration, name, patch, namespace=session.namespace, patch_type=PatchType.MERGE)


def _age(created: str) -> str:
    at = moment(created) or datetime.now(UTC)
    total = int((datetime.now(UTC) - at).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if total >= 2 * size:
            return f"{total // size}{unit}"
    return f"{total}s"
