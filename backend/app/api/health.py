from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.services.health import HealthService, Report
from app.telemetry.metrics import CONTENT_TYPE

probes = APIRouter(tags=["health"])
router = APIRouter(tags=["health"])

VERSION = version("landfall-backend")


class CheckOut(BaseModel):
    ready: bool
    detail: str = Field(examples=["answers"])
    latency_ms: float = Field(examples=[1.5])


class ReadyOut(BaseModel):
    ready: bool
    checks: dict[Literal["database", "storage", "schema"], CheckOut]


class HealthOut(ReadyOut):
    version: str
    alembic_version: str | None = Field(description="The database's revision; null while it cannot be read.")
    alembic_head: str = Field(description="The revision that this code was written for.")
    started_at: datetime


@probes.get("/healthz", summary="Whether the process runs")
async def healthz() -> dict[Literal["status"], Literal["ok"]]:
    return {"status": "ok"}


@probes.get(
    "/readyz",
    response_model=ReadyOut,
    responses={503: {"description": "Not ready.", "model": ReadyOut}},
    summary="Whether the process can serve",
)
async def readyz(request: Request) -> Response:
    health: HealthService = request.app.state.health
    report = await health.report()
    return Response(
        _ready(report).model_dump_json(), status_code=200 if report.ready else 503, media_type="application/json"
    )


@probes.get(
    "/metrics", summary="Prometheus metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}}
)
def metrics(request: Request) -> Response:
    return Response(request.app.state.metrics.render(), headers={"Content-Type": CONTENT_TYPE})


@router.get("/health", response_model=HealthOut, summary="The same for people")
async def health(request: Request) -> HealthOut:
    state = request.app.state
    report = await state.health.report()
    return HealthOut(
        **_ready(report).model_dump(),
        version=VERSION,
        alembic_version=state.schema.last_seen,
        alembic_head=state.schema.head,
        started_at=state.started_at,
    )


def _ready(report: Report) -> ReadyOut:
    checks = {c.name: CheckOut(ready=c.ready, detail=c.detail, latency_ms=c.latency_ms) for c in report.checks}
    return ReadyOut(ready=report.ready, checks=checks)
