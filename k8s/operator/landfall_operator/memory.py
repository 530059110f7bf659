"""Memory that a burst needed goes back to the system: the C library would keep most of it for the next one."""

from __future__ import annotations

import asyncio
import ctypes
import gc

SECONDS = 60.0


async def give_back() -> None:
    """For ever, from time to time; where the C library is another than glibc nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim:
        await asyncio.sleep(SECONDS)
        gc.collect()
        trim(0)
