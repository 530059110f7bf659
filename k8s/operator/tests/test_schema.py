"""The CRD has what this version needs, and this version says what an older one lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from landfall_operator.schema import NEEDED, missing

CRDS = Path(__file__).parents[3] / "charts/landfall/charts/operator/crds"


def schema_of(kind: str) -> dict[str, Any]:
    crd = yaml.safe_load((CRDS / f"{kind.lower()}s.landfall.dev.yaml").read_text())
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def unknown_words(schema: dict[str, Any]) -> set[str]:
    """Keys that no schema has: what a comma without quotes makes of a description."""
    inner = [*(schema.get("properties") or {}).values()]
    inner += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    return {key for key in schema if not key[0].islower() or " " in key} | {
        w for one in inner for w in unknown_words(one)
    }


@pytest.mark.parametrize("kind", NEEDED)
def test_a_schema_has_no_words_but_its_own(kind: str) -> None:
    assert unknown_words(schema_of(kind)) == set()


@pytest.mark.parametrize("kind", NEEDED)
def test_the_crd_has_all_that_is_needed_and_the_list_names_all_that_it_has(kind: str) -> None:
    schema = schema_of(kind)
    assert missing(kind, schema) == []
    for path, names in NEEDED[kind].items():
        here = schema
        for step in path.split("."):
            here = here["properties"][step]
        assert sorted(names.split()) == sorted(here["properties"])


def test_an_older_crd_is_told_by_what_it_lacks() -> None:
    schema = schema_of("Migration")
    del schema["properties"]["spec"]["properties"]["gates"]
    del schema["properties"]["status"]["properties"]["plan"]["properties"]["hash"]
    assert missing("Migration", schema) == ["spec.gates", "status.plan.hash"]
