"""`landfall-operator drain`: delete Buckets and wait until they are gone, while their operator is still there."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx2

from landfall_operator.cli.cluster import BUCKET, NOT_FOUND, Cluster, RefusalError, advice, may_pass
from landfall_operator.cli.waiting import look
from landfall_operator.constants import ANNOTATION_RETRY
from landfall_operator.resource import stamp

POLL_SECONDS = 1.0
WAY_OUT = "Then uninstall again. With --no-hooks it leaves what is in the store, and Buckets that nobody ends."


class Buckets(Cluster):
    """Those of one namespace."""

    def delete(self, name: str) -> None:
        self._client.delete(BUCKET.resource, name, namespace=self.namespace)


def main(arguments: Sequence[str]) -> int:
    """0 where all are gone, 1 where one is left, which standard error says."""
    parser = argparse.ArgumentParser(
        prog="landfall-operator drain", description="Delete Buckets and wait until they are gone."
    )
    parser.add_argument("namespace")
    parser.add_argument("names", nargs="+", metavar="name")
    parser.add_argument("--timeout", type=float, default=240, help="seconds to wait for all of them")
    options = parser.parse_args(arguments)
    try:
        left = drain(Buckets(namespace=options.namespace), options.names, seconds=options.timeout)
    except RefusalError as error:
        sys.exit(f"landfall-operator drain: {error}")
    for name, why in left.items():
        print(f"Bucket {options.namespace}/{name} is not gone. {why}", file=sys.stderr)  # noqa: T201 - it is for people
    if left:
        print(WAY_OUT, file=sys.stderr)  # noqa: T201 - as above
    return 1 if left else 0


def drain(buckets: Buckets, names: Sequence[str], *, seconds: float, pause: float = POLL_SECONDS) -> dict[str, str]:
    """Why each one that is left is; all are gone where it is empty. It ends as soon as all others wait for people."""
    deadline, mark = time.monotonic() + seconds, stamp(datetime.now(UTC))
    waiting, stuck = list(names), dict[str, str]()
    while waiting:
        said = {name: _step(buckets, name, mark) for name in waiting}
        stuck |= {name: why for name, (over, why) in said.items() if over and why}
        waiting = [name for name, (over, _) in said.items() if not over]
        if waiting and time.monotonic() > deadline:
            late = f"Not within {seconds:g} s: {{}}"
            return stuck | {name: late.format(said[name][1]) for name in waiting}
        if waiting:
            time.sleep(pause)
    return stuck


def _step(buckets: Buckets, name: str, mark: str) -> tuple[bool, str]:
    """Whether there is nothing to wait for any more, and why it is still there."""
    try:
        body = buckets.get(BUCKET, name)
        if (body["metadata"].get("annotations") or {}).get(ANNOTATION_RETRY) != mark:
            # Asked for by this mark, what the Bucket says next is of now: its store may have been emptied since.
            buckets.annotate(BUCKET, name, {ANNOTATION_RETRY: mark})
            buckets.delete(name)
            return False, "it was just deleted"
    except httpx2.HTTPError as error:
        if isinstance(error, httpx2.HTTPStatusError) and error.response.status_code == NOT_FOUND:
            return True, ""
        refused = advice(error, server=buckets.server, namespace=buckets.namespace)
        return not may_pass(error), refused
    seen = look(body)
    return seen.over and not seen.ready, seen.text
