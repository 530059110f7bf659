"""Vector tiles of sites: what is asked for, and TileJSON."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.schemas.common import NO_NUL, Input, Output, ShortText

WORLD = (-180.0, -85.051129, 180.0, 85.051129)  # where Web Mercator ends
MAX_ZOOM = 22  # 1 cm in the tile's own units
PROPERTIES = {
    "id": "The site's id.",
    "name": "The name.",
    "kind": "The kind.",
    "external_id": "The owner's own key.",
    "owner_id": "Whose it is.",
    "version": "Raised by each change of the site.",
    "created_at": "When it was made, by ISO 8601 in UTC.",
    "updated_at": "When it was changed last, by ISO 8601 in UTC.",
}


def _known(value: str) -> str:
    for name in value.split(",") if value else ():
        if name not in PROPERTIES:
            context = {"name": name, "known": ", ".join(PROPERTIES)}
            raise PydanticCustomError("property_unknown", "There is no property {name}; there are {known}", context)
    return value


Zoom = Annotated[int, Field(ge=0, le=MAX_ZOOM, description="The zoom level.")]
Column = Annotated[int, Field(ge=0, lt=2**MAX_ZOOM, description="The column, from the west.")]
Row = Annotated[int, Field(ge=0, lt=2**MAX_ZOOM, description="The row, from the north.")]


class TileAddress(Input):
    z: Zoom
    x: Column
    y: Row


class TileQuery(Input):
    properties: Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL), AfterValidator(_known)] = Field(
        "name,kind", description=f"Which of {', '.join(PROPERTIES)} a feature has; `id` always."
    )
    kind: list[ShortText] = Field([], max_length=50, description="Any of these.")
    owner_id: uuid.UUID | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The properties in one order, whatever theirs is in the request."""
        asked = {"id", *self.properties.split(",")}
        return tuple(name for name in PROPERTIES if name in asked)


class VectorLayer(Output):
    id: Literal["sites"] = "sites"
    description: str = "Sites."
    minzoom: int = 0
    maxzoom: int = MAX_ZOOM
    fields: dict[str, str] = Field(description="Each property, and what it is.")


class TileJson(Output):
    """TileJSON 3.0."""

    tilejson: Literal["3.0.0"] = "3.0.0"
    name: str = "Landfall sites"
    tiles: list[str] = Field(description="The address of a tile, with {z}, {x} and {y} to fill in.")
    minzoom: int = 0
    maxzoom: int = MAX_ZOOM
    bounds: tuple[float, float, float, float] = Field(description="West, south, east and north: all that has tiles.")
    attribution: str = ""
    vector_layers: list[VectorLayer]
