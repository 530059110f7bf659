"""Credentials as lines of text: bodies in, lines out. Of a Secret only the names of its keys are known here."""

from __future__ import annotations

from collections.abc import Sequence

from landfall_operator.cli.show import INDENT, sections, standing, told
from landfall_operator.cli.terminal import Terminal
from landfall_operator.conditions import condition
from landfall_operator.resource import Json


def everything(bodies: Sequence[Json], terminal: Terminal, *, namespaces: bool) -> list[str]:
    """One line a Credential."""
    rows: list[tuple[str, ...]] = [("NAMESPACE", "NAME", "SECRET", "KEYS", "POLICY", "READY", "AGE", "MESSAGE")]
    rows += [_row(body, terminal) for body in bodies]
    return terminal.table(rows if namespaces else [row[1:] for row in rows])


def _row(body: Json, terminal: Terminal) -> tuple[str, ...]:
    spec, state = body["spec"], body.get("status") or {}
    ready = condition(state, "Ready")
    return (
        body["metadata"]["namespace"],
        body["metadata"]["name"],
        spec["secretName"],
        str(len(state["keys"])) if "keys" in state else "-",
        spec.get("deletionPolicy", "-"),
        ready.get("status", "Unknown"),
        terminal.since(body["metadata"].get("creationTimestamp")),
        ready.get("message", ""),
    )


def one(body: Json, terminal: Terminal) -> list[str]:
    """All that there is to say of one."""
    spec, state = body["spec"], body.get("status") or {}
    rotated = state.get("rotatedAt")
    facts = [
        *standing(body, terminal),
        ("Secret", spec["secretName"]),
        ("Rotated", f"{terminal.since(rotated)} ago, at {rotated}" if rotated else "never"),
        ("Policy", spec.get("deletionPolicy", "-")),
        ("On loss", spec.get("onLoss", "-")),
    ]
    inner = terminal.narrower(len(INDENT))
    parts = {
        "Keys": inner.wrapped(", ".join(state.get("keys") or [])),
        "Kept, though the spec names them no more": inner.wrapped(", ".join(state.get("unlistedKeys") or [])),
    }
    return [*terminal.table(facts), *told(body, terminal), *sections(parts)]


def rotation(body: Json) -> list[str]:
    """What a rotation does, for who has just asked for one."""
    spec = body["spec"]
    keys = [key for key, value in spec["values"].items() if "generate" in value]
    old = "The old ones stay beside them, under the same names and .previous, until the next rotation."
    return [
        f"asked for new values of {', '.join(keys)} in {spec['secretName']}. {old}",
        "Tell whoever checks them, such as the database, and restart what has read them.",
    ]
