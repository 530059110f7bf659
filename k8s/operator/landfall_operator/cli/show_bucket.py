"""Buckets as lines of text: bodies in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from landfall_operator.cli.show import INDENT, sections, standing, told
from landfall_operator.cli.terminal import Terminal
from landfall_operator.conditions import condition
from landfall_operator.resource import Json

USUAL_CONDITIONS = {"Ready", "Reconciling", "Stalled"}  # these say the same, which stands above


def everything(bodies: Sequence[Json], terminal: Terminal, *, namespaces: bool) -> list[str]:
    """One line a Bucket."""
    rows: list[tuple[str, ...]] = [
        ("NAMESPACE", "NAME", "BUCKET", "ENDPOINT", "POLICY", "ACCESSES", "READY", "AGE", "MESSAGE")
    ]
    rows += [_row(body, terminal) for body in bodies]
    return terminal.table(rows if namespaces else [row[1:] for row in rows])


def _row(body: Json, terminal: Terminal) -> tuple[str, ...]:
    spec, ready = body["spec"], condition(body.get("status") or {}, "Ready")
    return (
        body["metadata"]["namespace"],
        body["metadata"]["name"],
        spec["bucketName"],
        spec["store"]["endpoint"],
        spec.get("deletionPolicy", "-"),
        str(len(spec.get("access") or [])),
        ready.get("status", "Unknown"),
        terminal.since(body["metadata"].get("creationTimestamp")),
        ready.get("message", ""),
    )


def one(body: Json, terminal: Terminal) -> list[str]:
    """All that there is to say of one."""
    state = body.get("status") or {}
    inner = terminal.narrower(len(INDENT))
    parts = {
        "Accesses": _accesses(body, inner),
        "Conditions": _conditions(state.get("conditions") or [], inner),
    }
    return [*terminal.table(_facts(body, terminal)), *told(body, terminal), *sections(parts)]


def _facts(body: Json, terminal: Terminal) -> list[tuple[str, str]]:
    spec, state = body["spec"], body.get("status") or {}
    store = spec["store"]
    facts = [
        *standing(body, terminal),
        ("Store", f"{store['endpoint']}, region {store.get('region', '-')}"),
        ("Bucket name", spec["bucketName"]),
        ("Origin", state.get("origin", "-")),
        ("Policy", spec.get("deletionPolicy", "-")),
        ("Accounts", store.get("accounts", "-")),
    ]
    asked = (("Versioning", spec.get("versioning")), ("Quota", spec.get("quota")))
    facts += [(name, str(value)) for name, value in asked if value]
    # What a moved Bucket has left behind is not looked at any more.
    if state.get("endpoint", store["endpoint"]) != store["endpoint"]:
        facts.append(("Last seen at", state["endpoint"]))
    return facts


def _accesses(body: Json, terminal: Terminal) -> list[str]:
    wanted: Sequence[Json] = body["spec"].get("access") or []
    made = {access.get("name"): access for access in (body.get("status") or {}).get("access") or []}
    if not wanted:
        return []
    rows = [("NAME", "MODE", "SECRET", "KEY ID", "PREVIOUS KEY ID")]
    for access in wanted:
        keys = made.get(access["name"], {})
        previous = keys.get("previousAccessKeyId", "-")
        if keys.get("previousUntil"):
            previous += f" until {keys['previousUntil']}"
        rows.append((access["name"], access["mode"], access["secretName"], keys.get("accessKeyId", "-"), previous))
    return terminal.table(rows)


def _conditions(conditions: Iterable[Json], terminal: Terminal) -> list[str]:
    return [
        line
        for condition in conditions
        if condition["type"] not in USUAL_CONDITIONS
        for line in terminal.wrapped(f"{condition['type']} {condition['status']}: {condition['message']}")
    ]


def rotation(body: Json) -> list[str]:
    """What a rotation does, for who has just asked for one."""
    spec = body["spec"]
    names = ", ".join(access["secretName"] for access in spec["access"])
    overlap = spec.get("rotationOverlap", "1h")
    older = [
        f"Those before, {access['previousAccessKeyId']} of {access['name']}, end now."
        for access in (body.get("status") or {}).get("access") or []
        if access.get("previousAccessKeyId")
    ]
    return [
        f"asked for new keys of {spec['bucketName']}. They go into {names}; the old ones work for {overlap} more.",
        *older,
        "Restart by then what has read them: a Secret's change reaches no environment variable by itself.",
    ]
