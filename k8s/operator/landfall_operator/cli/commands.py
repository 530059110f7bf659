"""`kubectl landfall`: what people ask of Migrations, Buckets and Credentials.

Exit codes: 0 done (`wait`: ready; `bucket test`: all as it should be); 1 not so, with one line on standard error that
says why; 2 wrong usage; 130 ended by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import httpx2
from lightkube.core.exceptions import ConfigError, LoadResourceError

from landfall_operator.cli import bucket_arguments, migrations, show, show_bucket, show_credential
from landfall_operator.cli.cluster import (
    BUCKET,
    CREDENTIAL,
    KINDS,
    MIGRATION,
    Cluster,
    Kind,
    RefusalError,
    advice,
    is_kept_from_us,
    may_pass,
)
from landfall_operator.cli.finding import find, kind_of, listed, reference
from landfall_operator.cli.terminal import of_stdout, say
from landfall_operator.cli.waiting import Look, look, why_no_rotation
from landfall_operator.constants import ANNOTATION_RETRY, ANNOTATION_ROTATE
from landfall_operator.resource import Json, seconds, stamp

POLL_SECONDS = 1.0
INTERRUPTED = 130
SHOWN = {MIGRATION: show, BUCKET: show_bucket, CREDENTIAL: show_credential}
ANY_NAME = "its name; where two kinds have that one, KIND/NAME, such as bucket/media"
OPTIONAL = {"status"}  # commands that take a name or none


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
    for name, run, text, about in (
        ("status", status, "all Migrations, Buckets and Credentials, or one in full", ANY_NAME),
        (
            "wait",
            wait,
            "wait until it is ready for its newest spec; 1 where it stalls, or is at rest and not ready",
            ANY_NAME,
        ),
        ("retry", retry, "try again what has stalled", ANY_NAME),
        ("rotate", rotate, "new keys for a Bucket's accesses, new values for a Credential", ANY_NAME),
        ("plan", migrations.plan, "the SQL of the plan, and what was found in it", "the Migration's name"),
        ("approve", migrations.approve, "let the plan as it stands be applied", "the Migration's name"),
        ("history", migrations.history, "the last runs", "the Migration's name"),
        ("logs", migrations.logs, "the log of the last run", "the Migration's name"),
    ):
        made[name] = commands.add_parser(name, help=text, description=text, epilog=codes, parents=[common])
        made[name].add_argument("name", nargs="?" if name in OPTIONAL else None, help=about)
        made[name].set_defaults(run=run)
    made["status"].add_argument("-A", "--all-namespaces", action="store_true", help="of every namespace")
    made["status"].add_argument("-o", "--output", choices=["json"], help="the resources themselves")
    made["approve"].add_argument("--hash", help="of the plan that you have read: refused where it is another by now")
    made["wait"].add_argument("--timeout", type=_duration, default="10m", help="such as 90s or 1h30m; 10m if left out")
    made["logs"].add_argument("-f", "--follow", action="store_true", help="from its start to its end, as it is written")
    bucket_arguments.add_commands(commands, parents=[common], epilog=codes)
    return root


def leaves(of: argparse.ArgumentParser, *, prefix: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that does something, by its words."""
    for action in of._actions:  # noqa: SLF001 - argparse tells its commands nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for name, made in action.choices.items():
                inner = list(leaves(made, prefix=f"{prefix}{name} "))
                yield from inner or [(prefix + name, made)]


def _duration(text: str) -> float:
    if not re.fullmatch(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", text):
        raise argparse.ArgumentTypeError(f"{text} is no duration: write 90s, 10m or 1h30m")
    return seconds(text)


def status(cluster: Cluster, options: argparse.Namespace) -> None:
    if options.name and options.all_namespaces:
        raise RefusalError("a name is of one namespace: leave out -A, or give --namespace.")
    if options.name:
        body = find(cluster, options.name)
        lines = SHOWN[kind_of(body)].one(body, of_stdout())
        say([json.dumps(body, indent=2)] if options.output == "json" else lines)
        return
    found = _all(cluster, everywhere=options.all_namespaces)
    if options.output == "json":
        items = [body for bodies in found.values() for body in bodies]
        say([json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2)])
        return
    tables = {
        kind: SHOWN[kind].everything(bodies, of_stdout(), namespaces=options.all_namespaces)
        for kind, bodies in found.items()
        if bodies
    }
    if not tables:
        where = "any namespace" if options.all_namespaces else f"the namespace {cluster.namespace}"
        say([f"There is no {listed([kind.name for kind in found], 'or')} in {where}."])
    for number, (kind, lines) in enumerate(tables.items()):
        title = [*([""] if number else []), kind.plural.title()] if len(tables) > 1 else []
        say([*title, *lines])


def _all(cluster: Cluster, *, everywhere: bool) -> dict[Kind, list[Json]]:
    """Every kind that may be looked at; raises where that is none."""
    found: dict[Kind, list[Json]] = {}
    passed: dict[Kind, httpx2.HTTPError] = {}
    for kind in KINDS:
        try:
            found[kind] = cluster.list(kind, everywhere=everywhere)
        except httpx2.HTTPError as error:
            if not is_kept_from_us(error):
                raise
            passed[kind] = error
    if not found:
        raise passed[KINDS[0]]
    for kind, refusal in passed.items():
        why = advice(refusal, server=cluster.server, namespace=cluster.namespace)
        sys.stderr.write(f"{kind.plural.title()} are passed over: {why}\n")
    return found


def retry(cluster: Cluster, options: argparse.Namespace) -> None:
    body = find(cluster, options.name)
    cluster.annotate(kind_of(body), body["metadata"]["name"], {ANNOTATION_RETRY: stamp(datetime.now(UTC))})
    what = "another run" if kind_of(body) is MIGRATION else "another look"
    say([f"asked for {what} of {options.name}. See how it ends: kubectl landfall wait {options.name}"])


def rotate(cluster: Cluster, options: argparse.Namespace) -> None:
    body = find(cluster, options.name, among=[BUCKET, CREDENTIAL])
    if why := why_no_rotation(body):
        raise RefusalError(f"{reference(body)} has nothing to rotate: {why}")
    cluster.annotate(kind_of(body), body["metadata"]["name"], {ANNOTATION_ROTATE: stamp(datetime.now(UTC))})
    say(SHOWN[kind_of(body)].rotation(body))
    say([f"See how it ends: kubectl landfall wait {reference(body)}"])


def wait(cluster: Cluster, options: argparse.Namespace) -> None:
    timeout = options.timeout
    deadline = time.monotonic() + timeout
    told, target = "", options.name
    while True:
        seen, target = _look(cluster, target)
        if seen.over and seen.ready:
            say([f"{options.name} is ready: {seen.text}"])
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


def _look(cluster: Cluster, target: str) -> tuple[Look, str]:
    """What there is to see, and by which name without doubt."""
    try:
        body = find(cluster, target)
        image = cluster.image(body) if kind_of(body) is MIGRATION else None
        return look(body, image=image), reference(body)
    except httpx2.HTTPError as error:
        if not may_pass(error):
            raise
        return Look(over=False, text=advice(error, server=cluster.server, namespace=cluster.namespace)), target
