"""What `kubectl landfall bucket` does, with the keys of the Bucket's accesses, which its user must be able to read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import httpx2

from landfall_operator.cli import objects
from landfall_operator.cli.cluster import BUCKET, Cluster, RefusalError, is_missing
from landfall_operator.cli.endpoint import check_certificate_against, route
from landfall_operator.cli.finding import find
from landfall_operator.cli.terminal import of_stdout, say
from landfall_operator.cli.trial import VERBS, Access, Trial
from landfall_operator.conditions import condition
from landfall_operator.resource import Json
from landfall_operator.s3.connection import Connection, Stores
from landfall_operator.s3.errors import StoreError, explained

ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
# Who may list, and whoever may list versions.
LISTERS = {False: ("ReadOnly", "ReadWrite"), True: ("ReadWrite",)}
UNREACHED = {"StoreUnreachable", "StoreTimeout"}
SHARED = "accounts: Shared: every access has the store's own keys, and no mode is enforced."


def ls(cluster: Cluster, options: argparse.Namespace) -> None:
    body = find(cluster, options.name, among=[BUCKET])
    chosen = _lister(body, options)
    with (
        _opened(cluster, body, [chosen], options) as (access,),
        _told(body, access, options),
        explained(access.connection, "list the objects"),
    ):
        found, more = objects.entries(
            access.client,
            body["spec"]["bucketName"],
            options.prefix,
            recursive=options.recursive,
            versions=options.versions,
            limit=options.limit,
        )
    where = f"under {objects.printable(options.prefix)} " if options.prefix else ""
    if not found:
        say([f"There is nothing {where}in the bucket {body['spec']['bucketName']}."])
        return
    say(objects.lines(found, of_stdout(), versions=options.versions))
    if more:
        sys.stderr.write(f"There is more: name a PREFIX, or a --limit above {options.limit}.\n")


def test(cluster: Cluster, options: argparse.Namespace) -> None:
    body = find(cluster, options.name, among=[BUCKET])
    wanted: Sequence[Json] = body["spec"].get("access") or []
    if not wanted:
        raise RefusalError(f"the Bucket {options.name} has no access to test. Add one to spec.access.")
    trial = Trial(bucket=body["spec"]["bucketName"], enforced=not _is_shared(body))
    with _opened(cluster, body, wanted, options) as accesses:
        try:
            with _told(body, accesses[0], options):
                trial.run(accesses)
        finally:
            trial.clean(accesses)
            for key in sorted({key for key, _ in trial.left}):
                sys.stderr.write(f"No access may delete {key}: it stays in the bucket {trial.bucket}.\n")
    _judge(body, trial, accesses)


def _judge(body: Json, trial: Trial, accesses: Sequence[Access]) -> None:
    rows: list[tuple[str, ...]] = [("ACCESS", "MODE", *VERBS)]
    wrong: list[str] = []
    for access in accesses:
        outcomes = {verb: trial.outcome(access, verb) for verb in VERBS}
        rows.append((access.name, access.mode, *(outcome.word for outcome in outcomes.values())))
        wrong += [f"{verb} with {access.name}: {outcome.why}" for verb, outcome in outcomes.items() if outcome.why]
    say(of_stdout().table(rows))
    if _is_shared(body):
        say([SHARED])
    if wrong:
        raise RefusalError(f"{len(wrong)} of {len(accesses) * len(VERBS)} are wrong: {'; '.join(wrong)}.")


def _is_shared(body: Json) -> bool:
    return bool(body["spec"]["store"].get("accounts") == "Shared")


def _lister(body: Json, options: argparse.Namespace) -> Json:
    accesses: Sequence[Json] = body["spec"].get("access") or []
    names = ", ".join(f"{access['name']} ({access['mode']})" for access in accesses)
    if options.access:
        found = next((access for access in accesses if access["name"] == options.access), None)
        if found is None:
            raise RefusalError(f"{options.name} has no access {options.access}. It has {names or 'none'}.")
        return found
    modes = LISTERS[options.versions] if not _is_shared(body) else {access["mode"] for access in accesses}
    found = next((access for access in accesses if access["mode"] in modes), None)
    if found is None:
        what = "list versions" if options.versions else "list"
        raise RefusalError(
            f"no access of {options.name} may {what}: it has {names or 'none'}. "
            f"Add one of mode {LISTERS[options.versions][0]} to spec.access."
        )
    return found


@contextmanager
def _opened(
    cluster: Cluster, body: Json, wanted: Sequence[Json], options: argparse.Namespace
) -> Iterator[list[Access]]:
    """The accesses with their keys and clients, while the way to the store is open."""
    store: Json = body["spec"]["store"]
    keys = [_keys(cluster, body, access) for access in wanted]
    bundle = _bundle(cluster, store)
    with route(cluster, store["endpoint"], override=options.endpoint) as way, closing(Stores(kept=len(keys))) as stores:
        made = []
        for access, pair in zip(wanted, keys, strict=True):
            connection = Connection(
                endpoint=way.endpoint,
                region=store["region"],
                path_style=store["forcePathStyle"] or way.host is not None,  # 127.0.0.1 has no subdomains
                access_key=pair[ACCESS_KEY],
                secret_key=pair[SECRET_KEY],
                ca_bundle=bundle,
            )
            try:
                client = stores.client(connection)
            except StoreError as error:
                raise RefusalError(error.message) from None
            if way.host:
                check_certificate_against(client, way.host)
            made.append(
                Access(
                    name=access["name"],
                    mode=access["mode"],
                    secret=access["secretName"],
                    connection=connection,
                    client=client,
                )
            )
        yield made


def _keys(cluster: Cluster, body: Json, access: Json) -> Mapping[str, str]:
    """What the application has; the operator's own keys are nobody's business here."""
    name, secret = body["metadata"]["name"], access["secretName"]
    try:
        found = cluster.secret(secret)
    except httpx2.HTTPError as error:
        if not is_missing(error):
            raise
        raise RefusalError(f"the access {access['name']} has no Secret {secret} yet: {_standing(body)}") from None
    missing = [key for key in (ACCESS_KEY, SECRET_KEY) if not found.get(key)]
    if missing:
        retry = f"Ask the operator to mend it: kubectl landfall retry bucket/{name}"
        raise RefusalError(f"the Secret {secret} of the access {access['name']} lacks {' and '.join(missing)}. {retry}")
    return found


def _bundle(cluster: Cluster, store: Json) -> str | None:
    """The CA's certificates, where the store has some of its own."""
    reference: Json | None = store.get("caBundleRef")
    if reference is None:
        return None
    read = cluster.secret if reference["kind"] == "Secret" else cluster.config_map
    found = read(reference["name"]).get(reference["key"])
    if found is None:
        raise RefusalError(
            f"the {reference['kind']} {reference['name']} of spec.store.caBundleRef has no key {reference['key']}."
        )
    return found


@contextmanager
def _told(body: Json, access: Access, options: argparse.Namespace) -> Iterator[None]:
    """What the store answers, told to the one who asked; the operator's own remedies are for its status."""
    try:
        yield
    except StoreError as error:
        raise RefusalError(_trouble(error, body, access, options)) from None


def _trouble(error: StoreError, body: Json, access: Access, options: argparse.Namespace) -> str:
    spec, name = body["spec"], body["metadata"]["name"]
    who = f"the access {access.name} ({access.mode})"
    if error.code == "NoSuchBucket":
        return f"the store has no bucket {spec['bucketName']}. The operator says: {_standing(body)}"
    if error.reason == "AccessDenied":
        return f"{who} may not do that: the store answers {error.code}. Name another by --access."
    if error.reason == "WrongKeys":
        look = f"See what the operator says: kubectl landfall status bucket/{name}"
        return f"the store does not take the keys of {who}, of the Secret {access.secret} ({error.code}). {look}"
    if options.endpoint:
        return error.message
    text = error.message.replace(access.connection.endpoint, spec["store"]["endpoint"])
    if condition(body.get("status") or {}, "Ready").get("status") != "True":
        text += f" The operator says: {_standing(body)}"
    if error.reason in UNREACHED:
        text += f" From this machine another address may do: --endpoint {spec['store'].get('publicEndpoint') or 'URL'}"
    return text


def _standing(body: Json) -> str:
    ready = condition(body.get("status") or {}, "Ready")
    return f"{ready.get('reason', 'Unknown')}: {ready.get('message', '')}"
