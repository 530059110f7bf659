"""The operations of `app.api.ogc.transactions`, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from app.api.answers import CHANGING, CREATING, DELETING, GEOJSON, GUARDED, JSON
from app.api.problems import problem_responses
from app.errors import ConflictError, GeometryInvalidError, LandfallError, NothingMatchesError, ParameterInvalidError
from app.schemas.crs import CRS84

Part = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
TEXT: Part = {"type": "string"}
ETAG: Part = {"ETag": {"description": "The site's version.", "schema": TEXT}}
CONTENT_CRS: Part = {"Content-Crs": {"description": "The system of the coordinates.", "schema": TEXT}}
LOCATION: Part = {"Location": {"description": "Where the new site is.", "schema": TEXT}}
ALLOW: Part = {"Allow": {"description": "What you may do here.", "schema": TEXT}}
SITE: Part = {GEOJSON: {"schema": {"$ref": "#/components/schemas/Site"}}}
SITE_ERRORS = (ConflictError, GeometryInvalidError)


def parameter(name: str, description: str, *, where: str = "query", **schema: Any) -> Part:
    return {
        "name": name,
        "in": where,
        "description": description,
        "required": where == "path",
        "schema": {**TEXT, **schema},
        "style": "form" if where == "query" else "simple",
        "explode": False,
    }


_HEADERS = (
    parameter(
        "If-Match",
        "The version that is meant, by its ETag; another one is left as it is: 412.",
        where="header",
        maxLength=1000,
    ),
    parameter(
        "Idempotency-Key",
        "Makes a repeated request safe for 24 hours.",
        where="header",
        minLength=1,
        maxLength=200,
    ),
    parameter(
        "Content-Crs", f"The system of the coordinates in the body: <{CRS84.uri}>, and no other.", where="header"
    ),
)
HEADERS = {str(header["name"]): header for header in _HEADERS}


def operations() -> dict[str, dict[str, Part]]:
    """By path and method."""
    methods = {"description": "The methods are in the header Allow.", "headers": ALLOW}
    made = {"description": "The new site.", "headers": ETAG | CONTENT_CRS | LOCATION, "content": SITE}
    changed = {"description": "The site as it is now.", "headers": ETAG | CONTENT_CRS, "content": SITE}
    changing = (*CHANGING, *SITE_ERRORS, NothingMatchesError)
    feature = ("featureId", "If-Match", "Content-Crs")
    return {
        "/collections/sites/items": {
            "options": _operation("getMethods", "What you may do with the sites", {"200": methods}),
            "post": _operation(
                "createFeature",
                "Make a site",
                {"201": made},
                errors=(*CREATING, *SITE_ERRORS),
                parameters=("Idempotency-Key", "Content-Crs"),
                body=_body("FeatureWrite", GEOJSON, JSON),
            ),
        },
        "/collections/sites/items/{featureId}": {
            "options": _operation(
                "getFeatureMethods", "What you may do with a site", {"200": methods}, parameters=("featureId",)
            ),
            "put": _operation(
                "replaceFeature",
                "Replace a site",
                {"200": changed},
                errors=changing,
                parameters=feature,
                body=_body("FeatureWrite", GEOJSON, JSON),
            ),
            "patch": _operation(
                "updateFeature",
                "Change the members of a site that are given",
                {"200": changed},
                errors=changing,
                parameters=feature,
                body=_body("FeaturePatch", MERGE_PATCH, GEOJSON, JSON),
            ),
            "delete": _operation(
                "deleteFeature",
                "Delete a site",
                {"204": {"description": "The site is gone."}},
                errors=(*DELETING, NothingMatchesError),
                parameters=feature[:2],
            ),
        },
    }


def _operation(
    name: str,
    summary: str,
    answers: Part,
    *,
    errors: tuple[type[LandfallError], ...] = GUARDED,
    parameters: tuple[str, ...] = (),
    body: Part | None = None,
) -> Part:
    problems = problem_responses(*errors, ParameterInvalidError)
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["Features"],
        "security": [{"bearer": []}],
        "parameters": [{"$ref": f"#/components/parameters/{each}"} for each in parameters],
        **({"requestBody": body} if body else {}),
        "responses": answers | {str(status): response for status, response in problems.items()},
    }


def _body(schema: str, *media_types: str) -> Part:
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}} for media_type in media_types}
    return {"required": True, "content": content}
