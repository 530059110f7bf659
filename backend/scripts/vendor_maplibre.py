#!/usr/bin/env python3
"""Put MapLibre GL JS where the map page has it: fetched by npm, and taken only if it is what was reviewed.

For another release change `VERSION` and `SHA256` here, and the addresses in app/static/map/.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "6.17.0"
SHA256 = "587807d8d6c99349022e027fa310c16cfaa55392131f6263df080306db6809b0"
FILES = ("dist/maplibre-gl.mjs", "dist/maplibre-gl-worker.mjs", "dist/maplibre-gl.css", "LICENSE.txt")
TARGET = Path(__file__).parents[1] / "app/static/maplibre"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        package = ["npm", "pack", "--silent", f"maplibre-gl@{VERSION}"]
        name = subprocess.run(package, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()
        archive = Path(directory, name)
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"maplibre-gl {VERSION} has the SHA-256 {found}, not the reviewed one; nothing is changed.")
        with tarfile.open(archive) as package_files:
            package_files.extractall(directory, filter="data")
        shutil.rmtree(TARGET, ignore_errors=True)
        home = TARGET / VERSION
        home.mkdir(parents=True)
        for file in FILES:
            shutil.copy(Path(directory, "package", file), home)
    print(home)


if __name__ == "__main__":
    main()
