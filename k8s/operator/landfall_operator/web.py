"""/healthz, /readyz and /metrics."""

from __future__ import annotations

from time import monotonic

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from landfall_operator.store import Store

GRACE_SECONDS = 30  # for lists that are refused or slow, and tried again


async def serve(store: Store, registry: CollectorRegistry, *, port: int, resync_seconds: float) -> web.AppRunner:
    """Lists come at each resync: an operator that has seen nothing for longer is deaf, though its process is well."""

    def answer(*, waiting: bool) -> web.Response:
        silence = monotonic() - store.last_event
        deaf = silence > resync_seconds + GRACE_SECONDS
        status = "deaf" if deaf else "ok" if store.complete else "starting"
        body = {"status": status, "secondsSinceLastEvent": round(silence, 1)}
        return web.json_response(body, status=503 if deaf or (waiting and status == "starting") else 200)

    async def healthz(_: web.Request) -> web.Response:
        return answer(waiting=False)

    async def readyz(_: web.Request) -> web.Response:
        return answer(waiting=True)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
