"""The processes that others start."""

from __future__ import annotations

import os
from pathlib import Path


def table_writers(parent: int | None = None) -> set[int]:
    """Those that write tables of sites for that process, or for this one."""
    tasks = Path(f"/proc/{parent or os.getpid()}/task")
    children = {int(pid) for file in tasks.glob("*/children") for pid in file.read_text().split()}
    return {pid for pid in children if b"table_writer" in Path(f"/proc/{pid}/cmdline").read_bytes()}
