"""uvicorn, configured."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from contextlib import suppress

import typer
import uvicorn

from app.errors import SettingsError
from app.main import create_app
from app.protocol import BoundedHttpProtocol
from app.seed import DEMO_EMAIL, DEMO_PASSWORD
from app.settings import ListenSettings, Settings

logger = logging.getLogger(__name__)

# Kubernetes kills after 30 s; what is under way by then has had its statement timeout twice over.
GRACEFUL_SHUTDOWN_SECONDS = 20


class _Server(uvicorn.Server):
    """Says where to look, once it listens: to people by a few lines, in JSON logs by one."""

    def __init__(self, config: uvicorn.Config, *, settings: Settings, show_login: bool) -> None:
        super().__init__(config)
        self._is_for_people = settings.log_format == "text"
        self._show_login = show_login

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        gc.freeze()  # what start-up made stays: each full collection over it would hold every request for 70 ms
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        if not self._is_for_people:
            logger.info("Serving on %s", base)
            return
        typer.echo(f"\n  Map      {base}/map\n  API      {base}/api/v1\n  Docs     {base}/docs")
        typer.echo(f"  Health   {base}/api/v1/health")
        if self._show_login:
            typer.echo(f"  Login    {DEMO_EMAIL} with the password {DEMO_PASSWORD}")
        typer.echo("")


def bind(listen: ListenSettings) -> socket.socket:
    """Take the address before anything slow is done; raises `SettingsError` where another has it."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        return socket.create_server((listen.host, listen.port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise SettingsError(
            f"LISTEN_HOST, LISTEN_PORT: cannot listen on {listen.host}:{listen.port}: {reason}. "
            "Set another, or stop what listens there"
        ) from None


def serve(settings: Settings, listener: socket.socket, *, show_login: bool) -> None:
    """Serve on the bound socket until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        create_app(settings),
        http=BoundedHttpProtocol,
        # Ours: one line a request, and addresses from trusted proxies only.
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )
    # uvicorn raises the signal that ended it again when it has ended in good order, which is no failure.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(KeyboardInterrupt):
        _Server(config, settings=settings, show_login=show_login).run(sockets=[listener])
