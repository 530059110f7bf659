"""Sites as features: our service against tipg and pygeoapi on the same rows, and against PostgreSQL alone.

All sides take turns in each round, each with one worker; the table gives the medians. A missed bar is told, and is no
failure.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import httpx

from benchmarks.support.dataset import Extent, fill
from benchmarks.support.floor import capture, pgbench, script_of
from benchmarks.support.generator import Plan, generate
from benchmarks.support.peers import start_tipg
from benchmarks.support.rounds import Bar, Line, table
from tests.support.postgres import OPTIONS, PostgresServer, find_postgres
from tests.support.service import Service

ITEMS = "/api/v1/sites"
PEER_ITEMS = {"tipg": "/collections/public.sites/items", "pygeoapi": "/collections/sites/items"}
CLIENTS = 8
SERVER = {"shared_buffers": "1GB", "max_wal_size": "8GB", "effective_cache_size": "4GB"}


@dataclass(frozen=True, kw_only=True)
class Side:
    name: str
    port: int
    headers: Mapping[str, str]


@dataclass(kw_only=True)
class Bench:
    """What the rows have to work with."""

    postgres: PostgresServer
    url: str
    directory: Path
    extent: Extent
    sides: dict[str, Side]
    seconds: float
    rounds: int
    busy: float = 0

    def rate(self, side: str, paths: Sequence[str], *, features: int) -> float:
        """Good answers a second."""
        chosen = self.sides[side]
        plan = Plan(port=chosen.port, paths=paths, headers=chosen.headers, seconds=self.seconds, connections=CLIENTS)
        results = generate(plan)
        self.busy = max(self.busy, results.busy)
        bad = [shot for shot in results.answers if shot.status != 200 or shot.size == 0]
        assert not bad, (side, bad[0])
        return len(results.answers) / self.seconds

    def get(self, side: str, path: str) -> httpx.Response:
        chosen = self.sides[side]
        url = f"http://127.0.0.1:{chosen.port}{path}"
        answer = httpx.get(url, headers={"Accept-Encoding": "identity", **chosen.headers}, timeout=120, trust_env=False)
        assert answer.status_code == 200, (side, path, answer.text)
        return answer


def items(bench: Bench) -> list[Line]:
    ours, tipg, floor = [], [], []
    paths = {"ours": f"{ITEMS}?limit=100", "tipg": f"{PEER_ITEMS['tipg']}?limit=100"}
    for side, path in paths.items():
        assert len(bench.get(side, path).json()["features"]) == 100
    script = bench.directory / "items.sql"
    statements = capture(bench.postgres, bench.url, lambda: bench.get("ours", paths["ours"]), table="sites")
    script.write_text(script_of(statements))
    for _ in range(bench.rounds):
        ours.append(bench.rate("ours", [paths["ours"]], features=100))
        tipg.append(bench.rate("tipg", [paths["tipg"]], features=100))
        floor.append(pgbench(bench.url, script, seconds=bench.seconds))
    return [
        Line(row="items, limit 100", ours=ours, peer="tipg", theirs=tipg, bar=Bar(limit=5)),
        Line(row="items, share of the floor", ours=ours, peer="pgbench", theirs=floor, bar=Bar(limit=0.45)),
    ]


@contextmanager
def prepared(arguments: argparse.Namespace) -> Iterator[Bench]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = find_postgres(stoppable=True, options=OPTIONS | SERVER)
        stack.callback(postgres.remove)
        url = postgres.create_database("features")
        fill(url, directory, rows=arguments.rows)
        service = Service(directory=directory, environment={"DATABASE_URL": url, "LOG_FORMAT": "json"}).start()
        stack.callback(stop, service)
        service.wait_ready()
        tipg = start_tipg(url, directory)
        stack.callback(tipg.stop)
        sides = {
            "ours": Side(name="ours", port=service.port, headers=service.authorization),
            "tipg": Side(name="tipg", port=tipg.port, headers={}),
        }
        yield Bench(
            postgres=postgres, url=url, directory=directory, extent=Extent.of(arguments.rows), sides=sides,
            seconds=arguments.seconds, rounds=arguments.rounds,
        )


def stop(service: Service) -> None:
    with redirect_stdout(StringIO()):  # the log of all those requests
        service.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with prepared(arguments) as bench:
        print(table(items(bench)))
        print(f"busy {bench.busy}")


if __name__ == "__main__":
    main()
