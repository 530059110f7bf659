"""Request ids, the access log, the request metrics, and errors that nobody expected."""

from __future__ import annotations

import logging

import httpx
import pytest

from tests.middleware.conftest import Edge, MakeEdge

pytestmark = pytest.mark.anyio


@pytest.fixture
def edge(make_edge: MakeEdge, caplog: pytest.LogCaptureFixture) -> Edge:
    caplog.set_level(logging.INFO, logger="app")
    edge = make_edge()
    edge.gate.set()
    return edge


async def get(edge: Edge, path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
    async with edge.client() as client:
        return await client.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def test_the_clients_request_id_is_returned(edge: Edge) -> None:
    assert (await get(edge, "/healthz", X_Request_ID="order-66.a_B")).headers["X-Request-ID"] == "order-66.a_B"


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", 'a"b', "ä"])
async def test_an_unsuitable_request_id_is_replaced(edge: Edge, offered: str) -> None:
    async with edge.client() as client:
        answer = await client.get("/healthz", headers=[(b"X-Request-ID", offered.encode())])
    assert len(answer.headers["X-Request-ID"]) == 32


async def test_each_request_leaves_one_access_line(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    await get(edge, "/api/v1/things/a%0Ab?token=secret")
    (record,) = caplog.records
    shown = {name: record.__dict__[name] for name in ("method", "route", "path", "status", "client", "bytes")}
    assert shown == {
        "method": "GET",
        "route": "/api/v1/things/{name}",
        "path": "/api/v1/things/a%0Ab",
        "status": 200,
        "client": "127.0.0.1",
        "bytes": len(b'"a\\nb"'),
    }
    assert record.__dict__["duration_ms"] > 0
    assert "secret" not in record.getMessage()


async def test_metrics_name_the_whole_route_template(edge: Edge) -> None:
    await get(edge, "/api/v1/things/a")
    labels = {"method": "GET", "route": "/api/v1/things/{name}"}
    assert edge.sample("http_requests_total", **labels, status="200") == 1
    assert edge.sample("http_request_duration_seconds_count", **labels) == 1


async def test_unknown_paths_and_methods_share_one_label_each(edge: Edge) -> None:
    await get(edge, "/nowhere/1", method="BREW")
    await get(edge, "/nowhere/2", method="SIP")
    assert edge.sample("http_requests_total", method="OTHER", route="unmatched", status="404") == 2


async def test_an_unexpected_error_is_a_problem_that_tells_nothing_but_the_request_id(edge: Edge) -> None:
    answer = await get(edge, "/broken", X_Request_ID="mine")
    assert (answer.status_code, answer.json()["type"]) == (500, "https://landfall.dev/problems/internal-error")
    assert answer.json()["request_id"] == "mine"
    assert "hunter2" not in answer.text
    assert edge.sample("http_requests_total", method="GET", route="/broken", status="500") == 1


async def test_an_unexpected_error_is_logged_once_with_its_traceback(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    await get(edge, "/broken")
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == ["unhandled error"]
    assert errors[0].exc_info


async def test_an_error_in_the_middle_of_an_answer_cuts_the_connection(edge: Edge) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        await get(edge, "/half")
