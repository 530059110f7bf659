"""How a process shares out the connections that it may have."""

from __future__ import annotations

from typing import NamedTuple

from app.settings import DatabaseSettings

FOR_PROBES = 2


class Shares(NamedTuple):
    """The settings of each pool: for what changes and what goes on behind, for reads, and for probes."""

    work: DatabaseSettings
    reads: DatabaseSettings
    probes: DatabaseSettings


def share_out(settings: DatabaseSettings) -> Shares:
    """Together `pool_size` + `max_overflow` + 2 connections, as budgets count on; on SQLite one pool has all.

    Probes have connections of their own: a busy pool is not a database that is away.
    """
    total = settings.pool_size + settings.max_overflow
    probes = _of(settings, size=FOR_PROBES, most=min(FOR_PROBES, total))
    if settings.url is None:
        return Shares(settings, settings, probes)
    work = _of(settings, size=settings.pool_size // 2, most=total // 2)
    reads = _of(settings, size=settings.pool_size - settings.pool_size // 2, most=total - total // 2)
    return Shares(work, reads, probes)


def _of(settings: DatabaseSettings, *, size: int, most: int) -> DatabaseSettings:
    kept = max(1, min(size, most))
    return settings.model_copy(update={"pool_size": kept, "max_overflow": max(0, most - kept)})
