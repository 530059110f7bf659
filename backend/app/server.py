"""uvicorn, configured."""

from __future__ import annotations

import socket

import typer
import uvicorn

from app.main import create_app
from app.seed import DEMO_EMAIL, DEMO_PASSWORD
from app.settings import Settings

# Kubernetes kills after 30 s; what is under way by then has had its statement timeout twice over.
GRACEFUL_SHUTDOWN_SECONDS = 20


class _Server(uvicorn.Server):
    """Says where to look, once it listens."""

    def __init__(self, config: uvicorn.Config, *, show_login: bool) -> None:
        super().__init__(config)
        self._show_login = show_login

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        base = f"http://{host}:{port}"
        typer.echo(f"\n  API      {base}/api/v1\n  Docs     {base}/docs\n  Health   {base}/api/v1/health")
        if self._show_login:
            typer.echo(f"  Login    {DEMO_EMAIL} with the password {DEMO_PASSWORD}")
        typer.echo("")


def serve(settings: Settings, *, show_login: bool) -> None:
    config = uvicorn.Config(
        create_app(settings),
        host=settings.listen.host,
        port=settings.listen.port,
        # Ours: one line a request, and addresses from trusted proxies only.
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )
    _Server(config, show_login=show_login).run()
