"""What every request passes on its way in, as pure ASGI: in overload a refusal must cost next to nothing."""

from __future__ import annotations

from ipaddress import ip_network

from starlette.applications import Starlette
from starlette.types import Scope

from app.middleware.access import Access, RequestIds
from app.middleware.admission import Admission
from app.middleware.client import ClientAddress
from app.middleware.limits import BodyLimit, Deadline
from app.middleware.problems import UnhandledErrors
from app.settings import Settings
from app.telemetry.metrics import Metrics

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_FILES = "/api/v1/artifact-store/"  # artifact bytes on the embedded store: large, slow, and no database connection
_PAGE = "/map/"  # files that anybody may read, as slowly as they like, and that need no database either
_IMPORT = "/api/v1/sites/import"  # longer than any request else; its route bounds its size and its times


def _has_own_limits(scope: Scope) -> bool:
    # By its method too: PUT and PATCH on that path are another route's, which reads all that comes.
    is_import = scope["method"] == "POST" and scope["path"] == _IMPORT
    return is_import or str(scope["path"]).startswith(_FILES)


def needs_no_admission(scope: Scope) -> bool:
    return scope["path"] in _PROBES or str(scope["path"]).startswith((_FILES, _PAGE))


def install_edge(app: Starlette, *, settings: Settings, metrics: Metrics) -> None:
    """Add every middleware, in order; call it before the application has started.

    From the outside in: request id, client address, access log and metrics, body limit, deadline, admission, unhandled
    errors. Refusals thus bear an id and are counted; a body is read before it may take a place; the deadline includes
    the wait for admission; and admission, being inside, sees when the work really ends.
    """
    admission = settings.admission
    trusted = [ip_network(text) for text in settings.listen.trusted_proxies]
    app.add_middleware(UnhandledErrors)
    if admission.enabled:
        app.add_middleware(
            Admission,
            in_flight=settings.in_flight,
            waiting=settings.in_flight if admission.waiting is None else admission.waiting,
            wait=admission.wait_seconds,
            exempt=needs_no_admission,
        )
    app.add_middleware(Deadline, limit=settings.listen.request_timeout_seconds, exempt=_has_own_limits)
    listen = settings.listen
    app.add_middleware(
        BodyLimit,
        max_bytes=listen.max_body_bytes,
        timeout=listen.body_timeout_seconds,
        exempt=_has_own_limits,
    )
    app.add_middleware(Access, metrics=metrics)
    app.add_middleware(ClientAddress, trusted=trusted)
    app.add_middleware(RequestIds)
