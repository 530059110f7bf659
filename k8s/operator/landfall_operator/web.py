"""/healthz and /metrics."""

from __future__ import annotations

from time import monotonic

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from landfall_operator.handlers import SERVER_TIMEOUT_SECONDS
from landfall_operator.store import Store

# A watch ends after its timeout and begins with what is there: by then an operator that sees nothing is deaf.
SILENCE_SECONDS = SERVER_TIMEOUT_SECONDS + 120


async def serve(store: Store, registry: CollectorRegistry, *, port: int) -> web.AppRunner:
    async def healthz(_: web.Request) -> web.Response:
        silence = monotonic() - store.last_event
        body = {"status": "ok" if silence < SILENCE_SECONDS else "deaf", "secondsSinceLastEvent": round(silence, 1)}
        return web.json_response(body, status=200 if silence < SILENCE_SECONDS else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
