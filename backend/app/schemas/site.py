"""Sites as clients write and read them: GeoJSON Features (RFC 7946)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.schemas.common import FreeForm, Input, ListQuery, Output, Page, ShortText, unset
from app.schemas.geojson import Geometry

SiteSort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"]
FilterLang = Literal["cql2-text", "cql2-json"]
Name = Annotated[ShortText, Field(examples=["Pumping station 7"])]
Kind = Annotated[ShortText, Field(examples=["pump"])]

EXAMPLE: JsonDict = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [13.4, 52.5]},
    "properties": {"name": "Pumping station 7", "kind": "pump", "external_id": "P-7", "properties": {"depth_m": 3.5}},
}


class SiteProperties(Input):
    name: Name
    kind: Kind
    external_id: ShortText | None = Field(None, description="Your own key; unique among your sites.", examples=["P-7"])
    properties: FreeForm = Field({}, description="Whatever else belongs to it.", examples=[{"depth_m": 3.5}])


class SiteWrite(Input):
    """A GeoJSON Feature."""

    type: Literal["Feature"]
    geometry: Geometry
    properties: SiteProperties

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})


class SitePropertiesPatch(Input):
    name: Name = Field(default_factory=unset)
    kind: Kind = Field(default_factory=unset)
    external_id: ShortText | None = None
    properties: FreeForm = Field(default_factory=unset)


class SitePatch(Input):
    type: Literal["Feature"] = "Feature"
    geometry: Geometry = Field(default_factory=unset)
    properties: SitePropertiesPatch = SitePropertiesPatch()

    model_config = ConfigDict(json_schema_extra={"examples": [{"properties": {"kind": "well"}}]})


class SitePropertiesOut(Output):
    name: str
    kind: str
    external_id: str | None
    properties: dict[str, Any]
    owner_id: uuid.UUID
    version: int = Field(description="Raised by each change; also the ETag.")
    created_at: datetime
    updated_at: datetime


class SiteOut(Output):
    """A GeoJSON Feature."""

    type: Literal["Feature"]
    id: uuid.UUID
    geometry: Geometry
    properties: SitePropertiesOut


class SitePage(Page):
    """A GeoJSON FeatureCollection."""

    type: Literal["FeatureCollection"]
    features: list[SiteOut]


class SiteFilter(Input):
    kind: list[ShortText] = Field([], max_length=50, description="Any of these.")
    owner_id: uuid.UUID | None = None
    external_id: ShortText | None = None
    bbox: str | None = Field(
        None,
        max_length=200,
        description="`west,south,east,north` in degrees; west > east crosses the antimeridian.",
        examples=["13.0,52.3,13.8,52.7"],
    )
    near: str | None = Field(
        None, max_length=200, description="`lon,lat,metres`: within this distance.", examples=["13.4,52.5,1000"]
    )
    text: ShortText | None = Field(None, description="In the name, in any case.")
    filter: str | None = Field(
        None,
        description="A condition in CQL2 (OGC 21-065).",
        examples=["kind = 'pump' AND CASEI(name) LIKE CASEI('%station%')"],
    )
    filter_lang: FilterLang = Field("cql2-text", description="The language of `filter`.")


class SiteListQuery(SiteFilter, ListQuery):
    sort: SiteSort = Field("-created_at", description="Order; a leading minus reverses it.")
