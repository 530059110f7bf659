"""The words of errors in the client's language: English templates are the keys, `app.messages_de` has the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from app.errors import FieldProblem
from app.messages_de import FIELD_MESSAGES, TEMPLATES

Language = Literal["en", "de"]
MAX_NAME_LENGTH = 100  # an unknown field's name is the client's own text


@lru_cache(maxsize=256)
def negotiate(accept_language: str | None) -> Language:
    """The best language for an `Accept-Language` header (RFC 9110, section 12.5.4); English where nothing fits."""
    best: Language = "en"
    best_quality = 0.0
    for entry in (accept_language or "").split(","):
        tag, _, parameter = entry.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if primary in {"en", "de", "*"} and quality > best_quality:
            best, best_quality = ("de" if primary == "de" else "en"), quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def translate(template: str, language: Language) -> str:
    """The template in that language, its placeholders kept; English where there is no translation."""
    return TEMPLATES.get(template, template) if language == "de" else template


def fill(template: str, *, params: Mapping[str, Any], language: Language) -> str:
    """Translate, then fill the placeholders; `noun` and `what` among them are words of ours, so translated too."""
    values = dict(params)
    for word in values.keys() & {"noun", "what"}:
        values[word] = translate(str(values[word]), language)
    return translate(template, language).format(**values)


def field_message(error: Mapping[str, Any], language: Language) -> str:
    """What one pydantic error says, without the input that it was about."""
    kind = str(error["type"])
    context = error.get("ctx", {})
    if kind == "value_error":
        text = str(error["msg"]).removeprefix("Value error, ")
        if "reason" in context and language == "de":
            text = text.partition(":")[0]  # of an e-mail address; the reason is in English only
        return translate(text, language)
    if kind == "json_invalid" and isinstance(error["loc"][-1], int):
        template = "The JSON does not parse at character {position}: {reason}."
        return translate(template, language).format(position=error["loc"][-1], reason=context["error"])
    if kind == "union_tag_invalid":
        return translate("Must be one of: {expected}.", language).format(expected=context["expected_tags"])
    if language == "de" and kind in FIELD_MESSAGES:
        return FIELD_MESSAGES[kind].format(**context)
    return str(error["msg"])


def field_problems(errors: Sequence[Mapping[str, Any]], language: Language) -> list[FieldProblem]:
    """What pydantic found, in words."""
    return [
        FieldProblem(
            loc=[part[:MAX_NAME_LENGTH] if isinstance(part, str) else part for part in error["loc"]],
            type=error["type"],
            message="{text}",
            params={"text": field_message(error, language)},
        )
        for error in errors
    ]
