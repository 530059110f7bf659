"""QGIS without its window, through a proxy that adds the token: as of 3.22 it cannot send one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from tests.conftest import required
from tests.support import debian
from tests.support.shapes import Feature
from tests.support.token_proxy import TokenProxy
from tests.support.tools import run

SCRIPT = Path(__file__).with_name("read_with_qgis.py")
TIMES = ("created_at", "updated_at")


@pytest.fixture(scope="module", autouse=True)
def _qgis() -> None:
    required(lambda: debian.install("python3-qgis"))


def qgis(home: Path, *arguments: str) -> Any:
    """What the script answers."""
    home.chmod(0o700)  # or Qt warns
    environment = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "no_proxy": "*"}
    return json.loads(run(["/usr/bin/python3", SCRIPT, *arguments], environment=environment))


@pytest.mark.parametrize("page_size", [50, 1000])
def test_qgis_reads_every_site_whole(
    proxy: TokenProxy, features: dict[str, Feature], page_size: int, tmp_path: Path
) -> None:
    found = {feature["properties"].pop("id"): feature for feature in qgis(tmp_path, "sites", proxy.url, str(page_size))}

    assert found.keys() == features.keys()
    for key, feature in features.items():
        assert parts(shapely.from_wkb(found[key]["geometry"])) == parts(shape(feature["geometry"]))
        assert attributes(found[key]) == attributes(feature)
        for name in TIMES:
            difference = moment(found[key]["properties"][name]) - moment(feature["properties"][name])
            assert abs(difference) <= timedelta(milliseconds=1)


def parts(geometry: BaseGeometry) -> list[str]:
    """On a page with single and multiple geometries of one kind QGIS makes all of them multiple."""
    return [part.wkt for part in getattr(geometry, "geoms", [geometry])]


def attributes(feature: Feature) -> dict[str, Any]:
    return {name: value for name, value in feature["properties"].items() if name not in TIMES}


def moment(text: str) -> datetime:
    """QGIS leaves the zone out."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


def test_qgis_draws_a_map_of_the_tiles(proxy: TokenProxy, tmp_path: Path) -> None:
    berlin = ("1447000", "6800000", "1450000", "6803000")  # metres of Web Mercator: the first column of sites
    sea = ("1", "1", "3001", "3001")

    assert qgis(tmp_path, "map", proxy.url, *berlin) > 100
    assert qgis(tmp_path, "map", proxy.url, *sea) == 0
    assert any(path.startswith("/tiles/sites/") for path in proxy.asked)
