"""Vector tiles are PostGIS' work."""

from __future__ import annotations

import pytest

from tests.support.api import Api, one_database, problem_of
from tests.support.tiles import TILES


@one_database
@pytest.mark.parametrize("path", ["0/0/0.mvt", "tilejson.json"])
def test_without_postgis_there_are_no_tiles(api: Api, path: str) -> None:
    answer = api.viewer.get(f"{TILES}/{path}", headers={"Accept-Language": "de"})
    assert problem_of(answer) == (501, "not-on-sqlite")
    assert "Vektorkacheln" in answer.json()["detail"]
