"""A load generator, to run as a process of its own: `python -m benchmarks.support.generator` < plan > results.

An open loop: each request has its time before the first is sent, goes out then on an idle connection or a new one
whatever the server does, and its latency counts from that time, so that no wait is hidden (no coordinated omission).
A closed loop, for capacity: each of a number of connections sends its next request when it has the answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, count, takewhile
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple, cast

import uvloop

BACKEND = Path(__file__).parents[2]
HEAD_END = b"\r\n\r\n"
TICK_SECONDS = 0.001  # uvloop's: a shorter sleep would spin, at the server's expense
SETTLE_SECONDS = 0.2
DRAIN_SECONDS = 40.0  # how long to wait for the last answers: more than the server's own limit


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`rate` (a second) makes it an open loop, `connections` a closed one; `probe_rate` asks for /healthz besides."""

    port: int
    paths: Sequence[str]
    headers: Mapping[str, str]
    seconds: float
    rate: float = 0
    connections: int = 0
    probe_rate: float = 0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One request: when it was due (from the start), and how much later it was sent and answered, in seconds.

    Status 0 is no answer.
    """

    due: float
    lag: float
    latency: float
    status: int
    retry_after: bool
    size: int  # of the body, in bytes


@dataclass(frozen=True, kw_only=True)
class Results:
    """What came back; `busy` is the share of a processor that the generator itself took."""

    answers: list[Shot]
    probes: list[Shot]
    busy: float


def generate(plan: Plan) -> Results:
    """Carry the plan out in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.support.generator"],
        cwd=BACKEND,
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    results = json.loads(done.stdout)
    answers, probes = ([Shot(**shot) for shot in results[name]] for name in ("answers", "probes"))
    return Results(answers=answers, probes=probes, busy=results["busy"])


class Head(NamedTuple):
    """What an answer says of itself."""

    status: int
    retry_after: bool
    size: int


NONE = Head(status=0, retry_after=False, size=0)
BODILESS = (204, 304)


class Connection(asyncio.Protocol):
    """One keep-alive connection that takes one request at a time; it understands answers with a Content-Length."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._missing: int | None = None
        self._answer: asyncio.Future[Head] | None = None
        self._head = NONE
        self._transport: asyncio.WriteTransport
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one in all but name
        self.open = True

    async def ask(self, request: bytes) -> Head:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        if self._missing is None:
            self._buffer += data
            end = self._buffer.find(HEAD_END)
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            status, given = int(head[9:12]), head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            length = 0 if status in BODILESS else int(given)
            self._head = Head(status=status, retry_after=b"\r\nretry-after:" in head, size=length)
            self._missing = length - (len(self._buffer) - end - len(HEAD_END))
            self._buffer.clear()
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._missing = None
            self._settle(self._head)

    def connection_lost(self, _error: Exception | None) -> None:
        self.open = False
        self._settle(NONE)

    def close(self) -> None:
        self._transport.close()

    def _settle(self, answer: Head) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


class Client:
    """Keeps idle connections and opens as many more as it takes."""

    def __init__(self, plan: Plan) -> None:
        self._port = plan.port
        self._idle: list[Connection] = []
        self._all: list[Connection] = []

    async def ask(self, request: bytes) -> Head:
        try:
            connection = self._take() or await self._open()
            answer = await connection.ask(request)
        except OSError:
            return NONE
        if connection.open:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        return None

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self._port)
        self._all.append(connection)
        return connection


async def shoot(client: Client, request: bytes, *, start: float, due: float, shots: list[Shot]) -> None:
    lag = perf_counter() - due
    answer = await client.ask(request)
    shots.append(Shot(due=due - start, lag=lag, latency=perf_counter() - due, **answer._asdict()))


async def fire(client: Client, requests: Sequence[bytes], *, start: float, times: Sequence[float]) -> list[Shot]:
    """Send each request at its time from the start; the answers come when they come."""
    shots: list[Shot] = []
    under_way = []
    for number, time in enumerate(times):
        due = start + time
        while (left := due - perf_counter()) > 0:  # noqa: ASYNC110 - a time is waited for, not an event
            await asyncio.sleep(max(left, TICK_SECONDS))
        request = requests[number % len(requests)]
        under_way.append(asyncio.create_task(shoot(client, request, start=start, due=due, shots=shots)))
    _, late = await asyncio.wait(under_way, timeout=DRAIN_SECONDS)
    for task in late:
        task.cancel()
        shots.append(Shot(due=0, lag=0, latency=DRAIN_SECONDS, **NONE._asdict()))
    return shots


async def open_loop(plan: Plan, requests: Sequence[bytes]) -> tuple[list[Shot], list[Shot]]:
    """Poisson arrivals at the rate, from a fixed seed, and evenly spaced probes; answers and probes."""
    arrivals = random.Random(1)
    gaps = (arrivals.expovariate(plan.rate) for _ in count())
    times = list(takewhile(lambda time: time < plan.seconds, accumulate(gaps)))
    probe_times = [number / plan.probe_rate for number in range(int(plan.seconds * plan.probe_rate))]
    client, prober = Client(plan), Client(plan)
    start = perf_counter() + SETTLE_SECONDS
    answers, probes = await asyncio.gather(
        fire(client, requests, start=start, times=times),
        fire(prober, [http_request("/healthz", plan)], start=start, times=probe_times),
    )
    client.close()
    prober.close()
    return answers, probes


async def closed_loop(plan: Plan, requests: Sequence[bytes]) -> list[Shot]:
    start = perf_counter()
    client = Client(plan)
    shots: list[Shot] = []

    async def go_on(number: int) -> None:
        while (due := perf_counter()) < start + plan.seconds:
            await shoot(client, requests[number % len(requests)], start=start, due=due, shots=shots)
            number += 1

    await asyncio.gather(*(go_on(number) for number in range(plan.connections)))
    client.close()
    return shots


def http_request(path: str, plan: Plan) -> bytes:
    headers = {"Host": f"127.0.0.1:{plan.port}", **plan.headers}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


async def carry_out(plan: Plan) -> tuple[list[Shot], list[Shot]]:
    requests = [http_request(path, plan) for path in plan.paths]
    return await open_loop(plan, requests) if plan.rate else (await closed_loop(plan, requests), [])


def main() -> None:
    plan = Plan(**json.load(sys.stdin))
    gc.disable()  # a pause of its own would be counted against the server
    begun, used = perf_counter(), process_time()
    answers, probes = uvloop.run(carry_out(plan))
    busy = (process_time() - used) / (perf_counter() - begun)
    json.dump(asdict(Results(answers=answers, probes=probes, busy=busy)), sys.stdout)


if __name__ == "__main__":
    main()
