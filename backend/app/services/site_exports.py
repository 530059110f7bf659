"""All sites that fit, page by page in constant memory: no connection is held while the client reads."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from app.db.session import DatabaseSessionManager
from app.queries.csv_rows import csv_line
from app.queries.paging import Rows
from app.queries.sites import CSV_COLUMNS, SITE
from app.schemas.site import SiteListQuery
from app.schemas.site_transfer import SiteExportQuery
from app.services.export_formats import kind_of
from app.services.site_tables import geoparquet
from app.services.sites import list_sites

PAGE_ROWS = 2500  # some 2 MB; fewer spend more time between queries than in them
FIRST_ROWS = 100  # until it is known how large they are
PAGE_CHARACTERS = 4 * 1024**2  # in large sites, at most about so many


@dataclass(frozen=True, kw_only=True)
class Format:
    """How to write sites: each as what text of SQL's, and what comes before, between and after them."""

    row: ColumnElement[str]
    first: str
    separator: str
    tail: str
    head: str = ""


FORMATS = {
    "geojson": Format(
        row=SITE.row,
        head='{"type":"FeatureCollection","features":[',
        first="\n",
        separator=",\n",
        tail="\n]}\n",
    ),
    "geojsonseq": Format(
        row=SITE.row,
        first="\x1e",
        separator="\n\x1e",
        tail="\n",
    ),
    "csv": Format(
        row=csv_line(list(CSV_COLUMNS.values())),
        head=",".join(CSV_COLUMNS),
        first="\r\n",
        separator="\r\n",
        tail="\r\n",
    ),
}


def export_sites(
    database: DatabaseSessionManager, query: SiteExportQuery, *, progress: Callable[[int], None] = lambda _sites: None
) -> Generator[bytes]:
    """The bytes of the file, to be asked for one by one; each page is read by a short transaction of its own.

    Sites come in the order in which they were made; `progress` is told how many more there are. What is wrong with the
    request is raised at once.
    """
    kind_of(query.format)
    if query.format == "geoparquet":
        return geoparquet(database, query, progress=progress)
    chosen = FORMATS[query.format]
    filters = query.model_dump(exclude={"format"})

    def read(cursor: str | None, rows: int) -> Rows:
        listing = SiteListQuery(**filters, sort="created_at", cursor=cursor)
        listing = listing.model_copy(update={"limit": min(rows, PAGE_ROWS)})  # more than a client may ask for
        with database.reading() as connection:
            return list_sites(connection, listing, row=chosen.row, separator=chosen.separator)

    return _written(chosen, read(None, FIRST_ROWS), read, progress)


def _written(
    chosen: Format, rows: Rows, read: Callable[[str | None, int], Rows], progress: Callable[[int], None]
) -> Generator[bytes]:
    if not rows.returned:
        yield (chosen.head + chosen.tail).encode()
        return
    yield (chosen.head + chosen.first + rows.text).encode()
    progress(rows.returned)
    while rows.next is not None:
        rows = read(rows.next, PAGE_CHARACTERS * rows.returned // len(rows.text) or 1)
        if rows.returned:
            yield (chosen.separator + rows.text).encode()
            progress(rows.returned)
    yield chosen.tail.encode()
