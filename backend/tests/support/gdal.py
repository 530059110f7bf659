"""GDAL's command line for the tests: the machine's own, or Debian's package."""

from __future__ import annotations

import shutil

from tests.support import debian


def find_gdal() -> str:
    """Where `ogr2ogr` is; raises `MissingToolError`."""
    if found := shutil.which("ogr2ogr"):
        return found
    debian.install("gdal-bin")
    return shutil.which("ogr2ogr") or "ogr2ogr"
