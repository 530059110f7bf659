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
        ((5, 10), (2, 4), (2, 5), (1, 1), 2),
        ((5, 5), (2, 2), (2, 2), (1, 1), 2),
        ((5, 1), (2, 0), (2, 0), (1, 1), 2),
        ((5, 0), (2, 0), (3, 0), None, 2),
        ((3, 3), (1, 1), (1, 1), (1, 1), 2),
        ((2, 10), (1, 5), (1, 5), None, 2),
        ((1, 4), (1, 1), (1, 2), None, 2),
        ((4, 1), (2, 0), (2, 1), None, 2),
        ((2, 0), (1, 0), (1, 0), None, 2),
        ((1, 1), (1, 0), (1, 0), None, 2),
        ((1, 0), (1, 0), (1, 0), None, 1),
        ((20, 20), (9, 10), (10, 9), (1, 1), 2),
    ],
)
def test_connections_are_shared_out(
    given: tuple[int, int],
    work: tuple[int, int],
    reads: tuple[int, int],
    look_ups: tuple[int, int] | None,
    probes: int,
) -> None:
    size, overflow = given
    shares = share_out(DatabaseSettings(url=URL, pool_size=size, max_overflow=overflow))
    assert [each and (each.pool_size, each.max_overflow) for each in shares] == [work, reads, look_ups, (probes, 0)]
    pools = [pool for pool in (work, reads, look_ups) if pool]
    assert sum(map(sum, pools)) + probes <= size + overflow + 2
    assert sum(kept for kept, _ in pools) <= max(size, 2)


def test_on_sqlite_one_pool_has_them_all() -> None:
    shares = share_out(DatabaseSettings(pool_size=5, max_overflow=10))
    assert (shares.work.pool_size, shares.work.max_overflow) == (5, 10)
