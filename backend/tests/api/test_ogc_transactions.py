"""OGC API - Features, Part 4: sites are made, replaced, changed and deleted as the API does it."""

from __future__ import annotations

import uuid
from itertools import product
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from tests.support.api import Caller, one_database, point, problem_of, site, wrong_fields
from tests.support.ogc import CRS84, HOST, ITEMS, Ogc, epsg, meets

URL = f"{HOST}/ogc{ITEMS}"
GEOJSON = {"Content-Type": "application/geo+json"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
METHODS = ("POST", "PUT", "PATCH", "DELETE")
BODIES = {"POST": site(), "PUT": site(name="New"), "PATCH": {"properties": {"name": "New"}}, "DELETE": None}
NOWHERE = str(uuid.UUID(int=7))


@pytest.fixture
def made(ogc: Ogc) -> dict[str, Any]:
    return ogc.api.editor.create("/sites", site(external_id="P-7", properties={"depth_m": 3.5}))


def send(
    caller: Caller, method: str, feature_id: str, *, headers: dict[str, str] | None = None, query: str = ""
) -> Response:
    """A request that would do, to the list or to one of it as the method has it."""
    url = URL if method == "POST" else f"{URL}/{feature_id}"
    body = {} if BODIES[method] is None else {"json": BODIES[method]}
    return caller.request(method, f"{url}{query}", headers=headers, **body)


@meets(
    "/req/create-replace-delete/post-op", "/req/create-replace-delete/post-body",
    "/req/create-replace-delete/post-content-type", "/req/create-replace-delete/post-response",
    "/req/create-replace-delete/post-response-rid", "/req/features/resources-endpoint",
    "/req/features/resource-endpoint", "/req/features/default-crs",
)  # fmt: skip
def test_a_feature_that_is_posted_is_a_new_site(ogc: Ogc) -> None:
    answer = ogc.api.editor.post(URL, json=site(external_id="P-7"), headers=GEOJSON)
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert answer.headers["Content-Crs"] == f"<{CRS84}>"
    assert answer.headers["Location"] == f"/ogc{ITEMS}/{answer.json()['id']}"
    assert answer.json() == ogc.api.viewer.read(f"/sites/{answer.json()['id']}")
    assert answer.json()["geometry"] == site()["geometry"]
    assert ogc.get(f"{HOST}{answer.headers['Location']}").status_code == 200


def test_a_repeated_post_with_its_key_makes_one_site(ogc: Ogc) -> None:
    first, second = (ogc.api.editor.post(URL, json=site(), headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    assert len(ogc.found()) == 1


@meets(
    "/req/create-replace-delete/put-op", "/req/create-replace-delete/put-body",
    "/req/create-replace-delete/put-content-type", "/req/create-replace-delete/put-response",
    "/req/optimistic-locking-etags/put-etag-response",
)  # fmt: skip
def test_a_feature_that_is_put_replaces_the_site(ogc: Ogc, made: dict[str, Any]) -> None:
    answer = ogc.api.editor.put(f"{URL}/{made['id']}", json=site(point(1, 2), name="New"), headers=GEOJSON)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    now = ogc.api.viewer.read(f"/sites/{made['id']}")
    assert answer.json() == now
    assert now["geometry"] == point(1, 2)
    kept = {name: now["properties"][name] for name in ("name", "external_id", "properties", "owner_id")}
    assert kept == {"name": "New", "external_id": None, "properties": {}, "owner_id": ogc.api.editor.id}


@meets(
    "/req/update/update-patch-op", "/req/update/update-patch-body", "/req/update/update-patch-response",
    "/req/optimistic-locking-etags/patch-etag-response",
)  # fmt: skip
def test_a_patch_changes_what_it_names(ogc: Ogc, made: dict[str, Any]) -> None:
    where = f"{URL}/{made['id']}"
    patches: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"properties": {"name": "New"}}, {"name": "New"}),
        ({"geometry": point(1, 2)}, {}),
        ({"properties": {"external_id": None}}, {"external_id": None}),
        ({"properties": {"properties": None}}, {"properties": {}}),
    ]
    for number, (patch, changed) in enumerate(patches):
        before = ogc.api.viewer.read(f"/sites/{made['id']}")
        answer = ogc.api.editor.patch(where, json=patch, headers=MERGE_PATCH)
        assert (answer.status_code, answer.headers["ETag"]) == (200, f'"{number + 2}"')
        now = ogc.api.viewer.read(f"/sites/{made['id']}")
        assert answer.json() == now
        unlike = changed | {name: now["properties"][name] for name in ("version", "updated_at")}
        assert now == before | patch | {"properties": before["properties"] | unlike}


@meets("/req/create-replace-delete/delete-op", "/req/create-replace-delete/delete-response")
def test_a_feature_that_is_deleted_is_gone(ogc: Ogc, made: dict[str, Any]) -> None:
    assert ogc.api.editor.delete(f"{URL}/{made['id']}").status_code == 204
    assert problem_of(ogc.get(f"{ITEMS}/{made['id']}")) == (404, "not-found")


def test_every_change_is_in_the_audit_trail(ogc: Ogc) -> None:
    feature_id = send(ogc.api.editor, "POST", "").json()["id"]
    for method in METHODS[1:]:
        send(ogc.api.editor, method, feature_id)
    trail = ogc.api.admin.listed("/audit-events", subject_id=feature_id)
    assert sorted(event["action"] for event in trail) == ["site.create", "site.delete", "site.update", "site.update"]


@meets("/req/create-replace-delete/put-rid", "/req/update/rid")
def test_what_was_read_may_be_sent_back(ogc: Ogc, made: dict[str, Any]) -> None:
    """With its links, its id and what else only the service writes, or with other values of these: they are ignored."""
    feature = ogc.read(f"{ITEMS}/{made['id']}")
    feature["id"] = NOWHERE
    feature["properties"] |= {"id": 7, "owner_id": None, "version": 9, "created_at": "", "updated_at": None}
    for method, status in (("PUT", 200), ("PATCH", 200), ("POST", 409)):
        url = URL if method == "POST" else f"{URL}/{made['id']}"
        answer = ogc.api.editor.request(method, url, json=feature)
        assert answer.status_code == status
    feature["properties"]["external_id"] = None
    new = ogc.api.editor.post(URL, json=feature).json()
    assert new["id"] not in {made["id"], NOWHERE}
    own = {name: made["properties"][name] for name in ("name", "kind", "properties", "owner_id")}
    for found, version in ((ogc.api.viewer.read(f"/sites/{made['id']}"), 3), (new, 1)):
        assert found["properties"].items() >= (own | {"version": version}).items()
    assert ogc.found(id=NOWHERE) == []


@pytest.mark.parametrize("method", METHODS[1:])
@meets(
    "/req/optimistic-locking-etags/get-etag-response", "/req/optimistic-locking-etags/ifmatch-put-op",
    "/req/optimistic-locking-etags/ifmatch-put-eval", "/req/optimistic-locking-etags/ifmatch-patch-op",
    "/req/optimistic-locking-etags/ifmatch-patch-eval",
)  # fmt: skip
def test_only_the_version_that_the_client_has_is_changed(ogc: Ogc, made: dict[str, Any], method: str) -> None:
    etag = ogc.get(f"{ITEMS}/{made['id']}").headers["ETag"]
    for other in ('"2"', f"W/{etag}"):
        answer = send(ogc.api.editor, method, made["id"], headers={"If-Match": other})
        assert problem_of(answer) == (412, "version-mismatch")
    assert ogc.api.viewer.read(f"/sites/{made['id']}") == made
    assert send(ogc.api.editor, method, made["id"], headers={"If-Match": etag}).is_success


@meets("/req/create-replace-delete/put-rid-exception", "/req/features/collection-endpoint")
def test_what_is_not_there_is_neither_changed_nor_made(ogc: Ogc) -> None:
    for method, feature_id in product(METHODS[1:], (NOWHERE, "7")):
        assert problem_of(send(ogc.api.editor, method, feature_id)) == (404, "not-found")
        for condition in ("*", '"1"'):
            answer = send(ogc.api.editor, method, feature_id, headers={"If-Match": condition})
            assert problem_of(answer) == (412, "nothing-matches")
    assert ogc.found() == []
    assert "supportsNonAutogeneratedResourceIds" not in ogc.read("/collections/sites")


@one_database
@pytest.mark.parametrize("method", METHODS[:3])
@meets("/req/features/content-crs-header", "/req/features/crs-other-crs")
def test_coordinates_are_taken_as_longitude_and_latitude_only(ogc: Ogc, made: dict[str, Any], method: str) -> None:
    for system in (epsg(4326), f"<{epsg(25832)}>", ""):
        answer = send(ogc.api.editor, method, made["id"], headers={"Content-Crs": system, "Accept-Language": "de"})
        assert problem_of(answer) == (400, "invalid-parameter")
        (error,) = answer.json()["errors"]
        assert (error["loc"], error["type"]) == (["header", "Content-Crs"], "crs_unknown")
        assert error["message"].startswith("Koordinaten werden als Länge und Breite genommen")
    for system in (CRS84, f"<{CRS84}>"):
        assert send(ogc.api.editor, method, made["id"], headers={"Content-Crs": system}).is_success


@meets(
    "/req/create-replace-delete/methods", "/req/create-replace-delete/options-op",
    "/req/create-replace-delete/options-response", "/req/update/methods",
)  # fmt: skip
def test_the_methods_are_told_to_each_as_they_may_use_them(ogc: Ogc, made: dict[str, Any]) -> None:
    expected = {
        URL: ("GET, HEAD, OPTIONS", "GET, HEAD, OPTIONS, POST"),
        f"{URL}/{made['id']}": ("GET, HEAD, OPTIONS", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
    }
    for url, allowed in expected.items():
        answers = [caller.request("OPTIONS", url) for caller in (ogc.api.viewer, ogc.api.editor)]
        assert [(answer.status_code, answer.headers["Allow"]) for answer in answers] == [(200, one) for one in allowed]
        assert problem_of(ogc.api.anonymous.request("OPTIONS", url)) == (401, "invalid-token")


@one_database
@pytest.mark.parametrize("method", METHODS)
def test_editors_write_and_others_do_not(ogc: Ogc, made: dict[str, Any], method: str) -> None:
    assert problem_of(send(ogc.api.viewer, method, made["id"])) == (403, "permission-denied")
    assert problem_of(send(ogc.api.anonymous, method, made["id"])) == (401, "invalid-token")
    assert ogc.read(ITEMS)["features"] == [made]


@one_database
@pytest.mark.parametrize("method", METHODS)
def test_a_parameter_that_there_is_not_is_refused(ogc: Ogc, made: dict[str, Any], method: str) -> None:
    answer = send(ogc.api.editor, method, made["id"], query="?crs=x")
    assert problem_of(answer) == (400, "invalid-parameter")
    assert ogc.read(ITEMS)["features"] == [made]


@one_database
@pytest.mark.parametrize("method", METHODS[:3])
def test_a_body_that_cannot_be_a_site_is_refused(ogc: Ogc, made: dict[str, Any], method: str) -> None:
    def sent(**options: Any) -> Response:
        return ogc.api.editor.request(method, URL if method == "POST" else f"{URL}/{made['id']}", **options)

    assert problem_of(sent(content="<gml/>", headers={"Content-Type": "text/xml"})) == (415, "unsupported-media-type")
    assert problem_of(sent(content="{", headers=GEOJSON)) == (422, "invalid-request")
    assert problem_of(sent(json=site(point(0, 91)))) == (422, "invalid-geometry")
    assert wrong_fields(sent(json=site(knid="pump"))) == [("body.properties.knid", "extra_forbidden")]
    assert wrong_fields(sent(json=site(name=None))) == [("body.properties.name", "string_type")]
    assert wrong_fields(sent(json=[])) == [("body", "model_attributes_type")]
    assert ogc.read(ITEMS)["features"] == [made]


def test_the_head_of_what_the_client_has_is_not_modified(ogc: Ogc, made: dict[str, Any]) -> None:
    client = TestClient(ogc.api.app)
    headers = {**ogc.api.viewer.headers, "If-None-Match": '"1"'}
    assert client.head(f"/ogc{ITEMS}/{made['id']}", headers=headers).status_code == 304
    assert client.head(f"/ogc{ITEMS}/{made['id']}", headers=ogc.api.viewer.headers).status_code == 200
