"""The composition root: everything with a lifetime is built here, once, from the settings."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from anyio import to_thread
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from app.api import (
    artifact_store,
    artifacts,
    audit_events,
    auth,
    health,
    problems,
    site_exports,
    site_transfers,
    sites,
    tasks,
    tiles,
    users,
)
from app.api import map as map_page
from app.api.ogc import routes as ogc
from app.api.ogc import transactions
from app.artifacts.local import LocalStorage
from app.artifacts.storage_factory import create_storage
from app.db.schema_state import SchemaInspector
from app.db.session import DatabaseSessionManager, why
from app.db.shares import share_out
from app.errors import DatabaseUnavailableError
from app.middleware import install_edge
from app.services.artifacts import ArtifactService
from app.services.auth import Authenticator
from app.services.callers import Callers
from app.services.export_jobs import ExportJobs
from app.services.export_worker import ExportWorker
from app.services.health import HealthService, checks_of
from app.services.tiles import Tiles
from app.services.verification import Verifier
from app.settings import Environment, Settings, load_settings
from app.telemetry.logs import configure_logging
from app.telemetry.metrics import Metrics
from app.telemetry.traces import instrument

logger = logging.getLogger(__name__)

DESCRIPTION = """Users, tasks, sites (geometries), artifacts (files) and an audit trail.

Get a token at `/api/v1/auth/token`; errors are problem details (RFC 9457) with a stable `type`."""
# Beyond the requests at work: uploads to the local store, and the short hops of dependencies.
SPARE_THREADS = 25
TABLE_STREAMS = 2  # exports at once that have a process each, of some 120 MiB; more are jobs, which wait


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; without settings it reads the environment and configures the logs."""
    if settings is None:
        settings = load_settings()
        configure_logging(settings)
    databases = _databases(settings)
    database, reads = databases.work, databases.reads
    authenticator = Authenticator(settings.auth)
    storage = create_storage(settings, signing_key=authenticator.derive_key("artifact store"))
    artifact_service = ArtifactService(storage, settings.artifacts)
    verifier = Verifier(artifact_service, database)
    schema = SchemaInspector()
    metrics = Metrics(CollectorRegistry())
    engines = {database.engine, reads.engine, databases.look_ups.engine}
    metrics.watch_pools([engine.pool for engine in engines])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = settings.in_flight + SPARE_THREADS
        app.state.started_at = datetime.now(UTC)
        threading.Thread(target=_connect, args=(database, settings.connect_retries), daemon=True).start()
        verifier.start()
        with app.state.exports:
            yield
        verifier.stop()
        stop_tracing()
        for one in set(databases):
            one.dispose()

    app = FastAPI(
        title="Landfall",
        version=health.VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours is app.telemetry
        separate_input_output_schemas=False,  # GeoJSON is one schema, in and out
    )
    app.state.settings = settings
    app.state.database = database
    app.state.authenticator = authenticator
    app.state.reads = reads
    app.state.callers = Callers(databases.look_ups, authenticator)
    app.state.tiles = Tiles(settings.tiles)
    app.state.storage = storage
    app.state.artifacts = artifact_service
    app.state.exports = ExportWorker(
        ExportJobs(storage, settings.exports, url_expires=settings.artifacts.url_expires_seconds),
        database,
        settings.exports,
    )
    app.state.verifier = verifier
    app.state.schema = schema
    # A client may read its export as slowly as it likes, and holds a place at work meanwhile: most are for others.
    app.state.export_places = asyncio.Semaphore(max(1, settings.in_flight // 3))
    app.state.table_places = asyncio.Semaphore(TABLE_STREAMS)
    app.state.import_places = asyncio.Semaphore(settings.transfer.imports)
    app.state.metrics = metrics
    app.state.health = HealthService(checks_of(databases.probes, storage, schema))

    _include_routes(app)
    problems.install(app)
    install_edge(app, settings=settings, metrics=metrics)
    stop_tracing = instrument(app, engines=engines, settings=settings)
    return app


class _Databases(NamedTuple):
    """As `Shares` has them; on SQLite the first three are one."""

    work: DatabaseSessionManager
    reads: DatabaseSessionManager
    look_ups: DatabaseSessionManager
    probes: DatabaseSessionManager


def _databases(settings: Settings) -> _Databases:
    shares = share_out(settings.database)
    hide_parameters = settings.environment is not Environment.DEVELOPMENT
    work = reads = look_ups = DatabaseSessionManager(shares.work, hide_parameters=hide_parameters)
    if work.is_postgresql:
        by_loop = partial(DatabaseSessionManager, hide_parameters=hide_parameters, announce=False, by_loop=True)
        reads = by_loop(shares.reads)
        look_ups = by_loop(shares.look_ups) if shares.look_ups else reads
    return _Databases(work, reads, look_ups, DatabaseSessionManager(shares.probes, announce=False))


def _included() -> list[BaseRoute]:
    api = APIRouter(prefix="/api/v1")
    for module in (auth, users, site_transfers, site_exports, sites, tasks, artifacts, audit_events, health):
        api.include_router(module.router)
    found = APIRouter()
    for router in (api, tiles.router, transactions.router, map_page.router, health.probes):
        found.include_router(router)
    return found.routes


# Built once: for each application anew, it would be most of what one costs.
INCLUDED = _included()


def _include_routes(app: FastAPI) -> None:
    # First, since a look through all other routers costs more than a short query.
    app.router.routes += [tiles.TILE, *ogc.ROUTES]
    if isinstance(app.state.storage, LocalStorage):
        app.include_router(artifact_store.router)
    app.router.routes += INCLUDED


def _connect(database: DatabaseSessionManager, retries: int) -> None:
    """In the background: the process lives, not ready, until the database answers, and each request tries again."""
    try:
        database.connect(retries=retries)
    except DatabaseUnavailableError as error:
        logger.warning("No connection to %s: %s. Not ready until it answers.", database.address, why(error))
