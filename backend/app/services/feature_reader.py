"""Features out of a file, one at a time and in constant memory: a FeatureCollection, or a sequence (RFC 8142)."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import from_json

from app.errors import FieldProblem, RequestInvalidError, RequestUnreadableError

CHUNK_BYTES = 1024**2
MAX_FEATURE_CHARACTERS = 2 * 1024**2  # what one request may have by default, and ten times the largest geometry
RECORD_SEPARATOR = b"\x1e"
CRS84 = re.compile(r"urn:ogc:def:crs:OGC:1\.3:CRS84|(?:urn:ogc:def:crs:)?EPSG:{1,2}4326")

TEMPLATES = (
    JSON_INVALID := "The JSON does not parse at byte {position}: {reason}. Is it whole?",
    JSON_UNREADABLE := "The JSON cannot be read: it is nested too deep, or a number in it is too long.",
    NOT_UTF8 := "This is not UTF-8. Convert it, or unpack it.",
    FEATURE_TOO_LARGE := "A feature may have {limit} characters at most.",
    NOT_A_COLLECTION := "This must be a GeoJSON FeatureCollection: an object with the type and an array of features.",
    CRS_FOREIGN
    := "The coordinates are in another system than WGS 84 by crs. Transform them to longitude and latitude.",
)
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class Place(NamedTuple):
    """Where a feature starts: its number and its byte, both from 0, and in a sequence its line, from 1."""

    number: int
    offset: int
    line: int | None = None


class Found(NamedTuple):
    """One feature as it came; `fault` says why there is no value."""

    place: Place
    value: Any = None
    fault: FieldProblem | None = None


class _UnreadableError(Exception):
    def __init__(self, problem: FieldProblem) -> None:
        self.problem = problem


def read_features(file: BinaryIO, *, sequence: bool) -> Iterator[Found]:
    """The features of GeoJSON text in UTF-8; what follows a place where a collection does not parse is not read.

    Raises `RequestInvalidError` for what is no FeatureCollection, and `RequestUnreadableError` for broken gzip data.
    """
    try:
        yield from _sequence(file) if sequence else _Collection(file).features()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RequestUnreadableError from error


def _fault(kind: str, message: str, **params: Any) -> FieldProblem:
    return FieldProblem(loc=(), type=kind, message=message, params=params)


class _Collection:
    """A window that slides over the text; `json` decodes in it what is whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._offset = 0  # in bytes, of what `_at` is in characters
        self._ended = False

    def features(self) -> Iterator[Found]:
        index = 0
        kind = None
        has_features = False
        start = 0
        try:
            self._expect("{", loc=("body",))
            while self._peek() != "}":
                name = self._value()
                self._expect(":")
                if name == "features":
                    has_features = True
                    self._expect("[", loc=("body", "features"))
                    while self._peek() != "]":
                        start = self._offset
                        yield Found(Place(index, start), self._value())
                        index += 1
                        self._next("]")
                    self._move(self._at + 1)
                elif name == "type":
                    kind = self._value()
                elif name == "crs":
                    _check_crs(self._value())
                else:
                    self._value()
                self._next("}")
            self._move(self._at + 1)
            if kind != "FeatureCollection" or not has_features:  # before what follows: a feature a line begins so
                raise _not_a_collection(("body",))
            self._expect("")
        except _UnreadableError as error:
            yield Found(Place(index, start), fault=error.problem)

    def _peek(self) -> str:
        """The next character that is no space; nothing at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._move(match.end() if match else self._at)
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def _expect(self, character: str, *, loc: tuple[str, ...] = ()) -> None:
        if self._peek() != character:
            if loc:
                raise _not_a_collection(loc)
            raise _UnreadableError(self._invalid(f"{character or 'the end'} is expected here"))
        self._move(self._at + len(character))

    def _next(self, closing: str) -> None:
        """Past the comma, or up to the end of the array or the object."""
        if self._peek() == closing:
            return
        self._expect(",")
        if self._peek() == closing:
            raise _UnreadableError(self._invalid("a value is expected here"))

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or len(self._text) - self._at > MAX_FEATURE_CHARACTERS:
                    raise _UnreadableError(self._why_not(error)) from None
            except (RecursionError, ValueError):
                raise _UnreadableError(_fault("json_unreadable", JSON_UNREADABLE)) from None
            else:
                # A number may go on in the next chunk.
                if end < len(self._text) or self._ended:
                    self._move(end)
                    return value
            self._more()

    def _why_not(self, error: json.JSONDecodeError) -> FieldProblem:
        is_cut = error.msg.startswith("Unterminated") or error.pos > len(self._text) - CHUNK_BYTES
        if is_cut and not self._ended:  # it would go on behind the window
            return _fault("feature_too_large", FEATURE_TOO_LARGE, limit=MAX_FEATURE_CHARACTERS)
        self._move(error.pos)
        return self._invalid(_reason(error))

    def _invalid(self, reason: str) -> FieldProblem:
        return _fault("json_invalid", JSON_INVALID, position=self._offset, reason=reason)

    def _move(self, to: int) -> None:
        passed = to - self._at
        self._offset += passed if self._text.isascii() else len(self._text[self._at : to].encode())
        self._at = to

    def _more(self) -> None:
        chunk = self._file.read(CHUNK_BYTES)
        self._ended = not chunk
        if not self._offset and not self._text and chunk.startswith(codecs.BOM_UTF8):  # as Windows' editors write it
            self._offset = len(codecs.BOM_UTF8)
            chunk = chunk[self._offset :]
        try:
            self._text = self._text[self._at :] + self._decoder.decode(chunk, final=self._ended)
        except UnicodeDecodeError:
            raise _UnreadableError(_fault("not_utf8", NOT_UTF8)) from None
        self._at = 0


def _reason(error: json.JSONDecodeError) -> str:
    """Without the end of "Unterminated string starting at", which a place is to follow."""
    return error.msg.removesuffix(" at").removesuffix(" starting")


def _not_a_collection(loc: tuple[str, ...]) -> RequestInvalidError:
    problem = FieldProblem(loc=loc, type="not_a_feature_collection", message=NOT_A_COLLECTION, params={})
    return RequestInvalidError(errors=[problem])


def _check_crs(crs: Any) -> None:
    """Older GeoJSON names its system; GDAL still does."""
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if crs is not None and not (isinstance(name, str) and CRS84.fullmatch(name)):
        problem = FieldProblem(loc=("body", "crs"), type="crs_given", message=CRS_FOREIGN, params={})
        raise RequestInvalidError(errors=[problem])


def _sequence(file: BinaryIO) -> Iterator[Found]:
    index = 0
    for offset, line, record in _records(file):
        if not record.strip():
            continue
        yield _read_record(record, Place(index, offset, line))
        index += 1


def _records(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Where each record starts, as byte and as line, and the record; one that is too long comes cut."""
    rest = file.read(CHUNK_BYTES)
    mark = len(codecs.BOM_UTF8) if rest.startswith(codecs.BOM_UTF8) else 0
    rest = rest[mark:]
    separator = RECORD_SEPARATOR if rest.lstrip().startswith(RECORD_SEPARATOR) else b"\n"
    offset, line = mark, 1
    is_told = False  # of a record that was too long, whose end is yet to come
    while rest:
        *records, rest = rest.split(separator)
        for record in records:
            if not is_told:
                yield offset, line, record
            is_told = False
            offset += len(record) + 1
            line += record.count(b"\n") + (separator == b"\n")
        more = file.read(CHUNK_BYTES)
        if not more or len(rest) > MAX_FEATURE_CHARACTERS:
            if not is_told:
                yield offset, line, rest
            is_told = True
            offset += len(rest)
            line += rest.count(b"\n")
            rest = b""
        rest += more


def _read_record(record: bytes, place: Place) -> Found:
    fault: FieldProblem | None = None
    value = None
    if len(record) > MAX_FEATURE_CHARACTERS:
        fault = _fault("feature_too_large", FEATURE_TOO_LARGE, limit=MAX_FEATURE_CHARACTERS)
    else:
        try:
            value = _parsed(record)
        except UnicodeDecodeError:
            fault = _fault("not_utf8", NOT_UTF8)
        except json.JSONDecodeError as error:
            position = place.offset + len(error.doc[: error.pos].encode())
            fault = _fault("json_invalid", JSON_INVALID, position=position, reason=_reason(error))
        except (RecursionError, ValueError):
            fault = _fault("json_unreadable", JSON_UNREADABLE)
    return Found(place, value, fault)


def _parsed(record: bytes) -> Any:
    """As `json` has it, which takes four times as long, but says what is wrong, and where."""
    try:
        return from_json(record)
    except ValueError:
        return json.loads(record.decode())
