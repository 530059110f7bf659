"""`landfall sites import`: the endpoint's import, from a file or a pipe."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.api import site

OWNER = ("--owner", "ed@example.com")
FEATURES = [site(name=f"Site {number}", external_id=f"S-{number}") for number in range(3)]
WHOLE = json.dumps({"type": "FeatureCollection", "features": FEATURES})
LINES = "".join(json.dumps(feature) + "\n" for feature in FEATURES)


@pytest.fixture
def ready(run: Run) -> Run:
    done = run("users", "create", "ed@example.com", "--role", "editor", "--password", "a-long-password")
    assert done.exit_code == 0, done.stderr
    return run


def test_a_file_is_imported_and_again_nothing_changes(ready: Run, tmp_path: Path) -> None:
    (tmp_path / "sites.geojson").write_text(WHOLE)
    (tmp_path / "sites.geojsonl.gz").write_bytes(gzip.compress(LINES.encode()))

    dry = ready("sites", "import", "sites.geojson", *OWNER, "--dry-run")
    assert dry.stdout == "3 created, 0 updated, 0 unchanged; nothing was written\n", dry.stderr
    assert ready("sites", "import", "sites.geojson", *OWNER).stdout == "3 created, 0 updated, 0 unchanged\n"
    assert ready("sites", "import", "sites.geojsonl.gz", *OWNER).stdout == "0 created, 0 updated, 3 unchanged\n"
    again = ready("sites", "import", "-", *OWNER, "--sequence", stdin=LINES)
    assert again.stdout == "0 created, 0 updated, 3 unchanged\n"


def test_what_is_wrong_is_a_line_each(ready: Run, tmp_path: Path) -> None:
    (tmp_path / "sites.ndjson").write_text(LINES + json.dumps(site(name="", external_id="S-9")))

    done = ready("sites", "import", "sites.ndjson", *OWNER)

    assert done.exit_code == 1
    first, last = (line for line in done.stderr.splitlines() if not line.startswith("{"))
    assert first.startswith(f"index 3, offset {len(LINES)}, line 4, external_id S-9: properties.name: ")
    assert last.startswith("landfall: Nothing was imported. Features that are wrong: 1;")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_file_or_an_owner_that_is_not_there_is_named(ready: Run, tmp_path: Path) -> None:
    assert "nothing.geojson" in ready("sites", "import", "nothing.geojson", *OWNER).complaint
    (tmp_path / "sites.geojson").write_text(WHOLE)
    assert "no@example.com" in ready("sites", "import", "sites.geojson", "--owner", "no@example.com").complaint
