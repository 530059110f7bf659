"""What a chart makes of values: `helm template`, parsed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

CHARTS = Path(__file__).parents[1]
UMBRELLA = CHARTS / "landfall"
SUBCHARTS = UMBRELLA / "charts"

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Values = dict[str, Any]
Object = dict[str, Any]


class ChartError(Exception):
    """Helm refused the values; the text is its own."""


def find_helm(name: str = "helm") -> str:
    """Skips where there is none; in CI that is a failure."""
    found = shutil.which(name)
    if not found and os.environ.get("CI"):
        pytest.fail(f"{name} is not on PATH")
    if not found:
        pytest.skip(f"{name} is not on PATH: the charts are rendered by it")
    return found


def template(
    chart: Path,
    values: Values | None = None,
    *,
    files: Sequence[Path] = (),
    helm: str = "helm",
    release: str = "landfall",
) -> str:
    """What `helm template` prints for the release in the namespace `shop`; raises `ChartError`."""
    command = [find_helm(helm), "template", release, str(chart), "--namespace", "shop", "--values", "-"]
    options = [part for file in files for part in ("--values", str(file))]
    done = subprocess.run(
        [*command, *options], input=json.dumps(values or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ChartError(done.stderr.strip())
    return done.stdout


def render(chart: Path, values: Values | None = None, **options: Any) -> list[Object]:
    """The objects that the chart makes; raises `ChartError`."""
    return [body for body in yaml.load_all(template(chart, values, **options), Loader=LOADER) if body]


def pick(objects: Sequence[Object], kind: str, name: str) -> Object:
    """The one of this kind and name."""
    found = [body for body in objects if (body["kind"], body["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{len(found)} {kind}/{name} among {names(objects)}"
    return found[0]


def names(objects: Sequence[Object]) -> list[str]:
    return sorted(f"{body['kind']}/{body['metadata']['name']}" for body in objects)


def pod_templates(objects: Sequence[Object]) -> dict[str, Object]:
    """The pod of each object that makes pods, by kind and name."""
    found = {}
    for body in objects:
        spec = body.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if body["kind"] == "Pod":
            found[f"Pod/{body['metadata']['name']}"] = {"metadata": body["metadata"], "spec": body["spec"]}
        elif "template" in spec and "spec" in spec["template"]:
            found[f"{body['kind']}/{body['metadata']['name']}"] = spec["template"]
    return found
