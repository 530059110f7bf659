"""The CRD has what this version needs, and this version says what an older one lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from landfall_operator.schema import NEEDED, missing

CRD = Path(__file__).parents[3] / "charts/landfall/charts/operator/crds/migrations.landfall.dev.yaml"


@pytest.fixture
def schema() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def test_the_crd_has_all_that_is_needed_and_the_list_names_all_that_it_has(schema: dict[str, Any]) -> None:
    assert missing(schema) == []
    for path, names in NEEDED.items():
        here = schema
        for step in path.split("."):
            here = here["properties"][step]
        assert sorted(names.split()) == sorted(here["properties"])


def test_an_older_crd_is_told_by_what_it_lacks(schema: dict[str, Any]) -> None:
    del schema["properties"]["spec"]["properties"]["gates"]
    del schema["properties"]["status"]["properties"]["plan"]["properties"]["hash"]
    assert missing(schema) == ["spec.gates", "status.plan.hash"]
