"""The same documents as pages for people: by themselves, without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.api.ogc.negotiation import HTML, VARY
from app.messages import translate
from app.middleware.problems import language_of

TEMPLATES = Path(__file__).with_name("templates")


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["compact"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.globals["style"] = _style()
    return environment


@cache
def _style() -> str:
    return (TEMPLATES / "style.css").read_text()


@cache
def _policy() -> str:
    """Nothing but the one style sheet that stands in the page."""
    allowed = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    nothing = "; ".join(f"{name} 'none'" for name in ("default-src", "base-uri", "form-action", "frame-ancestors"))
    return f"{nothing}; style-src 'sha256-{allowed}'"


def render(page: str, request: Request, content: dict[str, Any]) -> Response:
    """The template `page` over a document, in the language of the request."""
    language = language_of(request.scope)
    text = (
        _environment()
        .get_template(f"{page}.html")
        .render(content, language=language, t=lambda template: translate(template, language))
    )
    headers = {
        "Content-Language": language,
        "Content-Security-Policy": _policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        **VARY,
    }
    return Response(text, media_type=HTML, headers=headers)
