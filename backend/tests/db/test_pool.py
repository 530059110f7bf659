"""Connections beyond the pool's size stay while they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import Engine, create_engine, event

from app.db.pool import LingeringPool

SIZE, OVERFLOW = 2, 3


class ImpatientPool(LingeringPool):
    linger_seconds = 0.0


@pytest.fixture(params=[LingeringPool])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/pool.sqlite3"
    engine = create_engine(url, poolclass=request.param, pool_size=SIZE, max_overflow=OVERFLOW)
    yield engine
    engine.dispose()


@pytest.fixture
def opened(engine: Engine) -> list[object]:
    """Every connection that the engine opens."""
    found: list[object] = []
    event.listen(engine, "connect", lambda connection, _record: found.append(connection))
    return found


def use(engine: Engine, *, at_once: int) -> None:
    with ExitStack() as stack:
        for _ in range(at_once):
            stack.enter_context(engine.connect())


def state(engine: Engine) -> tuple[int, int, int]:
    """The pool's size, the connections open beyond it, and those in use."""
    assert isinstance(engine.pool, LingeringPool)
    return engine.pool.size(), engine.pool.overflow(), engine.pool.checkedout()


def test_a_busy_pool_opens_each_connection_once(engine: Engine, opened: list[object]) -> None:
    for _ in range(10):
        use(engine, at_once=SIZE + OVERFLOW)
    assert len(opened) == SIZE + OVERFLOW
    assert state(engine) == (SIZE, OVERFLOW, 0)


@pytest.mark.parametrize("engine", [ImpatientPool], indirect=True)
def test_the_overflow_is_closed_when_it_has_not_been_needed_for_a_while(engine: Engine, opened: list[object]) -> None:
    use(engine, at_once=SIZE + OVERFLOW)
    for _ in range(10):
        use(engine, at_once=1)
    assert state(engine) == (SIZE, 0, 0)
    assert len(opened) == SIZE + OVERFLOW


def test_no_more_connections_are_opened_than_allowed(engine: Engine) -> None:
    with ExitStack() as stack:
        for _ in range(SIZE + OVERFLOW):
            stack.enter_context(engine.connect())
        assert state(engine) == (SIZE, OVERFLOW, SIZE + OVERFLOW)


@pytest.mark.parametrize(("trusted_seconds", "expected"), [(60.0, 0), (0.0, 9)])
def test_only_a_connection_that_has_rested_is_asked_whether_it_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted_seconds: float, expected: int
) -> None:
    monkeypatch.setattr(LingeringPool, "trusted_seconds", trusted_seconds)
    engine = create_engine(f"sqlite:///{tmp_path}/pool.sqlite3", poolclass=LingeringPool, pool_pre_ping=True)
    ping = Mock(return_value=True)
    monkeypatch.setattr(engine.dialect, "do_ping", ping)
    for _ in range(10):
        use(engine, at_once=1)
    engine.dispose()
    assert ping.call_count == expected
