"""The table's row about an artifact of 2 GiB, which our service stores itself, in its local directory."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

from benchmarks.support.bench import Bench, UnfairError
from benchmarks.support.rounds import Line, at_most
from benchmarks.support.transfers import grown
from tests.support.tools import wait_until

PART = bytes(range(256)) * (1 << 16)  # 16 MiB, the size of a part by default
PARTS = 128
VERIFY_SECONDS = 120


def artifact(bench: Bench) -> list[Line]:
    """Up in parts and down in one piece, once: memory has no rounds."""
    base = f"http://127.0.0.1:{bench.sides['ours'].port}/api/v1/artifacts"
    with (
        httpx.Client(headers=dict(bench.sides["ours"].headers), timeout=60, trust_env=False) as api,
        httpx.Client(timeout=60, trust_env=False) as files,
        grown(bench) as growth,
    ):
        one = f"{base}/{_announced(api, base)}"
        digest = hashlib.sha256(PART).hexdigest()
        wanted = [{"number": number, "sha256": digest} for number in range(1, PARTS + 1)]
        for part in _good(api.post(f"{one}/parts", json={"parts": wanted}))["parts"]:
            request = part["request"]
            files.put(request["url"], headers=request["headers"], content=PART).raise_for_status()
        _good(api.post(f"{one}/complete"))
        wait_until(
            lambda: _good(api.get(one))["state"] != "verifying", timeout_seconds=VERIFY_SECONDS, what="a verification"
        )
        request = _good(api.get(f"{one}/download"))
        with files.stream("GET", request["url"], headers=request["headers"]) as answer:
            seen = sum(map(len, answer.iter_raw(1 << 20)))
        _good(api.get(one))
    if seen != PARTS * len(PART):
        raise UnfairError(f"{seen} bytes of the artifact came back")
    return [Line(row="2 GiB up and down: growth of memory", unit=" MiB", ours=growth, bar=at_most(32))]


def _announced(api: httpx.Client, base: str) -> str:
    whole = hashlib.sha256()
    for _ in range(PARTS):
        whole.update(PART)
    body = {"file_name": "survey.bin", "media_type": "application/octet-stream", "size_bytes": PARTS * len(PART)}
    return str(_good(api.post(base, json=body | {"sha256": whole.hexdigest()}))["id"])


def _good(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise UnfairError(f"{answer.url} answers {answer.status_code}: {answer.text[:200]}")
    return answer.json()
