"""The schemas of the OpenAPI document: those of the standard, as far as they are used here."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
URI: Schema = {"type": "string", "format": "uri"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
COUNT: Schema = {"type": "integer", "minimum": 0}


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


BOX: Schema = {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}}
LINKS = _list(_ref("Link"))
NULLABLE_TIME: Schema = {"type": "string", "format": "date-time", "nullable": True}
COLLECTION = _object(
    "id title description itemType extent crs storageCrs links",
    id=TEXT,
    title=TEXT,
    description=TEXT,
    itemType={"type": "string", "enum": ["feature"]},
    extent=_ref("Extent"),
    crs=_list(TEXT),
    storageCrs=URI,
    links=LINKS,
)
PROPERTIES = _object(
    "name kind external_id properties owner_id version created_at updated_at",
    name=TEXT,
    kind=TEXT,
    external_id={"type": "string", "nullable": True},
    properties={"type": "object"},
    owner_id=UUID,
    version={"type": "integer", "minimum": 1},
    created_at=TIME,
    updated_at=TIME,
)
SHORT_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
WRITABLE: Schema = {
    "name": SHORT_TEXT,
    "kind": SHORT_TEXT,
    "external_id": {**SHORT_TEXT, "nullable": True},
    "properties": {"type": "object", "nullable": True},
}
FEATURE = _object(
    "type id geometry properties",
    type={"type": "string", "enum": ["Feature"]},
    id=UUID,
    geometry=_ref("Geometry"),
    properties=PROPERTIES,
)
SCHEMAS: Schema = {
    "Link": _object("href rel type title", href=URI, rel=TEXT, type=TEXT, title=TEXT),
    "LandingPage": _object("title description links", title=TEXT, description=TEXT, links=LINKS),
    "Conformance": _object("conformsTo links", conformsTo=_list(URI), links=LINKS),
    "Collections": _object("links crs collections", links=LINKS, crs=_list(URI), collections=_list(_ref("Collection"))),
    "Collection": COLLECTION,
    "Queryables": {
        **_object(
            "$schema $id type title properties additionalProperties",
            **{"$schema": URI, "$id": URI, "properties": {"type": "object"}},
        ),
        "description": "A JSON schema; each property may be named in a filter.",
    },
    "Extent": _object(
        "spatial temporal",
        spatial=_object("bbox crs", bbox=_list(BOX), crs=URI),
        temporal=_object(
            "interval trs",
            interval=_list({"type": "array", "minItems": 2, "maxItems": 2, "items": NULLABLE_TIME}),
            trs=URI,
        ),
    ),
    "FeatureCollection": _object(
        "type features numberReturned timeStamp links",
        type={"type": "string", "enum": ["FeatureCollection"]},
        features=_list(FEATURE),
        numberReturned=COUNT,
        numberMatched=COUNT,
        timeStamp=TIME,
        links=LINKS,
    ),
    "Site": FEATURE,
    "FeatureWrite": {
        **_object(
            "type geometry properties",
            type={"type": "string", "enum": ["Feature"]},
            geometry=_ref("Geometry"),
            properties=_object("name kind", **WRITABLE),
        ),
        "description": "What a feature that was read has beyond these members is passed over, such as its id.",
    },
    "FeaturePatch": {
        "type": "object",
        "description": "The members to change; of these the free-form properties are replaced as a whole.",
        "properties": {"geometry": _ref("Geometry"), "properties": {"type": "object", "properties": WRITABLE}},
    },
    "Feature": {
        **FEATURE,
        "required": [*FEATURE["required"], "links"],
        "properties": {**FEATURE["properties"], "links": LINKS},
    },
    "Geometry": {
        "type": "object",
        "description": "A GeoJSON geometry in the system of Content-Crs.",
        "required": ["type"],
        "properties": {
            "type": {
                "type": "string",
                "enum": [
                    "Point",
                    "MultiPoint",
                    "LineString",
                    "MultiLineString",
                    "Polygon",
                    "MultiPolygon",
                    "GeometryCollection",
                ],
            },
            "coordinates": {"type": "array", "items": {}},
            "geometries": {"type": "array", "items": _ref("Geometry")},
        },
    },
    "Problem": _object(
        "type title status detail instance request_id",
        type=URI,
        title=TEXT,
        status={"type": "integer", "minimum": 400, "maximum": 599},
        detail=TEXT,
        instance=TEXT,
        request_id=TEXT,
        errors=_list(_object("loc type message", loc=_list({}), type=TEXT, message=TEXT)),
    ),
}
