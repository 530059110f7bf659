"""Whatever a process may have, it has enough for each of its uses and never more than a budget counts on."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from app.db.shares import share_out
from app.settings import DatabaseSettings

URL = SecretStr("postgresql://landfall:secret@db/landfall")


@pytest.mark.parametrize(
    ("given", "work", "reads", "look_ups", "probes"),
    [
        ((5, 10), (2, 5), (1, 5), 2, 2),
        ((5, 5), (2, 3), (1, 2), 2, 2),
        ((5, 0), (2, 0), (2, 0), 1, 2),
        ((1, 4), (1, 1), (1, 1), 1, 2),
        ((4, 1), (2, 0), (1, 1), 1, 2),
        ((2, 1), (1, 0), (1, 0), 1, 2),
        ((2, 0), (1, 0), (1, 0), 0, 2),
        ((1, 1), (1, 0), (1, 0), 0, 2),
        ((1, 0), (1, 0), (1, 0), 0, 1),
        ((20, 20), (10, 10), (8, 10), 2, 2),
    ],
)
def test_connections_are_shared_out(
    given: tuple[int, int], work: tuple[int, int], reads: tuple[int, int], look_ups: int, probes: int
) -> None:
    size, overflow = given
    shares = share_out(DatabaseSettings(url=URL, pool_size=size, max_overflow=overflow))
    found = [each and (each.pool_size, each.max_overflow) for each in shares]
    assert found == [work, reads, (look_ups, 0) if look_ups else None, (probes, 0)]
    assert sum(work) + sum(reads) + look_ups + probes <= size + overflow + 2


def test_on_sqlite_one_pool_has_them_all() -> None:
    shares = share_out(DatabaseSettings(pool_size=5, max_overflow=10))
    assert (shares.work.pool_size, shares.work.max_overflow) == (5, 10)
