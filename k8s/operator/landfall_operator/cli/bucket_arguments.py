"""The words of `kubectl landfall bucket`; what they do is imported only then, as S3 clients are slow to import."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from landfall_operator.cli.cluster import Cluster

DEFAULT_LIMIT = 1000


def add_commands(commands: Any, *, parents: Sequence[argparse.ArgumentParser], epilog: str) -> None:
    text = "look into a Bucket's bucket"
    group = commands.add_parser("bucket", help=text, description=text, epilog=epilog)
    inner = group.add_subparsers(required=True, metavar="COMMAND")
    made: dict[str, argparse.ArgumentParser] = {}
    for name, run, what in (
        ("ls", ls, "the objects in it, or under a prefix, with the first access that may list"),
        ("test", test, "PUT, GET, LIST and DELETE with each access: what may be works, what may not is refused"),
    ):
        made[name] = inner.add_parser(name, help=what, description=what, epilog=epilog, parents=parents)
        made[name].add_argument("name", help="the Bucket's name")
        made[name].add_argument("--endpoint", type=_address, help="the store's address from here, if not its own")
        made[name].set_defaults(run=run)
    made["ls"].add_argument("prefix", nargs="?", default="", help="of the keys to show")
    made["ls"].add_argument("-r", "--recursive", action="store_true", help="what is in folders too")
    made["ls"].add_argument("--versions", action="store_true", help="every version, and the markers of deleted objects")
    made["ls"].add_argument(
        "--limit", type=_count, default=DEFAULT_LIMIT, help=f"lines at most; {DEFAULT_LIMIT} if left out"
    )
    made["ls"].add_argument("--access", help="the access to list with")


def _address(text: str) -> str:
    address = urlsplit(text)
    if address.scheme not in {"http", "https"} or not address.hostname or address.path.strip("/"):
        raise argparse.ArgumentTypeError(
            f"{text} is no address of a store: write http:// or https://, a host and perhaps a port"
        )
    return text.rstrip("/")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of lines: write one from 1")
    return int(text)


def ls(cluster: Cluster, options: argparse.Namespace) -> None:
    from landfall_operator.cli import bucket

    bucket.ls(cluster, options)


def test(cluster: Cluster, options: argparse.Namespace) -> None:
    from landfall_operator.cli import bucket

    bucket.test(cluster, options)
