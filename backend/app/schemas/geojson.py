"""GeoJSON geometries (RFC 7946) as requests and answers carry them.

The schema is exact, for clients to read. What it cannot say (rings that close, boundaries that do not cross) and what
pydantic would say poorly is for `app.services.geometry.parse_geometry`, so coordinates pass through here as they are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType, override

Schema = dict[str, Any]


def _array(items: Schema, *, at_least: int, at_most: int | None = None, description: str) -> Schema:
    limits = {"minItems": at_least} if at_most is None else {"minItems": at_least, "maxItems": at_most}
    return {"type": "array", "items": items, **limits, "description": description}


POSITION = _array(
    {"type": "number", "minimum": -180, "maximum": 180},
    at_least=2,
    at_most=2,
    description="Longitude (±180) and latitude (±90) in degrees, WGS 84; no altitude.",
)
POSITIONS = _array(POSITION, at_least=1, description="One position a point.")
LINE = _array(POSITION, at_least=2, description="At least two of the positions differ.")
RING = _array(POSITION, at_least=4, description="The last position repeats the first; no crossings.")
RINGS = _array(RING, at_least=1, description="The outer ring, then its holes; they may turn either way.")

SQUARE = [[13.36, 52.5], [13.4, 52.5], [13.4, 52.53], [13.36, 52.53], [13.36, 52.5]]
HOLE = [[13.37, 52.51], [13.37, 52.52], [13.38, 52.52], [13.38, 52.51], [13.37, 52.51]]
ISLAND = [[13.41, 52.5], [13.42, 52.5], [13.42, 52.51], [13.41, 52.5]]


class _Shape(BaseModel):
    """RFC 7946 allows further members: `bbox` and others are ignored; `crs`, which it removed, is refused later."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"not": {"required": ["crs"]}})

    def as_mapping(self) -> dict[str, Any]:
        """The geometry as it came, for `parse_geometry`; the coordinates are not copied."""
        return dict(self)


class Point(_Shape):
    """One place."""

    type: Literal["Point"]
    coordinates: Annotated[Any, WithJsonSchema(POSITION), Field(examples=[[13.38, 52.52]])]


class MultiPoint(_Shape):
    """Several places."""

    type: Literal["MultiPoint"]
    coordinates: Annotated[Any, WithJsonSchema(POSITIONS), Field(examples=[[[13.38, 52.52], [13.41, 52.5]]])]


class LineString(_Shape):
    """A line through two or more positions."""

    type: Literal["LineString"]
    coordinates: Annotated[Any, WithJsonSchema(LINE), Field(examples=[[[13.38, 52.52], [13.41, 52.5]]])]


class MultiLineString(_Shape):
    """Several lines."""

    type: Literal["MultiLineString"]
    coordinates: Annotated[
        Any,
        WithJsonSchema(_array(LINE, at_least=1, description="One array of positions a line.")),
        Field(examples=[[[[13.38, 52.52], [13.41, 52.5]], [[13.3, 52.4], [13.31, 52.4]]]]),
    ]


class Polygon(_Shape):
    """An area, possibly with holes; one that crosses the antimeridian is cut there in two."""

    type: Literal["Polygon"]
    coordinates: Annotated[Any, WithJsonSchema(RINGS), Field(examples=[[SQUARE, HOLE]])]


class MultiPolygon(_Shape):
    """Several areas that share no more than single positions."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[
        Any,
        WithJsonSchema(_array(RINGS, at_least=1, description="One array of rings a polygon.")),
        Field(examples=[[[SQUARE, HOLE], [ISLAND]]]),
    ]


class GeometryCollection(_Shape):
    """Geometries of any types, at least one; nested four deep at most."""

    type: Literal["GeometryCollection"]
    geometries: list[Geometry] = Field(
        json_schema_extra={"minItems": 1}, examples=[[{"type": "Point", "coordinates": [13.38, 52.52]}]]
    )

    @override
    def as_mapping(self) -> dict[str, Any]:
        return super().as_mapping() | {"geometries": [member.as_mapping() for member in self.geometries]}


Geometry = TypeAliasType(
    "Geometry",
    Annotated[
        Point | MultiPoint | LineString | MultiLineString | Polygon | MultiPolygon | GeometryCollection,
        Field(
            discriminator="type",
            description="A GeoJSON geometry (RFC 7946): two-dimensional, WGS 84, 100 000 positions at most; "
            "bbox is ignored, crs refused.",
            examples=[{"type": "Point", "coordinates": [13.38, 52.52]}, {"type": "Polygon", "coordinates": [SQUARE]}],
        ),
    ],
)
