"""Tables of sites take no memory beyond the page that is read."""

from __future__ import annotations

import gc
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

from app.services.site_tables import _batch

ROWS = 1000


def page(number: int) -> Any:
    """As psycopg2 reads it."""
    now = datetime.now(UTC)
    return [
        (uuid.uuid4(), f"Well {number}", "well", None, "{}", uuid.uuid4(), 1, now, now, memoryview(b"wkb"), 0, 0, 0, 0)
        for _ in range(ROWS)
    ]


def test_a_page_is_forgotten_when_the_next_one_is_read() -> None:
    _batch(page(0))
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(10):
        _batch(page(number))
    gc.collect()
    assert sys.getallocatedblocks() - before < ROWS
