"""Rounds in which all sides take turns, and the table of what they gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What the ratio must reach, or with `at_most` must not exceed."""

    limit: float
    at_most: bool = False

    def met(self, ratio: float) -> bool:
        return ratio <= self.limit if self.at_most else ratio >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: both sides' values round by round, or why there are none."""

    row: str
    unit: str = "/s"
    ours: Sequence[float] = ()
    peer: str = ""
    theirs: Sequence[float] = ()
    bar: Bar | None = None
    missing: str = ""

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: what disturbs the machine in a round disturbs both sides."""
        return median(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    def cells(self) -> list[str]:
        bar = str(self.bar or "")
        if self.missing:
            return [self.row, "", "", "", bar, self.missing]
        verdict = "" if self.bar is None else "met" if self.bar.met(self.ratio) else "**missed**"
        theirs = f"{self.peer} {amount(median(self.theirs))}{self.unit}"
        return [self.row, f"{amount(median(self.ours))}{self.unit}", theirs, f"{self.ratio:.2f}", bar, verdict]


def amount(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table."""
    head = ["", "ours", "peer", "ratio", "bar", ""]
    rows = [head, ["---"] * len(head), *(line.cells() for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
