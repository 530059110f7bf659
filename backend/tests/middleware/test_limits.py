"""Bodies that are too large, answers that come too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from typing import Any, cast

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from app.middleware.limits import Deadline
from tests.middleware.conftest import MakeEdge, until

pytestmark = pytest.mark.anyio


async def test_a_body_that_says_it_is_too_large_is_refused_unread(make_edge: MakeEdge) -> None:
    edge = make_edge(max_body_bytes=1024)
    async with edge.client() as client:
        refused = await client.post("/api/v1/things/a", content=b"x" * 1025)
    assert (refused.status_code, refused.json()["limit"]) == (413, 1024)
    assert edge.begun == []


async def test_a_body_that_turns_out_too_large_is_refused(make_edge: MakeEdge) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 500

    edge = make_edge(max_body_bytes=1024)
    async with edge.client() as client:
        refused = await client.post("/api/v1/things/a", content=parts())
    assert (refused.status_code, refused.json()["type"]) == (413, "https://landfall.dev/problems/body-too-large")
    assert edge.sample("http_requests_refused_total", reason="body too large") == 1


async def test_a_body_of_just_the_limit_passes(make_edge: MakeEdge) -> None:
    async with make_edge(max_body_bytes=1024).client() as client:
        assert (await client.post("/api/v1/things/a", content=b"x" * 1024)).status_code == 200


async def test_a_body_in_parts_arrives_whole(make_edge: MakeEdge) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one, ", b"", b"two"):
            yield part

    async with make_edge().client() as client:
        assert (await client.post("/api/v1/things/a", content=parts())).json() == "one, two"


async def test_bodies_that_do_not_come_take_no_place_and_are_given_up(make_edge: MakeEdge) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    edge = make_edge(in_flight=1, waiting=0, body_timeout=0.5)
    edge.gate.set()
    async with edge.client() as client, asyncio.TaskGroup() as group:
        requests = [group.create_task(client.post("/api/v1/things/a", content=stalled())) for _ in range(40)]
        await until(lambda: edge.sample("http_requests_in_flight") == 40)
        meanwhile = await client.get("/api/v1/things/b")
        assert not any(request.done() for request in requests)
    assert (meanwhile.status_code, edge.begun) == (200, ["b"])
    answers = [request.result() for request in requests]
    assert {(answer.status_code, answer.headers["Connection"]) for answer in answers} == {(503, "close")}
    assert {answer.json()["type"] for answer in answers} == {"https://landfall.dev/problems/timeout"}
    assert edge.sample("http_requests_refused_total", reason="body timeout") == 40


async def test_a_client_that_leaves_amid_its_body_is_not_answered(make_edge: MakeEdge) -> None:
    edge = make_edge()
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-length", b"9")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/things/a", "query_string": b"", "headers": headers}
    await edge.app(scope, receive, send)
    assert (sent, edge.begun) == ([], [])


async def test_a_late_answer_is_given_up_in_time(make_edge: MakeEdge) -> None:
    edge = make_edge(deadline=0.05)
    async with edge.client() as client, asyncio.TaskGroup() as group:
        request = group.create_task(client.get("/thread"))
        # httpx's transport returns when the application does, so the metrics tell when the answer went out.
        counted = {"method": "GET", "route": "/thread", "status": "503"}
        await until(lambda: edge.sample("http_requests_total", **counted) == 1)
        assert not edge.thread_ended.is_set()
        edge.thread_gate.set()
    answer = request.result()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["type"] == "https://landfall.dev/problems/timeout"


async def test_work_past_its_deadline_keeps_its_place_until_its_thread_has_ended(make_edge: MakeEdge) -> None:
    edge = make_edge(in_flight=1, waiting=0, deadline=0.05)
    edge.gate.set()
    async with edge.client() as client, asyncio.TaskGroup() as group:
        group.create_task(client.get("/thread"))
        await until(lambda: edge.sample("http_requests_refused_total", reason="deadline") == 1)
        while_at_work = await client.get("/api/v1/things/a")
        edge.thread_gate.set()
        await until(lambda: edge.sample("http_requests_in_flight") == 0)
        afterwards = await client.get("/api/v1/things/b")
    assert (while_at_work.status_code, afterwards.status_code) == (503, 200)


async def test_an_answer_that_has_begun_may_take_its_time(make_edge: MakeEdge) -> None:
    edge = make_edge(deadline=0.05)
    deadline = asyncio.get_running_loop().time() + 0.05
    async with edge.client() as client, asyncio.TaskGroup() as group:
        request = group.create_task(client.get("/slow"))
        await until(lambda: asyncio.get_running_loop().time() > deadline + 0.05)
        edge.gate.set()
    assert request.result().text == "begun, ended"


LIMIT_SECONDS = 1


class SlowClient:
    """Takes each part of an answer after so many seconds; `begun` tells when it was offered each."""

    def __init__(self, *pauses: float) -> None:
        self._pauses = list(pauses)
        self.begun: list[float] = []

    async def send(self, _: Message) -> None:
        self.begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._pauses[len(self.begun) - 1])


async def in_parts(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for more in (True, True, False):
        await send({"type": "http.response.body", "body": b"x", "more_body": more})


def under_deadline(client: SlowClient) -> Coroutine[Any, Any, None]:
    async def receive() -> Message:
        raise NotImplementedError

    limited = Deadline(in_parts, limit=timedelta(seconds=LIMIT_SECONDS), exempt=lambda _: False)
    return limited({"type": "http", "headers": []}, receive, client.send)


async def test_each_part_of_an_answer_has_the_limit_for_itself() -> None:
    client = SlowClient(0.4, 0.4, 0.4, 0.4)
    await under_deadline(client)
    assert len(client.begun) == 4


async def test_an_answer_is_cut_a_limit_after_the_part_that_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    client = SlowClient(0.03, 0.03, 60)
    with pytest.raises(ClientDisconnect):
        await under_deadline(client)
    waited = asyncio.get_running_loop().time() - client.begun[-1]
    assert waited >= LIMIT_SECONDS
    assert waited < 1.7 * LIMIT_SECONDS
    assert caplog.messages == ["The answer was cut: its client read nothing for 1 s"]
    assert not cast("asyncio.Task[Any]", asyncio.current_task()).cancelling()


async def test_a_request_that_is_cut_and_cancelled_is_cancelled() -> None:
    class Cancelling(SlowClient):
        async def send(self, message: Message) -> None:
            try:
                await super().send(message)
            except asyncio.CancelledError:
                cast("asyncio.Task[Any]", asyncio.current_task()).cancel()
                raise

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(under_deadline(Cancelling(60)))


async def test_a_request_that_somebody_else_cancels_is_cancelled() -> None:
    client = SlowClient(60)
    answering = asyncio.create_task(under_deadline(client))
    await until(lambda: bool(client.begun))
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
