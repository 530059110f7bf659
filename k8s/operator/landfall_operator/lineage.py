"""Which revisions descend from which, remembered beyond the image that carried them: `rev<down,down`, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAX_LINES = 500


def merge(newer: Iterable[str], older: Iterable[str]) -> list[str]:
    """One image's lines, after those that only others told: after a rollback these alone prove that it is behind.

    What is oldest is forgotten; the lines of other images take half of the room at most.
    """
    here = list(dict.fromkeys(newer))
    others = [line for line in dict.fromkeys(older) if line not in set(here)]
    return [*others[: MAX_LINES // 2], *here][:MAX_LINES]


def parents(lines: Iterable[str]) -> dict[str, list[str]]:
    split = (line.partition("<") for line in lines)
    return {revision: [down for down in downs.split(",") if down] for revision, _, downs in split}


def descends(lines: Sequence[str], revision: str, ancestors: Iterable[str]) -> bool | None:
    """Whether a revision comes after one of the others; None for one that no image was seen to carry."""
    down = parents(lines)
    if revision not in down:
        return None
    wanted, pending, seen = set(ancestors), [revision], set[str]()
    while pending:
        here = pending.pop()
        if here in wanted:
            return True
        if here not in seen:
            seen.add(here)
            pending += down.get(here, [])
    return False
