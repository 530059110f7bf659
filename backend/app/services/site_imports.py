"""Many sites at once, all or none: judged by the rules of a single one, written batch by batch."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar

from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.db.bulk import Row, batcher, extend_timeout
from app.errors import FieldProblem, GeometryInvalidError, ImportInvalidError
from app.messages import Language, field_problems
from app.queries.site_imports import (
    EXTERNAL_ID,
    Counts,
    count_merged,
    create_staged,
    drop_staged,
    fetch_repeated,
    merger,
    stage,
)
from app.schemas.common import is_storable
from app.schemas.site import SiteProperties, SiteWrite
from app.schemas.site_transfer import ImportReport
from app.services.changes import Actor, audit
from app.services.feature_reader import TEMPLATES as READER_TEMPLATES
from app.services.feature_reader import Found, Place, read_features
from app.services.geometry import parse_geometry
from app.services.geometry_batch import Outline, parse_outlines, read_outline
from app.settings import TransferSettings

BATCH = 200  # features; more at once are slower: Python collects garbage more often
BATCH_NUMBERS = 100_000  # in their geometries; in Python each takes 32 bytes
MAX_PROBLEMS = 100  # in one answer, so that it stays readable
_Read = tuple[Place, SiteProperties, Outline | bytes]
# What an export adds; a single POST refuses it, here it comes back.
OWN_MEMBERS = ("id", "bbox")
OWN_PROPERTIES = ("owner_id", "version", "created_at", "updated_at")

REPEATED = "The external_id is that of the feature {earlier} (at byte {earlier_byte}) of this import, too."
TEMPLATES = (*READER_TEMPLATES, REPEATED)


T = TypeVar("T")


def import_sites(
    session: Session,
    file: BinaryIO,
    *,
    sequence: bool,
    actor: Actor,
    owner_id: uuid.UUID,
    language: Language,
    settings: TransferSettings,
    dry_run: bool = False,
) -> ImportReport:
    """Read GeoJSON (as a sequence or a FeatureCollection) and make its features the owner's sites.

    One that the owner has by its external id is changed, unless it is the same. One audit event tells of all: an event
    a site would double the work, and a site's `created_at` or `updated_at` is the event's time to the microsecond.
    Raises `ImportInvalidError` with what is wrong, and then writes nothing.
    """
    judge = _Judge(language)
    with session.begin() as transaction:
        extend_timeout(session, settings.timeout_seconds)
        create_staged(session)
        merge, written = merger(session, owner_id=owner_id), 0
        for batch in _ahead(map(batcher(session), judge.rows(file, sequence=sequence))):
            stage(session, batch)
            # A faulty import only goes on to find its other faults.
            if judge.finds_none_in(batch.rows):
                written += merge(batch.rows)
        judge.add_repeated(session)
        judge.raise_for_problems()
        counts = count_merged(session, written=written)
        drop_staged(session)
        if dry_run:
            transaction.rollback()
        else:
            audit(session, actor, "site.import", owner_id, **_numbers(counts))
    return ImportReport(**_numbers(counts), dry_run=dry_run)


def _ahead(batches: Iterator[T]) -> Iterator[T]:
    """The same, each made in a thread of its own while the one before it is used: PostgreSQL works meanwhile."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="import") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def _numbers(counts: Counts) -> dict[str, int]:
    return {"created": counts.created, "updated": counts.updated, "unchanged": counts.unchanged}


class _Judge:
    """Tells good features from bad ones by what a single POST would say, and keeps the first faults."""

    def __init__(self, language: Language) -> None:
        self._language: Language = language
        self._problems: list[FieldProblem] = []
        self._total = 0

    def rows(self, file: BinaryIO, *, sequence: bool) -> Iterator[list[Row]]:
        batch: list[_Read] = []
        numbers = 0
        for found in read_features(file, sequence=sequence):
            if (read := self._read(found)) is not None:
                batch.append(read)
                numbers += len(read[2].numbers) if isinstance(read[2], Outline) else 0
            if len(batch) == BATCH or numbers >= BATCH_NUMBERS:
                yield from self._rows(batch)
                batch, numbers = [], 0
        yield from self._rows(batch)

    def finds_none_in(self, rows: Sequence[Row]) -> bool:
        """Whether these rows may be written, as all before them; what an earlier batch has already is found later."""
        ids = [row[EXTERNAL_ID] for row in rows if row[EXTERNAL_ID] is not None]
        return not self._total and len(set(ids)) == len(ids)

    def add_repeated(self, session: Session) -> None:
        repeated = fetch_repeated(session, limit=MAX_PROBLEMS)
        for row in repeated:
            params = {"earlier": row.earlier_number, "earlier_byte": row.earlier_first_byte}
            problem = FieldProblem(
                loc=("properties", "external_id"), type="external_id_repeated", message=REPEATED, params=params
            )
            place = Place(row.number, row.first_byte, row.line)
            self._keep(place, row.external_id, [problem])
        if repeated:
            self._total += repeated[0].total - len(repeated)

    def raise_for_problems(self) -> None:
        if self._total:
            in_order = sorted(self._problems, key=lambda problem: problem.members["index"])
            raise ImportInvalidError(errors=in_order, total=self._total, limit=MAX_PROBLEMS)

    def _rows(self, batch: Sequence[_Read]) -> Iterator[list[Row]]:
        outlines = iter(parse_outlines([shape for *_, shape in batch if isinstance(shape, Outline)]))
        rows: list[Row] = []
        for place, site, shape in batch:
            wkb = next(outlines) if isinstance(shape, Outline) else shape
            if wkb is None and isinstance(shape, Outline):
                wkb = self._parse(place, site.external_id, shape.as_geojson())
            if wkb is not None:
                free = json.dumps(site.properties)
                rows.append((*place, str(uuid.uuid4()), site.external_id, site.name, site.kind, free, wkb))
        if rows:
            yield rows

    def _read(self, found: Found) -> _Read | None:
        """What is kept of a feature until its batch is full: few objects, or a third of the time is garbage."""
        place, feature, fault = found
        if fault is not None:
            self._keep(place, None, [fault])
            return None
        _drop_own(feature)
        try:
            body = SiteWrite.model_validate(feature, from_attributes=True)  # as FastAPI does
        except ValidationError as error:
            problems = field_problems(error.errors(include_url=False)[:MAX_PROBLEMS], self._language)
            self._keep(place, _external_id(feature), problems)
            return None
        site = body.properties
        shape = read_outline(feature["geometry"]) or self._parse(place, site.external_id, body.geometry.as_mapping())
        return None if shape is None else (place, site, shape)

    def _parse(self, place: Place, external_id: str | None, geojson: Mapping[str, Any]) -> bytes | None:
        try:
            return parse_geometry(geojson, loc=("geometry",))
        except GeometryInvalidError as error:
            self._keep(place, external_id, error.errors)
            return None

    def _keep(self, place: Place, external_id: str | None, problems: Sequence[FieldProblem]) -> None:
        self._total += 1
        named = {"index": place.number, "offset": place.offset, "line": place.line, "external_id": external_id}
        members = {name: value for name, value in named.items() if value is not None}
        for problem in problems[: MAX_PROBLEMS - len(self._problems)]:
            loc = ("body", "features", place.number, *problem.loc)
            kept = FieldProblem(
                loc=loc, type=problem.type, message=problem.message, params=problem.params, members=members
            )
            self._problems.append(kept)


def _drop_own(feature: Any) -> None:
    if not isinstance(feature, dict):
        return
    for name in OWN_MEMBERS:
        feature.pop(name, None)
    properties = feature.get("properties")
    if isinstance(properties, dict):
        for name in OWN_PROPERTIES:
            properties.pop(name, None)


def _external_id(feature: Any) -> str | None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    found = properties.get("external_id") if isinstance(properties, dict) else None
    return found if isinstance(found, str) and is_storable(found) else None
