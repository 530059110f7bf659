"""`make bench-operator`: how fast the operator is, and what it costs at rest. It reports figures and fails for none.

Percentiles are of what a watcher on this machine sees, so that they hold the API server's and the watch's own time.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cluster import Namespace, condition, migration, until
from lightkube import AsyncClient, Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Pod
from lightkube.types import PatchType
from measuring import SAMPLES, at_rest, milliseconds, report, rss
from servers import Server

Migration = create_namespaced_resource("landfall.dev", "v1alpha1", "Migration", "migrations")
UPDATES = 10 * SAMPLES
See = Callable[[dict[str, Any], float], None]
STEPS = ("job", "scheduled", "copied", "running", "ended", "complete", "ready")


class Watcher:
    """When each Migration reached each step, by this process's clock."""

    def __init__(self, namespace: str) -> None:
        self.at: dict[tuple[str, str], float] = {}
        self._namespace = namespace
        # One thread for all three: lightkube decodes a kind's first object in one thread only.
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch_all()))
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    async def _watch_all(self) -> None:
        client = AsyncClient()
        watched = ((Migration, self._migration), (Job, self._job), (Pod, self._pod))
        tasks = [asyncio.create_task(self._watch(client, *each)) for each in watched]
        await asyncio.to_thread(self._ended.wait)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()

    async def _watch(self, client: AsyncClient, resource: Any, see: See) -> None:
        async for _, item in client.watch(resource, namespace=self._namespace):
            see(item.to_dict(), time.monotonic())

    def _mark(self, body: dict[str, Any], step: str, now: float) -> None:
        name = (body["metadata"].get("labels") or {}).get("landfall.dev/migration") or body["metadata"]["name"]
        self.at.setdefault((name, step), now)

    def _migration(self, body: dict[str, Any], now: float) -> None:
        conditions = {c["type"]: c for c in (body.get("status") or {}).get("conditions") or []}
        if conditions.get("Ready", {}).get("status") == "True":
            self._mark(body, "ready", now)

    def _job(self, body: dict[str, Any], now: float) -> None:
        self._mark(body, "job", now)
        if any(c["type"] == "Complete" for c in (body.get("status") or {}).get("conditions") or []):
            self._mark(body, "complete", now)

    def _pod(self, body: dict[str, Any], now: float) -> None:
        status = body.get("status") or {}
        init = (status.get("initContainerStatuses") or [{}])[0].get("state") or {}
        main = (status.get("containerStatuses") or [{}])[0].get("state") or {}
        if any(c["type"] == "PodScheduled" and c["status"] == "True" for c in status.get("conditions") or []):
            self._mark(body, "scheduled", now)
        for step, state in (
            ("copied", init.get("terminated")),
            ("running", main.get("running") or main.get("terminated")),
        ):
            if state is not None:
                self._mark(body, step, now)
        if main.get("terminated"):
            self._mark(body, "ended", now)

    def waits(self, name: str, step: str, *, seconds: float = 120) -> float:
        return until(lambda: self.at.get((name, step)), seconds=seconds, what=f"{name}: {step}")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def bench(stage: Namespace) -> Namespace:
    print("\n| what | measured | bar |\n|---|---|---|")  # noqa: T201 - the report
    return stage


@pytest.fixture(scope="module")
def secrets(bench: Namespace, server: Server) -> list[str]:
    """The names of Secrets, each for a database of its own."""
    return [database.secret for database in server.create(SAMPLES, namespace=bench)]


@pytest.fixture
def watcher(bench: Namespace) -> Iterator[Watcher]:
    here = Watcher(bench.name)
    yield here
    here.end()
    bench.kubectl("delete", "migrations", "--all", "--wait=true")
    until(lambda: not bench.list("pod", labels="landfall.dev/migration-uid"), seconds=120, what="no pods are left")


def test_a_spec_change_becomes_a_job(bench: Namespace, client: Client, watcher: Watcher, app_image: str) -> None:
    """The pods find no node, so that nothing but the operator is at work."""
    template = {"nodeSelector": {"landfall.dev/no-such-node": "true"}}
    names = [f"change-{number}" for number in range(SAMPLES)]
    for name in names:
        bench.apply(migration(name, case="plain", image=app_image, secret="none", template=template, suspend=True))
    until(
        lambda: all(condition(body, "Ready").get("reason") == "Suspended" for body in bench.list("migration")),
        seconds=60,
        what="all are seen",
    )
    delays = []
    for name in names:
        changed = time.monotonic()
        client.patch(Migration, name, {"spec": {"suspend": False}}, namespace=bench.name, patch_type=PatchType.MERGE)
        delays.append(watcher.waits(name, "job") - changed)
    report("spec change → Job created", milliseconds(delays), "p50 ≤ 50 ms, p99 ≤ 500 ms")


def test_nothing_to_do_is_ready_soon(
    bench: Namespace, client: Client, watcher: Watcher, secrets: list[str], app_image: str
) -> None:
    totals: list[float] = []
    shares: dict[str, list[float]] = {step: [] for step in STEPS}
    for number in range(SAMPLES + 1):
        name = f"noop-{number}"
        database = {"takeOver": True}
        body = migration(name, case="plain", image=app_image, secret=secrets[0], database=database)
        body["metadata"]["namespace"] = bench.name
        created = time.monotonic()
        client.create(Migration.from_dict(body))
        ready = watcher.waits(name, "ready")
        watcher.waits(name, "complete")
        if number:  # the first one has the revisions to run
            totals.append(ready - created)
            for step in STEPS:
                shares[step].append(watcher.at[name, step] - created)
    report("create → Ready, nothing to do", milliseconds(totals), "p50 ≤ 5 s")
    for step in STEPS:
        report(f"… until {step}", milliseconds(shares[step]), "")
    lag = [r - e for r, e in zip(shares["ready"], shares["ended"], strict=True)]
    report("pod ended → Ready", milliseconds(lag), "")
    lag = [r - c for r, c in zip(shares["ready"], shares["complete"], strict=True)]
    report("Job complete → Ready", milliseconds(lag), "p50 ≤ 50 ms, p99 ≤ 500 ms")


def test_a_hundred_at_once_and_at_rest(
    bench: Namespace, client: Client, watcher: Watcher, secrets: list[str], app_image: str
) -> None:
    started = time.monotonic()
    for number, secret in enumerate(secrets):
        body = migration(f"many-{number}", case="plain", image=app_image, secret=secret, database={"takeOver": True})
        body["metadata"]["namespace"] = bench.name
        client.create(Migration.from_dict(body))
    for number in range(SAMPLES):
        watcher.waits(f"many-{number}", "ready", seconds=1800)
    attempts = [m["status"]["attempts"] for m in bench.list("migration")]
    report(
        f"{SAMPLES} Migrations of {SAMPLES} databases at once: all Ready",
        f"{time.monotonic() - started:.0f} s, at most {max(attempts)} attempt(s)",
        "all Ready",
    )
    report(f"RSS with {SAMPLES} Migrations", f"{rss(bench):.1f} MiB", "≤ 80 MiB")
    at_rest(bench)
    updates(bench, client)
    restart(bench)


def updates(bench: Namespace, client: Client) -> None:
    samples: list[tuple[int, float]] = []
    for number in range(UPDATES):
        name = f"many-{number % SAMPLES}"
        suspend = (number // SAMPLES) % 2 == 0
        client.patch(Migration, name, {"spec": {"suspend": suspend}}, namespace=bench.name, patch_type=PatchType.MERGE)
        if number % SAMPLES == SAMPLES - 1:
            samples.append((number + 1, rss(bench)))
    late = samples[2:]  # the first ones fill what is allocated once
    slope = statistics.linear_regression([n for n, _ in late], [mib * 1024 for _, mib in late]).slope
    figures = f"{slope * 1000:.0f} KiB per 1000 updates ({samples[0][1]:.1f} → {samples[-1][1]:.1f} MiB)"
    report(f"RSS over {UPDATES} updates", figures, "≈ 0")


def restart(bench: Namespace) -> None:
    def reconciled() -> bool:
        pods = bench.list("pod", labels="app.kubernetes.io/name=landfall-operator")
        names = [p["metadata"]["name"] for p in pods if not p["metadata"].get("deletionTimestamp")]
        if not names or names[0] == old:
            return False
        path = f"/api/v1/namespaces/{bench.name}/pods/{names[0]}:8080/proxy/metrics"
        text = bench.kubectl("get", "--raw", path, check=False)
        found = re.search(r'landfall_reconcile_seconds_count\{kind="Migration"\} ([\d.]+)', text)
        return found is not None and float(found[1]) >= SAMPLES

    old = bench.list("pod", labels="app.kubernetes.io/name=landfall-operator")[0]["metadata"]["name"]
    started = time.monotonic()
    bench.kubectl("delete", "pod", old, "--wait=false")
    until(reconciled, seconds=60, what="all are looked at again")
    report(f"restart with {SAMPLES} Migrations → all reconciled", f"{time.monotonic() - started:.1f} s", "≤ 10 s")
