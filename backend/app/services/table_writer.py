"""Write tables of sites: `python -m app.services.table_writer geoparquet`, or with one of GDAL's drivers and a file.

Pages of rows come pickled on standard input, `None` after the last. GeoParquet goes to standard output, an answer for
the beginning, each page and the end: its size in eight bytes, then so many.

A process of its own: Arrow and GDAL take 100 MiB and more, which a process keeps, and GDAL holds Python's lock while it
writes, an index of many sites for most of a second.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

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
Page = Mapping[str, Sequence[Any]]
Bounds = dict[str, float | None]


def write_by_gdal(pages: Iterator[Page], *, driver: str, path: str) -> None:
    from pyogrio.raw import write_arrow  # GDAL, which GeoParquet does not need

    write_arrow(
        pa.RecordBatchReader.from_batches(ATTRIBUTES, (_batch(page, ATTRIBUTES) for page in pages)),
        path,
        layer="sites",
        driver=driver,
        geometry_name="geometry",
        geometry_type="Unknown",  # of any type
        crs="EPSG:4326",
    )


def write_geoparquet(pages: Iterator[Page], answer: Callable[[bytes], object], *, group_rows: int = GROUP_ROWS) -> None:
    """GeoParquet 1.1, a group of rows after the other, in constant memory."""
    sink = _Sink()
    group: list[pa.RecordBatch] = []
    bounds = dict.fromkeys(SIDES)
    with pq.ParquetWriter(sink, WITH_BOXES, compression="zstd") as writer:
        answer(sink.take())
        for page in pages:
            group.append(_batch(page, WITH_BOXES))
            if sum(map(len, group)) >= group_rows or sum(part.nbytes for part in group) >= GROUP_BYTES:
                _write_group(writer, group, bounds)
                group.clear()
            answer(sink.take())
        if group:
            _write_group(writer, group, bounds)
        writer.add_key_value_metadata({"geo": json.dumps(_description(bounds))})
    answer(sink.take())


def _write_group(writer: pq.ParquetWriter, group: Sequence[pa.RecordBatch], bounds: Bounds) -> None:
    table = pa.Table.from_batches(group)
    writer.write_table(table, row_group_size=len(table))
    for side in SIDES:
        widest = min if side.endswith("min") else max
        found = [getattr(pc, widest.__name__)(batch["bbox"].field(side)).as_py() for batch in group]
        bounds[side] = widest(found if bounds[side] is None else [*found, bounds[side]])


def _batch(page: Page, schema: pa.Schema) -> pa.RecordBatch:
    boxes = [pa.array(page[side], pa.float64()) for side in SIDES]
    arrays = [
        pa.StructArray.from_arrays(boxes, fields=list(BOX))
        if field.type == BOX
        else pa.array(page[field.name], field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


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


def _received() -> Iterator[Page]:
    while (page := pickle.load(sys.stdin.buffer)) is not None:  # noqa: S301 - of the process that started this one
        yield page


def _answer(data: bytes) -> None:
    sys.stdout.buffer.write(len(data).to_bytes(8) + data)
    sys.stdout.buffer.flush()


def main(driver: str, path: str = "") -> None:
    if driver == "geoparquet":
        write_geoparquet(_received(), _answer)
    else:
        write_by_gdal(_received(), driver=driver, path=path)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - whoever started it reads the last line
        sys.exit(f"{type(error).__name__}: {error}")
