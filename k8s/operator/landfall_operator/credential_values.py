"""What a Credential's Secret is to hold: pure functions of the spec and of what the Secret holds.

No value is in a message or in a repr.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from landfall_operator.constants import GROUP
from landfall_operator.resource import Json

ANNOTATION_GENERATED = f"{GROUP}/generated-keys"
ANNOTATION_GIVEN = f"{GROUP}/given-keys"
ALPHABETS = {
    "Alphanumeric": string.ascii_letters + string.digits,
    "Hex": "0123456789abcdef",
    "Symbols": string.ascii_letters + string.digits + "!#%&*+-./:=?@_~",
}
PREVIOUS = ".previous"
PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
# With the colon of jdbc:postgresql://, and with a scheme that is itself a value; then the authority, and the rest.
URL = re.compile(r"((?:[a-zA-Z0-9+.:-]|\{\{[^{}]*\}\})+://)([^/?#]*)(.*)", re.DOTALL)
NO_HOST = re.compile(r"[/@?#\\\s]")


class TemplateError(Exception):
    """A template that cannot be filled in; the text names it and the key."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Which of a Secret's keys are ours, as the Secret itself tells; `given` are the spec's values and templates."""

    generated: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Record:
        def keys(name: str) -> frozenset[str]:
            return frozenset(filter(None, annotations.get(name, "").split(",")))

        return cls(generated=keys(ANNOTATION_GENERATED), given=keys(ANNOTATION_GIVEN))

    def annotations(self) -> dict[str, str]:
        return {
            ANNOTATION_GENERATED: ",".join(sorted(self.generated)),
            ANNOTATION_GIVEN: ",".join(sorted(self.given)),
        }

    def has(self, key: str) -> bool:
        return key.removesuffix(PREVIOUS) in self.generated | self.given


@dataclass(frozen=True, kw_only=True)
class Values:
    """The keys of ours that the Secret is to hold; whatever else it holds is somebody's and stays."""

    data: Mapping[str, str] = field(repr=False)
    record: Record
    unlisted: list[str]

    def changes(self, held: Mapping[str, str], before: Record) -> dict[str, str | None]:
        """What to write into the Secret; None removes a key."""
        gone = {key for key in held if before.has(key) and key not in self.data}
        written = {key: value for key, value in self.data.items() if held.get(key) != value}
        return written | dict.fromkeys(gone)


def generate(*, length: int, alphabet: str) -> str:
    characters = [secrets.choice(ALPHABETS[alphabet]) for _ in range(length)]
    if alphabet == "Symbols":
        characters[0] = secrets.choice(string.ascii_letters)  # a leading hyphen is an option to many a tool
    return "".join(characters)


def generated_keys(spec: Json) -> list[str]:
    return sorted(key for key, source in spec["values"].items() if "generate" in source)


def lost_keys(spec: Json, held: Mapping[str, str], record: Record, *, known: Collection[str]) -> list[str]:
    """The generated keys that were there once and are no more; `known` are those that the status tells."""
    once = record.generated | (set(known) - record.given)
    return [key for key in generated_keys(spec) if key in once and key not in held]


def next_values(spec: Json, held: Mapping[str, str], record: Record, *, rotate: bool) -> Values:
    """All keys of ours; raises `TemplateError`.

    A generated value that is there stays unless rotated, also one that the spec names no more: nobody could make it
    again. One that is replaced stays under `KEY.previous` until the next rotation.
    """
    # What was given is nobody's secret, so it does not become a generated value.
    there = {key: value for key, value in held.items() if key not in record.given}
    named = {}
    for key, source in spec["values"].items():
        if "value" in source:
            named[key] = source["value"]
        else:
            named[key] = there[key] if key in there and not rotate else generate(**source["generate"])
    listed = named | fill(spec.get("templates") or {}, named)
    generated = frozenset(generated_keys(spec))
    unlisted = {key: there[key] for key in record.generated if key in there and key not in listed}
    replaced = generated if rotate else record.generated & listed.keys() - generated
    previous = {f"{key}{PREVIOUS}": there[key] for key in replaced if key in there}
    if not rotate:
        previous = {k: v for k, v in held.items() if k.endswith(PREVIOUS) and record.has(k)} | previous
    return Values(
        data=previous | unlisted | listed,
        record=Record(generated=generated | unlisted.keys(), given=frozenset(listed) - generated),
        unlisted=sorted(unlisted),
    )


def fill(templates: Mapping[str, str], named: Mapping[str, str]) -> dict[str, str]:
    """The templates with their values in place; raises `TemplateError`."""
    for name, text in templates.items():
        for key in (inside.strip() for inside in PLACEHOLDER.findall(text)):
            if key in named:
                continue
            why = "which is a template: only keys of spec.values can be named"
            if key not in templates:
                why = "which is no key of spec.values: add it, or correct the template"
            raise TemplateError(f"spec.templates.{name} names {key!r}, {why}.")
        if "{{" in PLACEHOLDER.sub("", text):
            raise TemplateError(f"spec.templates.{name} has a {{{{ that names no key: write {{{{KEY}}}}.")
    return {name: _filled(name, text, named) for name, text in templates.items()}


def _filled(name: str, text: str, named: Mapping[str, str]) -> str:
    def plain(match: re.Match[str]) -> str:
        return named[match[1].strip()]

    def encoded(match: re.Match[str]) -> str:
        return quote(named[match[1].strip()], safe="", errors="surrogateescape")

    def host(match: re.Match[str]) -> str:
        key = match[1].strip()
        if NO_HOST.search(named[key]):
            why = "and its value has a character that no host has (/ \\ @ ? # or a blank): correct the value"
            raise TemplateError(f"spec.templates.{name} names {key!r} as host or port, {why}.")
        return named[key]

    url = URL.fullmatch(text)
    if url is None:
        return PLACEHOLDER.sub(plain, text)
    scheme, authority, rest = url.groups()
    user, at, server = authority.rpartition("@")
    return "".join(
        (
            PLACEHOLDER.sub(host, scheme),
            PLACEHOLDER.sub(encoded, user),
            at,
            PLACEHOLDER.sub(host, server),
            PLACEHOLDER.sub(encoded, rest),
        )
    )
