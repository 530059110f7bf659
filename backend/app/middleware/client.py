"""Who is asking: the client's address and scheme, as the trusted proxies tell them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST = re.compile(rb"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@lru_cache(maxsize=1024)
def _parse(text: str) -> Address | None:
    """Read an address as proxies write them: with a port, in brackets or quotes, with a zone."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    """A list header's members, those of repeated headers in their order."""
    return [part.strip() for key, value in scope["headers"] if key == name for part in value.split(b",")]


def _peer(scope: Scope) -> Address | None:
    return _parse(scope["client"][0]) if scope.get("client") else None


def client_address(scope: Scope, trusted: Sequence[Network]) -> str | None:
    """The client's address; None where the peer has none, as on a Unix socket.

    `X-Forwarded-For` is read from the right, and only past hops that are trusted: whatever a client puts in front of
    that stays unread. Where a hop is no address, the proxy that wrote it is the last one known.
    """
    address = _peer(scope)
    if address is None:
        return None
    hops = _values(scope, b"x-forwarded-for")
    while hops and _is_trusted(address, trusted):
        hop = _parse(hops.pop().decode("latin-1"))
        if hop is None:
            break
        address = hop
    return str(address)


class ClientAddress:
    """Puts the client's address into `scope["state"]["client_address"]`; a trusted proxy also sets scheme and host."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["client_address"] = client_address(scope, self._trusted)
            peer = _peer(scope) if self._trusted else None
            if peer is not None and _is_trusted(peer, self._trusted):
                self._follow_proxy(scope)
        await self._app(scope, receive, send)

    def _follow_proxy(self, scope: Scope) -> None:
        # The last value is the one that the trusted peer itself wrote.
        scheme = next(reversed(_values(scope, b"x-forwarded-proto")), b"").lower()
        if scheme in {b"http", b"https"}:
            scope["scheme"] = scheme.decode()
        host = next(reversed(_values(scope, b"x-forwarded-host")), b"")
        if _HOST.fullmatch(host):
            scope["headers"] = [*((k, v) for k, v in scope["headers"] if k != b"host"), (b"host", host)]
