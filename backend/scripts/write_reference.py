#!/usr/bin/env python3
"""Write what can be read from the code: `.env.example`, and the reference of settings and of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app.errors import LandfallError
from app.middleware.problems import TYPE_PREFIX
from app.settings import Settings

BACKEND = Path(__file__).parents[1]
ENV_EXAMPLE = BACKEND / ".env.example"
SETTINGS_PAGE = BACKEND.parent / "docs/reference/settings.md"
ERRORS_PAGE = BACKEND.parent / "docs/reference/errors.md"

ENV_HEADER = """\
# Everything that can be set, with its default: copy this file to .env, and uncomment what you change.
# The environment wins over .env. Written by scripts/write_reference.py.
"""

SETTINGS_HEADER = """\
# Settings

Read once at start, from the environment and from `.env` in the working directory (the environment wins).
Durations are seconds; an empty value means unset. A value that cannot be used ends the start with one line
that names the variable, and exit code 2. `landfall check` tells whether what they name answers.

This page and `backend/.env.example` are written by `backend/scripts/write_reference.py`.
"""

ERRORS_HEADER = f"""\
# Errors

Every error is `application/problem+json` (RFC 9457). Its `type` is stable: a program tells errors apart by it, and
never by the words, which come in English or German by `Accept-Language`. `request_id` is the one to quote; `errors`
lists what is wrong with which part of the request. What passes by itself has a `Retry-After`.

```json
{{
  "type": "{TYPE_PREFIX}invalid-geometry",
  "title": "The geometry is not valid",
  "status": 422,
  "detail": "The geometry cannot be stored: see errors.",
  "instance": "/api/v1/sites",
  "request_id": "5ec5e1b2c9ab4de79fe1343d9e12d69d",
  "errors": [
    {{
      "loc": ["body", "geometry", "coordinates", 0, 0],
      "type": "self_crossing",
      "message": "The boundary crosses itself, or runs along itself, at 0.5, 0.5."
    }}
  ]
}}
```

Below, `type` stands without its `{TYPE_PREFIX}`. A status that HTTP itself explains has `about:blank`.
This page is written by `backend/scripts/write_reference.py`.

| type | status | what it says |
|---|---|---|
"""

# Compose's own variables; their defaults are read from compose.yaml.
COMPOSE = {
    "API_PORT": "port of the API on this machine",
    "LANDFALL_IMAGE": "name of the service's image",
    "POSTGIS_IMAGE": "image of PostgreSQL with PostGIS",
    "POSTGRES_PASSWORD": "password of the database",
    "POSTGRES_PORT": "port of the database on this machine",
    "PYTHON_IMAGE": "image that the service's image is built on",
    "S3_ACCESS_KEY": "access key of the S3 server",
    "S3_IMAGE": "image of the S3 server",
    "S3_PORT": "port of the S3 server on this machine",
    "S3_PUBLIC_URL": "S3 endpoint as clients reach it",
    "S3_SECRET_KEY": "secret key of the S3 server",
}


@dataclass(frozen=True, kw_only=True)
class Variable:
    name: str
    default: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    variables: list[Variable]


def sections() -> Iterator[Section]:
    """The settings, a section for each branch of the tree, in its order."""
    tree = Settings.model_fields
    leaves = {name: field for name, field in tree.items() if not isinstance(field.default, BaseModel)}
    yield Section(title="General.", variables=[_variable(name, field) for name, field in leaves.items()])
    for branch, field in tree.items():
        if isinstance(field.default, BaseModel):
            model = type(field.default)
            title = next(iter((model.__doc__ or branch.capitalize()).splitlines()))
            fields = model.model_fields.items()
            yield Section(title=title, variables=[_variable(f"{branch}_{name}", leaf) for name, leaf in fields])


def compose_section() -> Section:
    """What compose.yaml reads beside them; raises `KeyError` for a variable that has no description here."""
    found = dict(re.findall(r"\$\{([A-Z0-9_]+):-([^}]*)\}", (BACKEND / "compose.yaml").read_text()))
    found.pop("ENVIRONMENT")  # the setting itself
    variables = [Variable(name=name, default=found[name], description=COMPOSE[name]) for name in sorted(found)]
    return Section(title="Only for compose.yaml.", variables=variables)


def render_env_example() -> str:
    blocks = [ENV_HEADER]
    for section in [*sections(), compose_section()]:
        lines = [f"## {section.title}"]
        for variable in section.variables:
            lines += [f"# {variable.description}", f"#{variable.name}={variable.default}"]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def render_settings() -> str:
    lines = []
    for section in [*sections(), compose_section()]:
        lines += ["", f"## {section.title.rstrip('.')}", "", "| variable | default | what it is |", "|---|---|---|"]
        for variable in section.variables:
            default = f"`{variable.default}`" if variable.default else "unset"
            lines.append(f"| `{variable.name}` | {default} | {variable.description} |")
    return SETTINGS_HEADER + "\n".join(lines) + "\n"


def render_errors() -> str:
    every: list[type[LandfallError]] = [LandfallError, *_subclasses(LandfallError)]
    by_type = {error.type: error for error in reversed(every)}  # a subclass may say the same of another cause
    ordered = sorted(by_type.values(), key=lambda error: (error.status, error.type))
    return ERRORS_HEADER + "".join(f"| `{error.type}` | {error.status} | {error.detail} |\n" for error in ordered)


def _subclasses(parent: type[LandfallError]) -> Iterator[type[LandfallError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


def _variable(name: str, field: Any) -> Variable:
    description = field.description or ""
    return Variable(name=name.upper(), default=_text(field.get_default()), description=description)


def _text(value: object) -> str:
    match value:
        case None | []:
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():g}"
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def pages() -> dict[Path, str]:
    """What is to stand in which file."""
    return {ENV_EXAMPLE: render_env_example(), SETTINGS_PAGE: render_settings(), ERRORS_PAGE: render_errors()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
        print(f"written: {path.relative_to(BACKEND.parent)}")
