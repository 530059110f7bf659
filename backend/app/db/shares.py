"""How a process shares out the connections that it may have."""

from __future__ import annotations

from typing import NamedTuple

from app.settings import DatabaseSettings

FOR_PROBES = 2
LOOK_UPS = 2  # at once: where a connection hangs, not everybody waits for it


class Shares(NamedTuple):
    """The settings of each pool.

    For what changes and what goes on behind, for reads, for the look-up of who asks (None where there is no connection
    to spare: then it is one of the reads), and for probes.
    """

    work: DatabaseSettings
    reads: DatabaseSettings
    look_ups: DatabaseSettings | None
    probes: DatabaseSettings


def share_out(settings: DatabaseSettings) -> Shares:
    """Together `pool_size` + `max_overflow` + 2 connections, as budgets count on; on SQLite one pool has all.

    Probes have connections of their own: a busy pool is not a database that is away. So have look-ups, which every
    request begins with: reads that hang on all the others hold up no request that does something else.
    """
    size, total = settings.pool_size, settings.pool_size + settings.max_overflow
    probes = _of(settings, size=FOR_PROBES, most=min(FOR_PROBES, total))
    if settings.url is None:
        return Shares(settings, settings, None, probes)
    look_ups = None
    if size >= 3 and total >= 3 * LOOK_UPS:  # noqa: PLR2004 - three pools
        look_ups = _of(settings, size=1, most=LOOK_UPS)
        size, total = size - 1, total - LOOK_UPS
    work = _of(settings, size=size // 2, most=total // 2)
    reads = _of(settings, size=size - size // 2, most=total - total // 2)
    return Shares(work, reads, look_ups, probes)


def _of(settings: DatabaseSettings, *, size: int, most: int) -> DatabaseSettings:
    kept = max(1, min(size, most))
    return settings.model_copy(update={"pool_size": kept, "max_overflow": max(0, most - kept)})
