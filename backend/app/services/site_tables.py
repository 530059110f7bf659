"""Sites as tables: pages of rows, and the process that makes a file of them (`app.services.table_writer`)."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

from sqlalchemy import Row

from app.db.session import DatabaseSessionManager
from app.queries.sites import fetch_site_rows
from app.schemas.site import SiteFilter
from app.services.sites import wanted

PAGE_ROWS = 2500
FIRST_ROWS = 100  # until it is known how large they are
PAGE_BYTES = 4 * 1024**2  # in large sites, at most about so many
WAIT_SECONDS = 0.2  # between looks at whether the process has ended
PLAIN: Final[dict[str, Callable[[Any], object]]] = {"id": str, "owner_id": str, "geometry": bytes}
END: Final = pickle.dumps(None)

Progress = Callable[[int], None]
After = tuple[datetime, uuid.UUID] | None


class TableWriterError(Exception):
    """What the process said last."""


class TableWriterKilledError(TableWriterError):
    """It was ended from outside: there was too little memory, or all processes are to end."""


class TableWriter:
    """A process that writes pages to a file, or as GeoParquet for `receive`; it is gone when the block ends.

    Raises `TableWriterError` where it fails, `TableWriterKilledError` where it may be tried again.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __enter__(self) -> Self:
        self._complaints = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.services.table_writer", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            process_group=0,  # what ends this process at a terminal is not the end of its files
        )
        self._stdin = cast("BinaryIO", self._process.stdin)
        self._stdout = cast("BinaryIO", self._process.stdout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._complaints, self._process:
            if error is not None:
                self._process.kill()
            with suppress(BrokenPipeError):
                self._stdin.close()
            if error is None and self._process.wait():
                raise self._failure()

    def send(self, page: bytes) -> None:
        try:
            self._stdin.write(page)
            self._stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def receive(self) -> bytes:
        """What it wrote of what was sent last; less where it has ended, which `send` and the block's end tell."""
        return self._stdout.read(int.from_bytes(self._stdout.read(8)))

    def is_running(self) -> bool:
        try:
            self._process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _failure(self) -> TableWriterError:
        status = self._process.wait()
        if status < 0:
            return TableWriterKilledError(f"The process that writes it was ended by signal {-status}; is memory short?")
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return TableWriterError(lines[-1] if lines else f"its writer ended with {status}")


def pages(database: DatabaseSessionManager, query: SiteFilter, *, progress: Progress) -> Iterator[bytes]:
    """Pages in the order in which the sites were made, each read by a short transaction of its own.

    What is wrong with the query is raised at once.
    """
    area, condition = wanted(query)

    def read(after: After, limit: int) -> Sequence[Row[Any]]:
        with database.reading() as connection:
            return fetch_site_rows(connection, query, area=area, condition=condition, after=after, limit=limit)

    return _paged(read(None, FIRST_ROWS), read, progress)


def geoparquet(database: DatabaseSessionManager, query: SiteFilter, *, progress: Progress) -> Generator[bytes]:
    """The bytes of the file; while the process writes a page the next one is read."""
    return _written(pages(database, query, progress=progress))


def _written(pages: Iterator[bytes]) -> Generator[bytes]:
    with TableWriter("geoparquet") as writer:
        for page in pages:
            yield writer.receive()
            writer.send(page)
        yield writer.receive()
        writer.send(END)
        yield writer.receive()


def _paged(
    rows: Sequence[Row[Any]], read: Callable[[After, int], Sequence[Row[Any]]], progress: Progress
) -> Iterator[bytes]:
    while rows:
        page = _page(rows)
        yield page
        progress(len(rows))
        rows = read((rows[-1].created_at, rows[-1].id), min(PAGE_ROWS, PAGE_BYTES * len(rows) // len(page) or 1))


def _page(rows: Sequence[Row[Any]]) -> bytes:
    columns = zip(rows[0]._fields, zip(*rows, strict=True), strict=True)
    return pickle.dumps({name: list(map(PLAIN[name], column)) if name in PLAIN else column for name, column in columns})
