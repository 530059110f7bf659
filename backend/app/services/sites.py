from __future__ import annotations

import uuid
from typing import Any

import shapely
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from app.db.types import Database
from app.models import Artifact, Site, Task
from app.queries.json_rows import Answer
from app.queries.paging import Rows
from app.queries.sites import SITE, Area, fetch_sites, geometry_from_wkb
from app.schemas.site import SiteFilter, SiteListQuery, SitePatch, SiteWrite
from app.services.changes import Actor, IfMatch, Once, answer, audit, conflicts, detach, lock, once
from app.services.cql2 import compile_filter
from app.services.geometry import parse_bbox, parse_geometry, parse_near

GEOMETRY_LOC = ("body", "geometry")
UNIQUE = {"uq_sites_owner_id_external_id": "external_id"}


def read_site(database: Database, site_id: uuid.UUID) -> Answer:
    return answer(database, SITE, site_id)


def list_sites(
    database: Database, query: SiteListQuery, *, row: ColumnElement[str] = SITE.row, separator: str = ","
) -> Rows:
    area, condition = wanted(query)
    return fetch_sites(database, query, area=area, condition=condition, row=row, separator=separator)


def wanted(query: SiteFilter) -> tuple[Area, ColumnElement[bool] | None]:
    """Where, and by which filter; raises `RequestInvalidError` and `FilterInvalidError`."""
    boxes = parse_bbox(query.bbox) if query.bbox is not None else ()
    near = None
    if query.near is not None:
        lon, lat, metres = parse_near(query.near)
        near = (shapely.to_wkb(shapely.Point(lon, lat)), metres)
    condition = compile_filter(query.filter, lang=query.filter_lang) if query.filter is not None else None
    return Area(boxes=boxes, near=near), condition


def create_site(session: Session, body: SiteWrite, *, actor: Actor, key: Once | None = None) -> Answer:
    geom = _geometry(body)

    def work() -> Answer:
        site = Site(**body.properties.model_dump(), owner_id=actor.user_id, geom=geom)
        session.add(site)
        with conflicts("site", **UNIQUE):
            session.flush()
        audit(session, actor, "site.create", site.id)
        return answer(session, SITE, site.id)

    with session.begin():
        return once(session, key, work)


def change_site(
    session: Session, site_id: uuid.UUID, body: SiteWrite | SitePatch, *, actor: Actor, if_match: IfMatch
) -> Answer:
    """Set what the body has; a replacement has all but the owner, who then stays."""
    fields: dict[str, Any] = body.properties.model_dump(exclude_unset=isinstance(body, SitePatch))
    if "geometry" in body.model_fields_set:
        fields["geom"] = _geometry(body)
    with session.begin():
        site = lock(session, SITE, site_id, if_match)
        for name, value in fields.items():
            setattr(site, name, value)
        with conflicts("site", **UNIQUE):
            session.flush()
        audit(session, actor, "site.update", site_id, fields=sorted(fields))
        return answer(session, SITE, site_id)


def delete_site(session: Session, site_id: uuid.UUID, *, actor: Actor, if_match: IfMatch) -> None:
    with session.begin():
        site = lock(session, SITE, site_id, if_match)
        for reference in (Task.site_id, Artifact.site_id):
            detach(session, reference, [site_id])
        session.delete(site)
        session.flush()
        audit(session, actor, "site.delete", site_id)


def _geometry(body: SiteWrite | SitePatch) -> Any:
    return geometry_from_wkb(parse_geometry(body.geometry.as_mapping(), loc=GEOMETRY_LOC))
