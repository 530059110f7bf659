"""Which resource is meant by NAME or KIND/NAME."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2

from landfall_operator.cli.cluster import KINDS, Cluster, Kind, RefusalError, advice, is_kept_from_us, is_missing
from landfall_operator.constants import GROUP
from landfall_operator.resource import Json


def find(cluster: Cluster, text: str, *, among: Sequence[Kind] = KINDS) -> Json:
    """The one that is meant; raises `RefusalError` where there is none, or where it may be several."""
    kind, name = parsed(text)
    if kind and kind not in among:
        raise RefusalError(f"{text}: this is for {listed([k.plural.title() for k in among], 'and')} only.")
    if kind or len(among) == 1:
        return cluster.get(kind or among[0], name)
    found: list[Json] = []
    unseen: list[httpx2.HTTPError] = []
    for each in among:
        try:
            found.append(cluster.get(each, name))
        except httpx2.HTTPError as error:
            if is_kept_from_us(error):
                unseen.append(error)
            elif not is_missing(error):
                raise
    if len(unseen) == len(among):
        raise unseen[0]
    if len(found) > 1:
        raise RefusalError(f"{name} may mean {listed([reference(body) for body in found], 'or')}: say which.")
    if not found:
        raise RefusalError(_nothing(cluster, name, among, unseen))
    return found[0]


def parsed(text: str) -> tuple[Kind | None, str]:
    """The kind, where one is named, also as `kubectl get -o name` writes it, and the name."""
    word, slash, name = text.rpartition("/")
    if not slash:
        return None, name
    kind = next((k for k in KINDS if word.lower().removesuffix(f".{GROUP}") in k.names), None)
    if kind is None or not name:
        raise RefusalError(
            f"{text} is no KIND/NAME of Landfall's: write migration/NAME, bucket/NAME or credential/NAME."
        )
    return kind, name


def kind_of(body: Json) -> Kind:
    return next(kind for kind in KINDS if kind.name == body["kind"])


def reference(body: Json) -> str:
    """As KIND/NAME, which means nothing else."""
    return f"{body['kind'].lower()}/{body['metadata']['name']}"


def _nothing(cluster: Cluster, name: str, among: Sequence[Kind], unseen: Sequence[httpx2.HTTPError]) -> str:
    kinds = listed([kind.name for kind in among], "or")
    hidden = "".join(
        f" Not looked at: {advice(error, server=cluster.server, namespace=cluster.namespace)}" for error in unseen
    )
    return (
        f'{kinds} "{name}" not found in the namespace {cluster.namespace}. '
        f"See what there is: kubectl landfall status -A{'.' if hidden else ''}{hidden}"
    )


def listed(words: Sequence[str], last: str) -> str:
    """a, b or c."""
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
