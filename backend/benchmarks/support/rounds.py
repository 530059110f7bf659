"""Rounds in which all sides take turns, and the table of what they gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        return f"{'≤' if self.at_most else '≥'} {self.limit:,g}"


def at_most(limit: float) -> Bar:
    return Bar(limit=limit, at_most=True)


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

    @property
    def judged(self) -> float:
        """What the bar is for: the ratio, or our own value where there is no peer."""
        return self.ratio if self.theirs else median(self.ours)

    def cells(self) -> list[str]:
        bar = str(self.bar or "")
        if self.missing:
            return [self.row, "", "", "", bar, self.missing]
        verdict = "" if self.bar is None else "met" if self.bar.met(self.judged) else "**missed**"
        theirs = f"{self.peer} {amount(median(self.theirs))}{self.unit}" if self.theirs else ""
        ratio = f"{self.ratio:.2f}" if self.theirs else ""
        return [self.row, f"{amount(median(self.ours))}{self.unit}", theirs, ratio, bar, verdict]


def amount(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table."""
    return _markdown(["", "ours", "peer", "ratio", "bar", ""], [line.cells() for line in lines])


def growth_table(waits: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The waits in milliseconds of each row by the size of the database, and the largest's to the smallest's."""
    sizes = list(next(iter(waits.values())))
    rows = []
    for name, values in waits.items():
        ratio = Line(row=name, ours=values[sizes[-1]], theirs=values[sizes[0]]).ratio
        rows.append([name, *(f"{amount(median(values[size]))} ms" for size in sizes), f"{ratio:.2f}"])
    return _markdown(["", *(f"{size} rows" for size in sizes), "last to first"], rows)


def _markdown(head: list[str], body: Sequence[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
