"""Imports whose clients take their time: they have places of their own, and none for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import httpx
import pytest

from tests.support.api import PROBLEMS, site
from tests.support.postgres import PostgresServer
from tests.support.service import Service, serving

pytestmark = pytest.mark.fault

BODY = json.dumps({"type": "FeatureCollection", "features": [site()]}).encode()
PATIENCE_SECONDS = 20


@contextmanager
def beginning(service: Service) -> Iterator[HTTPConnection]:
    """An import of which half has been sent, and which has its place: only then is it told to go on."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_SECONDS)
    headers = {"Content-Type": "application/geo+json", "Content-Length": str(len(BODY)), "Expect": "100-continue"}
    with closing(connection):
        connection.putrequest("POST", "/api/v1/sites/import")
        for name, value in (headers | service.authorization).items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(BODY[:20])
        yield connection


def ended(connection: HTTPConnection) -> HTTPResponse:
    """Its answer, when the rest has been sent too."""
    connection.send(BODY[20:])
    return connection.getresponse()


def whole(service: Service) -> httpx.Response:
    """The answer to an import that is sent at once, and would write nothing."""
    headers = {"Content-Type": "application/geo+json", **service.authorization}
    with service.client() as client:
        return client.post("/api/v1/sites/import", params={"dry_run": True}, content=BODY, headers=headers)


def test_as_many_imports_come_at_once_as_are_set_and_the_next_is_told_to_wait(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with (
        serving(postgres, tmp_path, TRANSFER_IMPORTS="2", LISTEN_BODY_TIMEOUT_SECONDS="60") as service,
        beginning(service) as first,
        beginning(service) as second,
    ):
        refused = whole(service)
        assert refused.status_code == 503
        assert refused.json()["type"] == f"{PROBLEMS}overloaded"
        assert int(refused.headers["Retry-After"]) > 0
        with service.client() as client:
            assert client.get("/api/v1/sites", headers=service.authorization).status_code == 200
        assert ended(first).status == 200
        assert whole(service).status_code == 200
        assert ended(second).status == 200


def test_a_client_that_stops_sending_is_given_up_and_its_place_is_free(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with serving(postgres, tmp_path, TRANSFER_IMPORTS="1", LISTEN_BODY_TIMEOUT_SECONDS="1") as service:
        with beginning(service) as idle:
            answer = idle.getresponse()
            assert (answer.status, json.loads(answer.read())["type"]) == (503, f"{PROBLEMS}timeout")
        assert whole(service).status_code == 200
