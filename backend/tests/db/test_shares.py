"""Whatever a process may have, it has enough for each of its uses and never more than a budget counts on."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from app.db.shares import share_out
from app.settings import DatabaseSettings

URL = SecretStr("postgresql://landfall:secret@db/landfall")


@pytest.mark.parametrize(
    ("given", "work", "reads", "probes"),
    [
        ((5, 10), (2, 5), (3, 5), 2),
        ((5, 5), (2, 3), (3, 2), 2),
        ((5, 0), (2, 0), (3, 0), 2),
        ((1, 4), (1, 1), (1, 2), 2),
        ((4, 1), (2, 0), (2, 1), 2),
        ((2, 0), (1, 0), (1, 0), 2),
        ((1, 1), (1, 0), (1, 0), 2),
        ((1, 0), (1, 0), (1, 0), 1),
        ((20, 20), (10, 10), (10, 10), 2),
    ],
)
def test_connections_are_shared_out(
    given: tuple[int, int], work: tuple[int, int], reads: tuple[int, int], probes: int
) -> None:
    size, overflow = given
    shares = share_out(DatabaseSettings(url=URL, pool_size=size, max_overflow=overflow))
    assert [(each.pool_size, each.max_overflow) for each in shares] == [work, reads, (probes, 0)]
    assert sum(work) + sum(reads) + probes <= size + overflow + 2


def test_on_sqlite_one_pool_has_them_all() -> None:
    shares = share_out(DatabaseSettings(pool_size=5, max_overflow=10))
    assert (shares.work.pool_size, shares.work.max_overflow) == (5, 10)
