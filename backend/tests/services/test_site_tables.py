"""The process that writes tables of sites: constant memory, nothing half that looks whole, and no process left."""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.services.site_tables import TableWriter, TableWriterError, TableWriterKilledError, _written
from app.services.table_writer import WITH_BOXES, _batch, write_geoparquet
from tests.support.processes import table_writers
from tests.support.tools import wait_until

ROWS = 1000


def page(number: int, rows: int = ROWS) -> dict[str, list[Any]]:
    now = datetime.now(UTC)
    site: dict[str, Any] = {"name": f"Well {number}", "kind": "well", "external_id": None, "properties": "{}"}
    site |= {
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "geometry": b"wkb",
        "xmin": 0,
        "ymin": number,
        "xmax": 1,
        "ymax": 9,
    }
    return {"id": [str(uuid.uuid4()) for _ in range(rows)], "owner_id": [str(uuid.uuid4())] * rows} | {
        name: [value] * rows for name, value in site.items()
    }


def test_a_page_is_forgotten_when_the_next_one_is_read() -> None:
    _batch(page(0), WITH_BOXES)
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(10):
        _batch(page(number), WITH_BOXES)
    gc.collect()
    assert sys.getallocatedblocks() - before < ROWS


def test_each_group_of_rows_goes_on_its_way_when_it_is_full() -> None:
    answers: list[bytes] = []
    write_geoparquet(iter([page(number, 2) for number in (5, 3, 4)]), answers.append, group_rows=4)
    assert [bool(answer) for answer in answers] == [True, False, True, False, True]
    file = pq.ParquetFile(io.BytesIO(b"".join(answers)))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [4, 2]
    assert b'"bbox": [0.0, 3.0, 1.0, 9.0]' in file.metadata.metadata[b"geo"]


def test_an_error_of_the_process_is_one_of_the_stream() -> None:
    stream = _written(iter([pickle.dumps({"id": ["1"]})]))
    assert next(stream) == b"PAR1"
    with pytest.raises(TableWriterError, match="KeyError: 'xmin'"):
        list(stream)


def test_the_end_of_the_process_is_one_of_the_stream() -> None:
    stream = _written(iter([pickle.dumps(page(0))]))
    assert next(stream) == b"PAR1"
    (pid,) = table_writers()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(TableWriterKilledError, match="ended by signal 9"):
        list(stream)


def test_without_who_started_it_the_process_ends_and_the_file_is_not_finished() -> None:
    writer = TableWriter("geoparquet").__enter__()
    writer.receive()
    writer._stdin.close()
    wait_until(lambda: not writer.is_running(), timeout_seconds=10, what="its end")
    assert writer._stdout.read() == b""
    with pytest.raises(TableWriterError, match="EOFError"):
        writer.__exit__(None, None, None)


def test_who_reads_no_further_leaves_no_process() -> None:
    def pages() -> Iterator[bytes]:
        while True:
            yield pickle.dumps(page(0))

    stream = _written(pages())
    next(stream)
    assert len(table_writers()) == 1
    stream.close()
    assert table_writers() == set()
