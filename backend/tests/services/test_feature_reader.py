"""A record of a sequence says the same whether pydantic's parser or the standard library's reads it."""

from __future__ import annotations

import json
from io import BytesIO

import pytest

from app.services import feature_reader
from app.services.feature_reader import Found, read_features

RECORDS = [
    b'{"type": "Feature", "a": [1, -0, 0.1, 1E5, 5e-324, 1.7976931348623157e308]}',
    b'{"a": 1, "a": 2}',
    b"123456789012345678901234567890",
    b"-0.0",
    b"[NaN, Infinity, -Infinity, 1e400]",
    '"é\\u00e9\\ud83d\\ude00"'.encode(),
    b'"half \\ud800"',
    b"[" * 300 + b"]" * 300,
    b"[" * 100_000,
    b"1" * 5000,
    b'{"a": 01}',
    b"[1,]",
    b'"\x01"',
    b"\xff",
    b'{"a": 1} x',
    b" 1 ",
]


def read(record: bytes) -> Found:
    (found,) = read_features(BytesIO(record), sequence=True)
    return found


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_both_parsers_find_the_same_value_or_the_same_fault(record: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(record)

    def refuse(_: bytes) -> None:
        raise ValueError

    monkeypatch.setattr(feature_reader, "from_json", refuse)
    assert repr(read(record)) == repr(found)


def test_the_quick_parser_reads_what_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", pytest.fail)
    assert read(RECORDS[0]).fault is None
