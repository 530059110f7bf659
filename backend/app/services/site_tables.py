"""Sites as Arrow batches, and as GeoParquet 1.1 in constant memory."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Row

from app.db.session import DatabaseSessionManager
from app.queries.sites import fetch_site_rows
from app.schemas.site import SiteFilter
from app.services.sites import wanted

PAGE_ROWS = 2500
FIRST_ROWS = 100  # until it is known how large they are
PAGE_BYTES = 4 * 1024**2  # in large sites, at most about so many
GROUP_ROWS = 10_000
GROUP_BYTES = 8 * 1024**2

MOMENT = pa.timestamp("us", "UTC")
SIDES = ("xmin", "ymin", "xmax", "ymax")
ATTRIBUTES = pa.schema(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("external_id", pa.string()),
        ("properties", pa.string()),
        ("owner_id", pa.string()),
        ("version", pa.int32()),
        ("created_at", MOMENT),
        ("updated_at", MOMENT),
        ("geometry", pa.binary()),
    ]
)
# Of each row, so that a reader passes over the groups of rows that are elsewhere (GeoParquet's "covering").
BOX = pa.struct([(side, pa.float64()) for side in SIDES])
WITH_BOXES = ATTRIBUTES.append(pa.field("bbox", BOX))
Progress = Callable[[int], None]
After = tuple[datetime, uuid.UUID] | None
Bounds = dict[str, float | None]


def batches(database: DatabaseSessionManager, query: SiteFilter, *, progress: Progress) -> Iterator[pa.RecordBatch]:
    """Pages in the order in which the sites were made, each read by a short transaction of its own, boxes included.

    What is wrong with the query is raised at once.
    """
    area, condition = wanted(query)

    def read(after: After, limit: int) -> Sequence[Row[Any]]:
        with database.reading() as connection:
            return fetch_site_rows(connection, query, area=area, condition=condition, after=after, limit=limit)

    return _paged(read(None, FIRST_ROWS), read, progress)


def _paged(
    rows: Sequence[Row[Any]], read: Callable[[After, int], Sequence[Row[Any]]], progress: Progress
) -> Iterator[pa.RecordBatch]:
    while rows:
        batch = _batch(rows)
        yield batch
        progress(len(rows))
        rows = read((rows[-1].created_at, rows[-1].id), min(PAGE_ROWS, PAGE_BYTES * len(rows) // batch.nbytes or 1))


def geoparquet(database: DatabaseSessionManager, query: SiteFilter, *, progress: Progress) -> Iterator[bytes]:
    """The bytes of the file, a group of rows after the other."""
    return _written(batches(database, query, progress=progress))


def _written(pages: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    sink = _Sink()
    group: list[pa.RecordBatch] = []
    bounds = dict.fromkeys(SIDES)
    with pq.ParquetWriter(sink, WITH_BOXES, compression="zstd") as writer:
        for batch in pages:
            group.append(batch)
            if sum(map(len, group)) >= GROUP_ROWS or sum(part.nbytes for part in group) >= GROUP_BYTES:
                _write_group(writer, group, bounds)
                group.clear()
                yield sink.take()
        if group:
            _write_group(writer, group, bounds)
        writer.add_key_value_metadata({"geo": json.dumps(_description(bounds))})
    yield sink.take()


def _write_group(writer: pq.ParquetWriter, group: Sequence[pa.RecordBatch], bounds: Bounds) -> None:
    table = pa.Table.from_batches(group)
    writer.write_table(table, row_group_size=len(table))
    for side in SIDES:
        widest = min if side.endswith("min") else max
        found = [getattr(pc, widest.__name__)(batch["bbox"].field(side)).as_py() for batch in group]
        bounds[side] = widest(found if bounds[side] is None else [*found, bounds[side]])


def _batch(rows: Sequence[Row[Any]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True))
    # Of a memoryview, as psycopg2 gives it, pyarrow 26 never lets go.
    plain = {"id": str, "owner_id": str, "geometry": bytes}
    arrays = [
        pa.array(map(plain[field.name], column) if field.name in plain else column, field.type, size=len(rows))
        for column, field in zip(columns, ATTRIBUTES, strict=False)
    ]
    sides = [pa.array(column, pa.float64()) for column in columns[len(ATTRIBUTES) :]]
    return pa.RecordBatch.from_arrays([*arrays, pa.StructArray.from_arrays(sides, fields=list(BOX))], schema=WITH_BOXES)


def _description(bounds: Bounds) -> dict[str, Any]:
    """GeoParquet's metadata; without a reference system it is longitude and latitude of WGS 84."""
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [],  # any
        "covering": {"bbox": {side: ["bbox", side] for side in SIDES}},
    }
    if None not in bounds.values():
        column["bbox"] = list(bounds.values())
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


class _Sink(io.RawIOBase):
    """A file that forgets what was taken from it, and not how long it is."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
