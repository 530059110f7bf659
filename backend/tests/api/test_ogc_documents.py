"""OGC API - Features, Part 1: the documents that hold no data, and how to ask for them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from app.api.ogc.routes import ROUTES
from tests.support.api import problem_of
from tests.support.ogc import CRS84, DATA_PATHS, HOST, ITEMS, Ogc, href, meets

OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
DOCUMENTS = ("", "/conformance", "/collections", "/collections/sites")


@meets("/req/core/root-op", "/req/core/root-success")
@pytest.mark.parametrize("path", ["", "/"])
def test_the_landing_page_leads_to_everything(empty_ogc: Ogc, path: str) -> None:
    page = empty_ogc.read(path)
    assert href(page, "service-desc", OPENAPI) == f"{HOST}/ogc/api"
    assert href(page, "service-doc", "text/html") == f"{HOST}/ogc/api.html"
    assert href(page, "conformance") == f"{HOST}/ogc/conformance"
    assert href(page, "data") == f"{HOST}/ogc/collections"


@meets("/req/core/api-definition-op", "/req/core/api-definition-success")
def test_every_link_of_the_landing_page_gives_what_it_says(empty_ogc: Ogc) -> None:
    for link in empty_ogc.read()["links"]:
        answer = empty_ogc.get(link["href"], accept=link["type"])
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].removesuffix("; charset=utf-8") == link["type"]


@meets("/req/core/conformance-op", "/req/core/conformance-success")
def test_the_conformance_classes_are_those_that_are_met(empty_ogc: Ogc) -> None:
    expected = {
        "1": ("core", "oas30", "html", "geojson"),
        "2": ("crs",),
        "3": ("queryables", "queryables-query-parameters", "filter", "features-filter"),
        "4": ("create-replace-delete", "update", "optimistic-locking-etags", "features"),
    }
    declared = empty_ogc.read("/conformance")["conformsTo"]
    assert [uri for uri in declared if "/cql2/" not in uri] == [
        f"http://www.opengis.net/spec/ogcapi-features-{part}/1.0/conf/{name}"
        for part, names in expected.items()
        for name in names
    ]


@meets("/req/core/fc-md-op", "/req/core/fc-md-success", "/req/core/fc-md-items", "/req/core/fc-md-items-links")
def test_the_collections_are_the_sites_with_a_link_for_each_encoding(empty_ogc: Ogc) -> None:
    (sites,) = empty_ogc.read("/collections")["collections"]
    assert (sites["id"], sites["itemType"]) == ("sites", "feature")
    for media_type in ("application/geo+json", "text/html"):
        answer = empty_ogc.get(href(sites, "items", media_type) or "", accept=media_type)
        assert answer.headers["Content-Type"].removesuffix("; charset=utf-8") == media_type


@meets("/req/core/sfc-md-op", "/req/core/sfc-md-success")
def test_the_collection_is_what_the_collections_say_of_it(empty_ogc: Ogc) -> None:
    (listed,) = empty_ogc.read("/collections")["collections"]
    alone = empty_ogc.read("/collections/sites")
    members = ("id", "title", "description", "itemType", "extent", "storageCrs")
    assert {name: alone[name] for name in members} == {name: listed[name] for name in members}
    assert {(link["rel"], link["type"], link["href"]) for link in listed["links"]} <= {
        (link["rel"], link["type"], link["href"]) for link in alone["links"]
    }


@meets("/req/core/fc-md-extent")
def test_the_extent_has_room_for_every_site_and_shows_none(empty_ogc: Ogc) -> None:
    extent = empty_ogc.read("/collections/sites")["extent"]
    assert extent["spatial"] == {"bbox": [[-180, -90, 180, 90]], "crs": CRS84}
    assert extent["temporal"]["interval"] == [[None, None]]


@meets("/req/core/fc-md-links")
@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_links_to_itself_and_to_its_page(empty_ogc: Ogc, path: str) -> None:
    document = empty_ogc.read(path)
    assert href(document, "self", "application/json") == f"{HOST}/ogc{path}"
    assert href(document, "alternate", "text/html") == f"{HOST}/ogc{path}?f=html"


def test_links_are_by_the_host_and_the_scheme_that_the_client_uses(empty_ogc: Ogc) -> None:
    answer = empty_ogc.api.anonymous.get("https://maps.example/ogc")
    assert {link["href"].partition("/ogc")[0] for link in answer.json()["links"]} == {"https://maps.example"}


@pytest.mark.parametrize(
    ("accept", "served"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json;q=0.5, text/html;q=0.4", "application/json"),
        ("application/json;q=0.4, text/*;q=0.5", "text/html; charset=utf-8"),
        ("text/html;q=0, */*", "application/json"),
        ("application/json;q=high, */*;q=0.1", "text/html; charset=utf-8"),
    ],
)
@meets("/req/core/http")
def test_the_accepted_media_type_is_served(empty_ogc: Ogc, accept: str, served: str) -> None:
    answer = empty_ogc.get("/collections", accept=accept)
    assert answer.headers["Content-Type"] == served
    assert answer.headers["Vary"] == "Accept, Accept-Language"


def test_f_wins_over_accept(empty_ogc: Ogc) -> None:
    assert empty_ogc.get(accept="text/html", f="json").headers["Content-Type"] == "application/json"
    assert empty_ogc.get(accept="application/json", f="html").headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_documentation_is_a_page_and_nothing_else(empty_ogc: Ogc) -> None:
    assert problem_of(empty_ogc.get("/api.html", f="json")) == (400, "invalid-parameter")
    assert empty_ogc.get("/api.html", accept="application/json").headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", [*DOCUMENTS, "/api", ITEMS])
def test_a_media_type_that_there_is_not_is_refused(empty_ogc: Ogc, path: str) -> None:
    answer = empty_ogc.get(path, accept="application/xml")
    assert problem_of(answer) == (406, "not-acceptable")
    assert "text/html" in answer.json()["detail"]
    assert answer.headers["Vary"] == "Accept, Accept-Language"


@pytest.mark.parametrize("path", [*DOCUMENTS, "/api", "/api.html", ITEMS, f"{ITEMS}/x"])
@meets("/req/core/query-param-unknown")
def test_an_unknown_parameter_is_refused_by_its_name(empty_ogc: Ogc, path: str) -> None:
    answer = empty_ogc.get(path, unknown="1")
    assert problem_of(answer) == (400, "invalid-parameter")
    assert [(error["loc"], error["type"]) for error in answer.json()["errors"]] == [
        (["query", "unknown"], "extra_forbidden")
    ]


@meets("/req/oas30/oas-definition-1", "/req/oas30/oas-definition-2", "/req/oas30/oas-impl")
def test_the_definition_is_valid_3_0_and_tells_of_the_routes_there_are(empty_ogc: Ogc) -> None:
    assert empty_ogc.definition["openapi"].startswith("3.0.")
    validate(empty_ogc.definition)
    routes = {route.path for route in ROUTES if isinstance(route, Route)}
    served = {path.removeprefix("/ogc").replace("feature_id", "featureId") or "/" for path in routes}
    assert empty_ogc.definition["paths"].keys() == served
    assert empty_ogc.definition["servers"] == [{"url": f"{HOST}/ogc"}]


@meets("/req/oas30/completeness", "/req/oas30/exceptions-codes")
def test_every_operation_tells_of_what_can_go_wrong(empty_ogc: Ogc) -> None:
    for path, operations in empty_ogc.definition["paths"].items():
        codes = set(operations["get"]["responses"])
        assert {"200", "400", "406", "500", "503"} <= codes, path
        assert ({"401", "501"} <= codes) == (path in DATA_PATHS), path


@meets("/req/oas30/security")
def test_the_definition_names_the_token_where_one_is_needed(empty_ogc: Ogc) -> None:
    needing = {path for path, operations in empty_ogc.definition["paths"].items() if "security" in operations["get"]}
    assert needing == set(DATA_PATHS)
    assert empty_ogc.definition["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@pytest.mark.parametrize("token", [{}, {"Authorization": "Bearer nonsense"}], ids=["none", "wrong"])
def test_every_operation_on_the_data_needs_a_token(empty_ogc: Ogc, token: dict[str, str]) -> None:
    refused = set()
    for path, operations in empty_ogc.definition["paths"].items():
        for method, operation in operations.items():
            if "security" not in operation:
                continue
            body: dict[str, Any] = {"json": {}} if "requestBody" in operation else {}
            url = f"{HOST}/ogc{path.replace('{featureId}', str(uuid.UUID(int=7)))}"
            answer = empty_ogc.api.anonymous.request(method.upper(), url, headers=token, **body)
            assert problem_of(answer) == (401, "invalid-token"), (method, path)
            refused.add((method, path))
    assert len(refused) == 8


def test_all_but_the_data_is_public(empty_ogc: Ogc) -> None:
    for path in empty_ogc.definition["paths"]:
        answer = empty_ogc.get(path.replace("{featureId}", "x"), caller=empty_ogc.api.anonymous)
        if path in DATA_PATHS:
            assert problem_of(answer) == (401, "invalid-token")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        else:
            assert answer.status_code == 200


@meets("/req/core/fc-limit-definition", "/req/core/fc-bbox-definition", "/req/core/fc-time-definition")
def test_the_standard_parameters_are_defined_as_it_says(empty_ogc: Ogc) -> None:
    parameters = empty_ogc.definition["components"]["parameters"]
    for name in ("limit", "bbox", "datetime", "crs", "bbox-crs"):
        parameter = parameters[name]
        assert (parameter["in"], parameter["required"]) == ("query", False)
        assert (parameter["style"], parameter["explode"]) == ("form", False)
    limit = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100}
    assert parameters["limit"]["schema"] == limit
    assert parameters["bbox"]["schema"] == {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}}
    assert parameters["datetime"]["schema"] == {"type": "string"}
