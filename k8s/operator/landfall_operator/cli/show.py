"""Migrations as lines of text: bodies in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from landfall_operator.cli.terminal import Terminal, brief
from landfall_operator.conditions import condition
from landfall_operator.constants import ANNOTATION_APPROVE, ANNOTATION_APPROVED_BY
from landfall_operator.resource import Json

RECENT_RUNS = 3
INDENT = "  "
HASH_CHARACTERS = 12  # of an approval's hash: enough to tell two plans apart
HIDDEN_FRAMES = ("LINEAGE",)  # the operator's own reading matter


def everything(bodies: Sequence[Json], terminal: Terminal, *, namespaces: bool) -> list[str]:
    """One line a Migration."""
    rows: list[tuple[str, ...]] = [
        ("NAMESPACE", "NAME", "STATE", "CURRENT", "TARGET", "PENDING", "READY", "AGE", "MESSAGE")
    ]
    rows += [_row(body, terminal) for body in bodies]
    return terminal.table(rows if namespaces else [row[1:] for row in rows])


def _row(body: Json, terminal: Terminal) -> tuple[str, ...]:
    state = body.get("status") or {}
    ready = condition(state, "Ready")
    return (
        body["metadata"]["namespace"],
        body["metadata"]["name"],
        state.get("state", "Unknown"),
        state.get("currentRevision") or "-",
        state.get("targetRevision") or "-",
        str(state.get("pendingCount", "-")),
        ready.get("status", "Unknown"),
        terminal.since(body["metadata"].get("creationTimestamp")),
        ready.get("message", ""),
    )


def one(body: Json, terminal: Terminal) -> list[str]:
    """All that there is to say of one."""
    state = body.get("status") or {}
    lines = [*terminal.table(_facts(body, terminal)), *told(body, terminal)]
    parts = {
        "Pending": _pending(state, terminal.narrower(len(INDENT))),
        "Plan": plan_notes(body, terminal) if state.get("plan") else [],
        "Failure": _failure(state.get("failure") or {}, terminal.narrower(len(INDENT))),
        "Last runs": history((state.get("history") or [])[:RECENT_RUNS], terminal.narrower(len(INDENT)))
        if state.get("history")
        else [],
    }
    return lines + sections(parts)


def standing(body: Json, terminal: Terminal) -> list[tuple[str, str]]:
    """What is told first of any kind."""
    ready = condition(body.get("status") or {}, "Ready")
    since = terminal.since(ready.get("lastTransitionTime")) if ready.get("reason") != "Pending" else "-"
    facts = [
        (body["kind"], f"{body['metadata']['namespace']}/{body['metadata']['name']}"),
        ("Ready", ready.get("status", "Unknown")),
        ("Reason", ready.get("reason", "-")),
        ("Since", since),
    ]
    if body["metadata"].get("deletionTimestamp"):
        facts.append(("Deletion", f"asked for {terminal.since(body['metadata']['deletionTimestamp'])} ago"))
    return facts


def told(body: Json, terminal: Terminal) -> list[str]:
    """The message for people, and whether it is about the newest spec."""
    lines = ["", *terminal.wrapped(condition(body.get("status") or {}, "Ready").get("message", ""))]
    if is_unseen(body):
        lines.append("This is what the operator said of an older spec: it has not looked at the newest one yet.")
    return lines


def sections(parts: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines under titles; an empty part has none."""
    return [
        line
        for title, inner in parts.items()
        if inner
        for line in ("", title, *(INDENT + inner_line for inner_line in inner))
    ]


def _pending(state: Json, terminal: Terminal) -> list[str]:
    shown: Sequence[Json] = state.get("pending") or []
    if not shown:
        return []
    more = state.get("pendingCount", 0) - len(shown)
    lines = terminal.table([(pending["revision"], pending.get("message", "")) for pending in shown])
    return [*lines, f"and {more} more"] if more > 0 else lines


def _facts(body: Json, terminal: Terminal) -> list[tuple[str, str]]:
    state = body.get("status") or {}
    image = " ".join(filter(None, [state.get("image", "-"), _short(state.get("imageDigest"))]))
    facts = [
        *standing(body, terminal),
        ("State", state.get("state", "Unknown")),
        ("Current", state.get("currentRevision") or "-"),
        ("Target", state.get("targetRevision") or "-"),
        ("Image", image),
        ("Last job", (state.get("runner") or {}).get("job", "-")),
    ]
    if state.get("nextRetryAt"):
        facts.append(("Next try", state["nextRetryAt"]))
    return facts


def _failure(failure: Json, terminal: Terminal) -> list[str]:
    lines = [f"{name} {failure[name]}" for name in ("revision", "sqlstate") if failure.get(name)]
    for name in ("statement", "log"):
        if failure.get(name):
            lines += [name, *terminal.wrapped(str(failure[name]), indent=INDENT)]
    return lines


def history(entries: Sequence[Json], terminal: Terminal) -> list[str]:
    """One line a run, the newest first."""
    rows = [("STARTED", "PHASE", "OUTCOME", "TOOK", "ATTEMPT", "FROM", "TO", "IMAGE", "MESSAGE")]
    for entry in entries:
        started = terminal.since(entry.get("startedAt"))
        rows.append(
            (
                f"{started} ago" if started != "-" else "-",
                entry.get("phase", "-"),
                entry.get("outcome", "-"),
                _took(entry.get("durationSeconds")),
                str(entry.get("attempts", "-")),
                entry.get("fromRevision", "-"),
                entry.get("toRevision", "-"),
                " ".join(filter(None, [entry.get("image", "-"), _short(entry.get("imageDigest"))])),
                entry.get("message", ""),
            )
        )
    return terminal.table(rows)


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:g}s" if seconds < 120 else brief(seconds)  # noqa: PLR2004 - as brief


def _short(digest: str | None) -> str:
    return (digest or "").removeprefix("sha256:")[:HASH_CHARACTERS]


def plan_notes(body: Json, terminal: Terminal) -> list[str]:
    """What is to be known of a plan besides its SQL: findings, whether it still stands, who approved it."""
    plan: Json = (body.get("status") or {}).get("plan") or {}
    lines = []
    for finding in plan.get("findings") or []:
        severity = terminal.paint(finding["severity"], finding["severity"])
        lines.append(f"line {finding['line']}: {severity}: {finding['message']} ({finding['rule']})")
    if plan.get("note"):
        lines.append(plan["note"])
    if plan.get("unchecked"):
        lines.append(f"unchecked: {plan['unchecked']}")
    lines.append(plan_standing(body))
    lines.append(f"hash {plan.get('hash', '-')}")
    return lines


def plan_standing(body: Json) -> str:
    """Whether the plan is applied, approved, waiting or void."""
    plan: Json = (body.get("status") or {}).get("plan") or {}
    ready = condition(body.get("status") or {}, "Ready")
    annotations: Json = body["metadata"].get("annotations") or {}
    approved = annotations.get(ANNOTATION_APPROVE)
    if is_unseen(body):
        return "void: the spec has changed since, and the operator has not planned for it yet"
    if ready.get("status") == "True":
        return "applied" + _by(plan)
    if approved and approved == plan.get("hash"):
        return "approved" + (_by(plan) or f" by {annotations.get(ANNOTATION_APPROVED_BY, 'unknown')}")
    if ready.get("reason") == "ApprovalNeeded":
        other = f"; the approval of {approved[:HASH_CHARACTERS]}… was for another plan and is void" if approved else ""
        return "waits for an approval" + other
    return f"not applied: {ready.get('reason', 'Unknown')}"


def _by(plan: Json) -> str:
    return f", approved by {plan.get('approvedBy')} at {plan['approvedAt']}" if plan.get("approvedAt") else ""


def is_unseen(body: Json) -> bool:
    """Whether the status is of an older spec than the one that is there."""
    return bool((body.get("status") or {}).get("observedGeneration") != body["metadata"].get("generation"))


def readable(lines: Iterable[str]) -> Iterator[str]:
    """A run's log without what is meant for the operator alone."""
    hidden = False
    for line in lines:
        mark = line.strip()
        if any(mark.startswith(f"-----BEGIN LANDFALL {name} ") for name in HIDDEN_FRAMES):
            hidden = True
        if not hidden:
            yield line
        if any(mark == f"-----END LANDFALL {name}-----" for name in HIDDEN_FRAMES):
            hidden = False
