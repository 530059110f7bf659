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
    assert last == (
        "landfall: sites.ndjson: nothing was imported. Read as a feature a line, features that are wrong: 1; "
        "above are 100 faults at most. Mend them, and import it again."
    )


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_file_or_an_owner_that_is_not_there_is_named(ready: Run, tmp_path: Path) -> None:
    assert ready("sites", "import", "nothing.geojson", *OWNER).complaint == (
        "landfall: nothing.geojson: No such file or directory. Name a file that this user may read."
    )
    (tmp_path / "sites.geojson").write_text(WHOLE)
    assert "no@example.com" in ready("sites", "import", "sites.geojson", "--owner", "no@example.com").complaint


BODIES = {
    "sites.csv": (b"name,lon,lat", "FeatureCollection"),
    "one.geojson": (LINES.encode(), "For a feature a line, say --sequence."),
    "plain.geojson.gz": (WHOLE.encode(), "it cannot be unpacked: Not a gzipped file"),
    "cut.geojson.gz": (gzip.compress(WHOLE.encode())[:-9], "it cannot be unpacked: Compressed file ended"),
    "packed.geojson": (gzip.compress(WHOLE.encode()), "nothing was imported. Read as a FeatureCollection"),
}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_is_no_geojson_is_refused_by_its_name_with_what_to_do(ready: Run, tmp_path: Path) -> None:
    for name, (content, words) in BODIES.items():
        (tmp_path / name).write_bytes(content)
        done = ready("sites", "import", name, *OWNER)
        assert done.exit_code == 1
        complaint = done.stderr.splitlines()[-1]
        assert complaint.startswith(f"landfall: {name}: ")
        assert words in complaint
        assert "see errors" not in done.stderr


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_half_a_line_is_told_with_its_place(ready: Run) -> None:
    done = ready("sites", "import", "-", *OWNER, "--sequence", stdin=LINES[:-20])
    first = next(line for line in done.stderr.splitlines() if line.startswith("index"))
    start = LINES.rindex("\n", 0, -1) + 1
    assert first.startswith(f"index 2, offset {start}, line 3: The JSON does not parse at byte ")
    assert first.endswith(". Is it whole?")
