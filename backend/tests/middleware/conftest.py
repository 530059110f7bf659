"""A small application behind the whole edge, with settings of the test's choice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.responses import StreamingResponse

from app.api import problems
from app.middleware import install_edge
from app.settings import AdmissionSettings, ListenSettings
from app.telemetry.metrics import Metrics
from tests.support.settings import make_settings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def until(condition: Callable[[], bool]) -> None:
    """Poll until the condition holds; fails after five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for gives no event
            await asyncio.sleep(0.001)


@dataclass
class Edge:
    """The application, what it has seen, and the gates that hold its work."""

    app: FastAPI
    metrics: Metrics
    begun: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    thread_gate: threading.Event = field(default_factory=threading.Event)
    thread_ended: threading.Event = field(default_factory=threading.Event)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://edge")

    def sample(self, name: str, **labels: str) -> float:
        text = ",".join(f'{key}="{value}"' for key, value in labels.items())
        wanted = f"{name}{{{text}}} " if labels else f"{name} "
        lines = self.metrics.render().decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(wanted)), 0.0)


def add_held_routes(edge: Edge) -> None:
    router = APIRouter(prefix="/things")

    @router.get("/{name}")
    async def held(name: str) -> str:
        edge.begun.append(name)
        await edge.gate.wait()
        return name

    @router.post("/{name}")
    async def echo(name: str, request: Request) -> str:
        edge.begun.append(name)
        return (await request.body()).decode()

    @edge.app.get("/thread")
    def threaded() -> str:
        edge.begun.append("thread")
        edge.thread_gate.wait(5)
        edge.thread_ended.set()
        return "too late"

    @edge.app.get("/slow")
    async def slow() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun, "
            await edge.gate.wait()
            yield b"ended"

        return StreamingResponse(parts())

    edge.app.include_router(router, prefix="/api/v1")


def add_plain_routes(edge: Edge) -> None:
    @edge.app.get("/who")
    async def who(request: Request) -> dict[str, Any]:
        return {"client": request.state.client_address, "url": str(request.url)}

    @edge.app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a bug at postgresql://someone:hunter2@db/landfall")

    @edge.app.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    @edge.app.get("/healthz")
    async def healthz() -> str:
        return "ok"


MakeEdge = Callable[..., Edge]


@pytest.fixture
def make_edge(tmp_path: Path) -> MakeEdge:
    """Builds an edge with those limits: `make_edge(in_flight=1, waiting=0)`."""

    def make(
        *,
        in_flight: int = 4,
        waiting: int = 4,
        wait: float = 5,
        deadline: float = 5,
        body_timeout: float = 5,
        max_body_bytes: int = 1024,
        trusted_proxies: list[str] | None = None,
    ) -> Edge:
        listen = ListenSettings(
            max_body_bytes=max_body_bytes,
            body_timeout_seconds=timedelta(seconds=body_timeout),
            request_timeout_seconds=timedelta(seconds=deadline),
            trusted_proxies=trusted_proxies or [],
        )
        admission = AdmissionSettings(in_flight=in_flight, waiting=waiting, wait_seconds=timedelta(seconds=wait))
        settings = make_settings(tmp_path).model_copy(update={"listen": listen, "admission": admission})
        edge = Edge(FastAPI(), Metrics(CollectorRegistry()))
        add_held_routes(edge)
        add_plain_routes(edge)
        problems.install(edge.app)
        install_edge(edge.app, settings=settings, metrics=edge.metrics)
        return edge

    return make
