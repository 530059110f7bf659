"""Languages: which is chosen, and that no error is without a translation."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter

import pytest

from app.errors import LandfallError
from app.messages import fill, negotiate, translate
from app.messages_de import TEMPLATES
from app.services.cql2.faults import TEMPLATES as FILTER_TEMPLATES
from app.services.geometry_faults import TEMPLATES as GEOMETRY_TEMPLATES


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-CH", "de"),
        ("fr, de;q=0.5", "de"),
        ("en;q=0.4, de;q=0.5", "de"),
        ("de;q=0.4, en;q=0.5", "en"),
        ("en, de", "en"),
        ("de;q=0", "en"),
        ("fr, *;q=0.5", "en"),
        ("de;q=high", "en"),
        (";;,=", "en"),
    ],
)
def test_the_best_accepted_language_is_chosen(accepted: str | None, language: str) -> None:
    assert negotiate(accepted) == language


def error_classes(base: type[LandfallError] = LandfallError) -> Iterator[type[LandfallError]]:
    yield base
    for child in base.__subclasses__():
        yield from error_classes(child)


@pytest.mark.parametrize("error", list(error_classes()))
def test_every_error_speaks_german(error: type[LandfallError]) -> None:
    assert [template for template in (error.title, error.detail) if translate(template, "de") == template] == []


@pytest.mark.parametrize("template", GEOMETRY_TEMPLATES)
def test_every_fault_of_a_geometry_speaks_german(template: str) -> None:
    assert translate(template, "de") != template


@pytest.mark.parametrize("template", FILTER_TEMPLATES)
def test_every_fault_of_a_filter_speaks_german(template: str) -> None:
    assert translate(template, "de") != template


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_translation_keeps_the_placeholders(template: str) -> None:
    def placeholders(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    assert placeholders(TEMPLATES[template]) == placeholders(template)


def test_the_noun_is_translated_and_values_are_not() -> None:
    params = {"noun": "task", "id": "task"}
    filled = fill("There is no {noun} with the id {id}.", params=params, language="de")
    assert filled == "Nicht vorhanden: Aufgabe mit der Kennung task."


def test_a_template_without_translation_stays_english() -> None:
    assert fill("New here: {what}", params={"what": "{braces}"}, language="de") == "New here: {braces}"
