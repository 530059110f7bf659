"""Whose word about the client's address is taken."""

from __future__ import annotations

from ipaddress import ip_network

import httpx
import pytest
from starlette.types import Scope

from app.middleware.client import client_address
from tests.middleware.conftest import MakeEdge

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def scope(peer: str | None, *forwarded: str) -> Scope:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"type": "http", "client": None if peer is None else (peer, 4711), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        pytest.param("192.0.2.1", [], "192.0.2.1", id="no proxy"),
        pytest.param("192.0.2.1", ["198.51.100.7"], "192.0.2.1", id="a client that claims to be a proxy"),
        pytest.param("10.0.0.1", ["198.51.100.7"], "198.51.100.7", id="a trusted proxy"),
        pytest.param("10.0.0.1", ["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7", id="a spoofed first entry"),
        pytest.param("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7", id="a repeated header"),
        pytest.param("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", id="proxies all the way"),
        pytest.param("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7", id="a port"),
        pytest.param("fd00::1", ["[2001:db8::7]:4711"], "2001:db8::7", id="IPv6 with a port"),
        pytest.param("fd00::1", ['"[2001:db8::7]"'], "2001:db8::7", id="IPv6 in quotes"),
        pytest.param("fd00::1", ["fe80::7%eth0"], "fe80::7", id="a zone"),
        pytest.param("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7", id="IPv4 in IPv6"),
        pytest.param("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1", id="junk from the proxy"),
        pytest.param("10.0.0.1", ["198.51.100.7, "], "10.0.0.1", id="an empty entry"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that tells nothing"),
        pytest.param(None, ["198.51.100.7"], None, id="a Unix socket"),
        pytest.param("testclient", [], None, id="a peer without an address"),
    ],
)
def test_the_address_is_the_last_hop_that_a_trusted_proxy_names(
    peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    assert client_address(scope(peer, *forwarded), PROXIES) == expected


FORWARDED = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "landfall.example"}


async def ask(make_edge: MakeEdge, *, trusted: list[str]) -> httpx.Response:
    async with make_edge(trusted_proxies=trusted).client() as client:
        return await client.get("/who", headers=FORWARDED)


@pytest.mark.anyio
async def test_a_trusted_proxy_tells_address_scheme_and_host(make_edge: MakeEdge) -> None:
    answer = await ask(make_edge, trusted=["127.0.0.1"])
    assert answer.json() == {"client": "198.51.100.7", "url": "https://landfall.example/who"}


@pytest.mark.anyio
async def test_anyone_else_tells_nothing(make_edge: MakeEdge) -> None:
    answer = await ask(make_edge, trusted=["10.0.0.0/8"])
    assert answer.json() == {"client": "127.0.0.1", "url": "http://edge/who"}
