"""The commands of the tutorial and of the upload, run as they stand there, against a service of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import required
from tests.support.gdal import find_gdal
from tests.support.service import Service

DOCS = Path(__file__).parents[3] / "docs"
MIB = 1024**2
# Smaller than in production, so that a small file has parts.
SIZES = {"ARTIFACTS_MULTIPART_THRESHOLD_BYTES": str(6 * MIB), "ARTIFACTS_PART_SIZE_BYTES": str(5 * MIB)}


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """What `make run` starts, for commands that need curl."""
    if not shutil.which("curl"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("curl is not installed")
    service = Service(directory=tmp_path_factory.mktemp("service"), environment=SIZES)
    yield service.start("--migrate", "--seed")
    service.stop()


def run(script: str, *, directory: Path, **variables: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script]
    environment = {**os.environ, "PATH": path, "NO_PROXY": "*", "no_proxy": "*", **variables}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial_ends_with_both_sites_on_the_map(service: Service, tmp_path: Path) -> None:
    script = "\n".join(blocks("tutorial.md", "bash")).replace("http://127.0.0.1:8000", service.url)

    output = run(script, directory=tmp_path)

    found = json.loads((tmp_path / "sites.geojson").read_text())["features"]
    assert {site["properties"]["name"] for site in found} == {"Hydrant 12", "Pumping station 7"}
    assert '"type":"self_crossing"' in output
    assert "pressure 6.4 bar" in output
    assert '"status":"completed"' in output


def test_the_upload_sends_a_large_file_in_parts_once_and_a_small_one_whole(service: Service, tmp_path: Path) -> None:
    (tmp_path / "upload.py").write_text(blocks("how-to/upload-large-files.md", "python")[0])
    (tmp_path / "large").write_bytes(os.urandom(12 * MIB))
    (tmp_path / "small").write_bytes(b"12")
    login = "\n".join(blocks("tutorial.md", "bash")[0].splitlines()[:3])
    script = "\n".join(
        [login, "export API TOKEN", *(f"python3 upload.py {name}" for name in ("large", "large", "small"))]
    )

    lines = run(script.replace("http://127.0.0.1:8000", service.url), directory=tmp_path).splitlines()

    assert [line.split()[0] for line in lines] == ["part", "part", "part", "available", "available", "available"]
    assert lines[3] == lines[4]


def test_the_import_and_the_export_carry_the_wells(service: Service, tmp_path: Path) -> None:
    script = "\n".join(blocks("how-to/import-and-export.md", "bash")).replace("http://127.0.0.1:8000", service.url)

    output = run(script, directory=tmp_path)

    assert '"created":2' in output
    found = json.loads((tmp_path / "exported.geojson").read_text())["features"]
    assert {site["properties"]["name"] for site in found} == {"Well 1", "Well 2"}
    assert "W-2" in (tmp_path / "exported.csv").read_text()


def test_gis_clients_read_the_sites_as_the_page_says(service: Service, tmp_path: Path) -> None:
    required(find_gdal)
    script = "\n".join(blocks("how-to/use-gis-clients.md", "bash")).replace("http://127.0.0.1:8000", service.url)

    output = run(script, directory=tmp_path)

    assert "1: sites (title: Sites)" in output
    assert (tmp_path / "sites.gpkg").stat().st_size > 0
    assert "name (String) = Pumping station 7" in output
    assert '"coordinates":[52.52,13.405]' in output
