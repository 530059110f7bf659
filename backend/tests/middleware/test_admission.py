"""Overload: who works, who waits, who is sent away."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.middleware.admission import Admission
from tests.middleware.conftest import MakeEdge, until

pytestmark = pytest.mark.anyio


async def test_as_many_requests_as_allowed_work_at_once(make_edge: MakeEdge) -> None:
    edge = make_edge(in_flight=2)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        requests = [group.create_task(client.get(f"/api/v1/things/{name}")) for name in "abc"]
        await until(lambda: len(edge.begun) == 2)
        edge.gate.set()
    assert [request.result().status_code for request in requests] == [200, 200, 200]


async def test_waiting_requests_are_served_in_the_order_they_came(make_edge: MakeEdge) -> None:
    edge = make_edge(in_flight=1, waiting=3)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(client.get(f"/api/v1/things/{name}"))
        await until(lambda: edge.sample("http_requests_in_flight") == 4)
        edge.gate.set()
    assert edge.begun == list("abcd")


async def test_a_request_beyond_the_queue_is_refused_at_once_and_told_when_to_come_back(make_edge: MakeEdge) -> None:
    edge = make_edge(in_flight=1, waiting=0)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        group.create_task(client.get("/api/v1/things/first"))
        await until(lambda: edge.begun == ["first"])
        refused = await client.get("/api/v1/things/second", headers={"X-Request-ID": "mine"})
        edge.gate.set()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["X-Request-ID"] == refused.json()["request_id"] == "mine"
    assert refused.json()["type"] == "https://landfall.dev/problems/overloaded"
    assert edge.begun == ["first"]


async def test_a_request_that_has_waited_too_long_is_refused(make_edge: MakeEdge) -> None:
    edge = make_edge(in_flight=1, waiting=1, wait=0.01)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        group.create_task(client.get("/api/v1/things/first"))
        await until(lambda: edge.begun == ["first"])
        refused = await client.get("/api/v1/things/second")
        edge.gate.set()
    assert refused.status_code == 503
    assert edge.sample("http_requests_refused_total", reason="wait over") == 1


async def test_the_body_of_a_request_that_had_to_wait_arrives_whole(make_edge: MakeEdge) -> None:
    edge = make_edge(in_flight=1, waiting=1)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        group.create_task(client.get("/api/v1/things/first"))
        await until(lambda: edge.begun == ["first"])
        waiting = group.create_task(client.post("/api/v1/things/second", content=b"all of it"))
        await until(lambda: edge.sample("http_requests_in_flight") == 2)
        edge.gate.set()
    assert waiting.result().json() == "all of it"


async def test_probes_are_let_in_when_nothing_else_is(make_edge: MakeEdge) -> None:
    edge = make_edge(in_flight=1, waiting=0)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        group.create_task(client.get("/api/v1/things/first"))
        await until(lambda: edge.begun == ["first"])
        probe = await client.get("/healthz")
        edge.gate.set()
    assert probe.status_code == 200


async def test_a_flood_of_refusals_is_counted_one_by_one_but_logged_as_one_line(
    make_edge: MakeEdge, caplog: pytest.LogCaptureFixture
) -> None:
    edge = make_edge(in_flight=1, waiting=0)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        group.create_task(client.get("/api/v1/things/first"))
        await until(lambda: edge.begun == ["first"])
        for _ in range(20):
            await client.get("/api/v1/things/more")
        await until(lambda: bool(caplog.records))
        edge.gate.set()
    assert [record.getMessage() for record in caplog.records] == ["refused 20 requests: queue full 20"]
    assert edge.sample("http_requests_refused_total", reason="queue full") == 20
    assert edge.sample("http_requests_total", method="GET", route="unmatched", status="503") == 20


class Caller:
    """An ASGI server's side of one request whose client may leave or read slowly."""

    def __init__(self, path: str) -> None:
        self.scope: Scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        self.asked = False
        self.left = asyncio.Event()
        self.reads = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        await self.reads.wait()


class Work:
    """An application that answers when its gate opens."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])
        await self.gate.wait()
        await send({"type": "http.response.body", "body": b"done"})


def admission(work: Work, *, waiting: int) -> Admission:
    return Admission(work, in_flight=1, waiting=waiting, wait=timedelta(seconds=5), exempt=lambda _scope: False)


async def test_a_client_that_leaves_the_queue_makes_room_for_another() -> None:
    work = Work()
    door = admission(work, waiting=1)
    first, leaving, next_one = Caller("/first"), Caller("/leaving"), Caller("/next")
    async with asyncio.TaskGroup() as group:
        group.create_task(door(first.scope, first.receive, first.send))
        gone = group.create_task(door(leaving.scope, leaving.receive, leaving.send))
        await until(lambda: leaving.asked)
        leaving.left.set()
        await gone
        group.create_task(door(next_one.scope, next_one.receive, next_one.send))
        await until(lambda: next_one.asked)
        work.gate.set()
        first.reads.set()
        next_one.reads.set()
    assert work.begun == ["/first", "/next"]
    assert leaving.sent == []


async def test_a_cancelled_wait_loses_no_place() -> None:
    work = Work()
    door = admission(work, waiting=2)
    callers = [Caller("/first"), Caller("/cancelled"), Caller("/last")]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(door(caller.scope, caller.receive, caller.send)) for caller in callers]
        await until(lambda: callers[2].asked)
        tasks[1].cancel()
        work.gate.set()
        for caller in callers:
            caller.reads.set()
    assert work.begun == ["/first", "/last"]


async def test_a_slow_reader_holds_no_place_once_its_answer_is_made() -> None:
    work = Work()
    door = admission(work, waiting=1)
    slow, other = Caller("/slow"), Caller("/other")
    work.gate.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(door(slow.scope, slow.receive, slow.send))
        await until(lambda: bool(slow.sent))
        group.create_task(door(other.scope, other.receive, other.send))
        await until(lambda: "/other" in work.begun)
        slow.reads.set()
        other.reads.set()
