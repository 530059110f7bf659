"""What a pod runs: requests at a steady rate until SIGTERM, and then one line of JSON about them.

It has the standard library alone, in the service's own image.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
import uuid
from collections import Counter
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

THREADS = 16
TIMEOUT_SECONDS = 10

SITE = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [13.4, 52.5]},
    "properties": {"name": "Pumping station", "kind": "pump"},
}
# By turns a read and a write.
REQUESTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/api/v1/sites?limit=10", None),
    ("POST", "/api/v1/sites", SITE),
    ("GET", "/api/v1/tasks?limit=10", None),
    ("POST", "/api/v1/tasks", {"title": "Look at the pump"}),
    ("GET", "/api/v1/sites?bbox=13,52,14,53&limit=10", None),
    ("POST", "/api/v1/tasks", {"title": "Look at the well"}),
]


class Client:
    """Sends one request after the other from several threads, each at the time when it is due."""

    def __init__(self, service: str, *, rate: float, login: dict[str, str]) -> None:
        self._service = service
        self._rate = rate
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self._statuses: Counter[int] = Counter()
        self._failures: list[str] = []
        self._acknowledged: dict[str, list[str]] = {"sites": [], "tasks": []}
        self._resent = 0
        self._slowest = 0.0
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._token = self._log_in(login)

    def run(self) -> dict[str, Any]:
        """Until `stop`."""
        self._begun = time.monotonic()
        threads = [threading.Thread(target=self._work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        print("begun", flush=True)  # noqa: T201 - who waits for it reads the log
        for thread in threads:
            thread.join()
        return {
            "seconds": time.monotonic() - self._begun,
            "slowest_seconds": self._slowest,
            "statuses": self._statuses,
            "resent": self._resent,
            "failures": self._failures,
            "acknowledged": self._acknowledged,
        }

    def stop(self) -> None:
        self._ended.set()

    def _log_in(self, login: dict[str, str]) -> str:
        connection = self._connect()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/api/v1/auth/token", urlencode(login), headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"no token: {answer.status} {answer.read().decode()}")
        return str(json.loads(answer.read())["access_token"])

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(self._service, timeout=TIMEOUT_SECONDS)

    def _work(self) -> None:
        kept = self._connect()
        while True:
            number = next(self._numbers)
            if self._ended.wait(max(0.0, self._begun + number / self._rate - time.monotonic())):
                kept.close()
                return
            request = REQUESTS[number % len(REQUESTS)]
            if number // len(REQUESTS) % 2:
                self._account(kept, *request)
            else:
                connection = self._connect()
                self._account(connection, *request)
                connection.close()

    def _account(self, connection: HTTPConnection, method: str, path: str, body: dict[str, Any] | None) -> None:
        """Send a request, and keep account of what became of it."""
        begun = time.monotonic()
        try:
            status, text = self._send(connection, method, path, body)
        except (OSError, HTTPException) as error:
            connection.close()
            status, text = 0, f"{type(error).__name__}: {error}"
        ended = time.monotonic()
        with self._lock:
            self._slowest = max(self._slowest, ended - begun)
            self._statuses[status] += 1
            if status == 201:
                self._acknowledged[path.rpartition("/")[2]].append(json.loads(text)["id"])
            elif status != 200:
                times = f"after {begun - self._begun:.1f} s, for {ended - begun:.1f} s"
                self._failures.append(f"{times}: {method} {path}: {status or 'no answer'} {text[:300]}")

    def _send(self, connection: HTTPConnection, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if body:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        content = json.dumps(body) if body else None
        used_before = connection.sock is not None
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
        except ConnectionError:
            if not used_before:
                raise
            # A server may close an idle connection at the moment when it is used again; HTTP clients then repeat a
            # request that may be repeated, by a new one (RFC 9112, section 9.3.1).
            with self._lock:
                self._resent += 1
            connection.close()
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
        return answer.status, answer.read().decode()


if __name__ == "__main__":
    client = Client(
        os.environ["SERVICE"],
        rate=float(os.environ["RATE"]),
        login={"username": os.environ["EMAIL"], "password": os.environ["PASSWORD"]},
    )
    signal.signal(signal.SIGTERM, lambda *_: client.stop())
    print(json.dumps(client.run()), flush=True)  # noqa: T201 - its report
