"""Text for a terminal: widths, colours, times. Only `of_stdout` and `say` do I/O."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from landfall_operator.resource import moment

GREEN, RED, YELLOW, DIM = "32", "31", "33", "2"
COLOURS = {
    "True": GREEN,
    "False": RED,
    "Unknown": YELLOW,
    "Destructive": RED,
    "Blocking": YELLOW,
    "Style": DIM,
    "Succeeded": GREEN,
    "UpToDate": GREEN,
    "Failed": RED,
    "works": GREEN,
    "refused": GREEN,
    "WRONG": RED,
}
GAP = 2
NARROWEST_COLUMN = 4


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """What is written to: `width` in columns, None where lines may be of any length."""

    width: int | None = None
    colours: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def narrower(self, columns: int) -> Terminal:
        return replace(self, width=None if self.width is None else self.width - columns)

    def paint(self, text: str, kind: str) -> str:
        code = COLOURS.get(kind)
        return f"\033[{code}m{text}\033[0m" if self.colours and code else text

    def table(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Rows in columns; the widest columns are cut until a line fits."""
        lines = []
        widths = self._widths(rows)
        for row in rows:
            cut = [_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)]
            cut[-1] = cut[-1].rstrip()
            painted = [self.paint(text, cell) for text, cell in zip(cut, row, strict=True)]
            lines.append((" " * GAP).join(painted).rstrip())
        return lines

    def _widths(self, rows: Sequence[Sequence[str]]) -> list[int]:
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        room = None if self.width is None else self.width - GAP * (len(widths) - 1)
        while room is not None and sum(widths) > room and max(widths) > NARROWEST_COLUMN:
            widths[widths.index(max(widths))] -= 1
        return widths

    def wrapped(self, text: str, *, indent: str = "") -> list[str]:
        """A text for people, its own line breaks kept; commands are not broken at their hyphens."""
        lines: list[str] = []
        for line in text.splitlines():
            width = 10_000 if self.width is None else max(self.width, 2 * NARROWEST_COLUMN)
            lines += textwrap.wrap(
                line,
                width,
                initial_indent=indent,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [""]
        return lines

    def since(self, text: str | None) -> str:
        """How long ago, as `12m`; a dash where there is no time."""
        at = moment(text)
        return brief((self.now - at).total_seconds()) if at else "-"


def of_stdout() -> Terminal:
    tty = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if tty else None
    return Terminal(width=width, colours=tty and not os.environ.get("NO_COLOR"))


def say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def brief(seconds: float) -> str:
    """A duration in its two leading digits or so: 95s, 12m, 5h, 3d."""
    total = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if total >= 2 * size:
            return f"{total // size}{unit}"
    return f"{total}s"


def _cut(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
