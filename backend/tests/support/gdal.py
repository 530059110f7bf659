"""GDAL's command line for the tests: the machine's own, or Debian's package."""

from __future__ import annotations

import os
import shutil

from tests.support.postgres import APT
from tests.support.tools import MissingToolError, alone, run


def find_gdal() -> str:
    """Where `ogr2ogr` is; raises `MissingToolError`."""
    if found := shutil.which("ogr2ogr"):
        return found
    if os.geteuid() != 0:
        raise MissingToolError("ogr2ogr is not installed (Debian's package gdal-bin)")
    with alone("apt"):
        run([*APT, "update"], timeout_seconds=120)
        install = [*APT, "install", "--yes", "--no-install-recommends", "gdal-bin"]
        run(install, timeout_seconds=600, environment={"DEBIAN_FRONTEND": "noninteractive"})
    return shutil.which("ogr2ogr") or "ogr2ogr"
