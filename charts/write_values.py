"""Writes what follows from the charts' schemas: .venv/bin/python charts/write_values.py.

The umbrella's schema holds the subcharts', since Helm does not look at the values of one that is switched off; each
chart's README has a table of its values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

UMBRELLA = Path(__file__).parent / "landfall"
SUBCHARTS = ("operator", "postgis", "minio")
BEGIN, END = "<!-- values -->", "<!-- /values -->"

Schema = dict[str, Any]


def written() -> dict[Path, str]:
    """The text that each file should have."""
    charts = {name: UMBRELLA / "charts" / name for name in SUBCHARTS}
    schema = read(UMBRELLA)
    for name, chart in charts.items():
        schema["properties"][name] = inline(read(chart))
    files = {UMBRELLA / "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"}
    for chart in (UMBRELLA, *charts.values()):
        files[chart / "README.md"] = with_table(chart)
    return files


def read(chart: Path) -> Schema:
    schema: Schema = json.loads((chart / "values.schema.json").read_text())
    return schema


def inline(schema: Schema) -> Schema:
    """The same without references, which would lead elsewhere inside of another schema."""

    def resolve(part: Any) -> Any:
        if isinstance(part, list):
            return [resolve(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            name = part["$ref"].removeprefix("#/definitions/")
            part = schema["definitions"][name] | {key: value for key, value in part.items() if key != "$ref"}
        return {key: resolve(value) for key, value in part.items()}

    found: Schema = resolve({key: value for key, value in schema.items() if key not in {"$schema", "definitions"}})
    return found


def with_table(chart: Path) -> str:
    before, _, rest = (chart / "README.md").read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    values = yaml.safe_load((chart / "values.yaml").read_text())
    schema = inline(read(chart))
    if chart == UMBRELLA:
        for name in SUBCHARTS:
            words = f"Values of the [{name} chart](charts/{name}/README.md)."
            schema["properties"][name] = {"type": "object", "description": words}
    lines = [f"| `{name}` | {default} | {words} |" for name, default, words in rows(schema, values)]
    return "\n".join([f"{before}{BEGIN}", "| value | default | what |", "| --- | --- | --- |", *lines, END]) + after


def rows(schema: Schema, values: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, default and description of each value that is no group of others."""
    for name, sub in schema["properties"].items():
        here = f"{path}{name}"
        default = values.get(name) if isinstance(values, dict) else None
        if sub.get("properties") and name != "resources":
            yield from rows(sub, default, f"{here}.")
        else:
            yield here, shown(default), described(sub)


def shown(default: Any) -> str:
    return "" if default in (None, "") else f"`{json.dumps(default, ensure_ascii=False)}`"


def described(schema: Schema) -> str:
    words = schema["description"]
    choices = [f"`{choice}`" for choice in schema.get("enum", []) if choice is not None]
    return (f"{words} One of {', '.join(choices)}." if choices else words).replace("|", "\\|")


def main() -> None:
    for path, text in written().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
