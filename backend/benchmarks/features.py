"""Sites as features: our service against tipg and pygeoapi on the same rows, and against PostgreSQL alone.

All sides take turns in each round, each with one worker. A bar that is missed is told, and is no failure.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import httpx
from sqlalchemy import text

from benchmarks import overload
from benchmarks.support import large_file, reads, transfers
from benchmarks.support.bench import ANEW, ITEMS, OURS, Bench, NotServedError, Side, UnfairError
from benchmarks.support.dataset import Extent, connect, fill
from benchmarks.support.peers import PINS, start_pygeoapi, start_tipg
from benchmarks.support.rounds import Bar, Line, at_most, growth_table, table
from tests.support.postgres import OPTIONS, PostgresServer, find_postgres
from tests.support.service import Service
from tests.support.tools import MissingToolError

# What a small server of one's own would have; the same for all sides.
SERVER = {"shared_buffers": "1GB", "effective_cache_size": "4GB", "max_wal_size": "8GB"}
GROWTH_ROWS = (20_000, 200_000, 2_000_000)
OVERLOAD_SECONDS = 10.0


def open_loop(bench: Bench) -> list[Line]:
    figures = overload.measure(bench.service, seconds=OVERLOAD_SECONDS, paths=[f"{ITEMS}?limit=100"])
    accepted, limit, good = figures.accepted.p99 * 1000, figures.limit * 1000, figures.goodput
    row = "twice the capacity: "
    return [
        Line(row=f"{row}accepted p99", unit=" ms", ours=[accepted], peer="limit", theirs=[limit], bar=at_most(1)),
        Line(row=f"{row}goodput", ours=[good], peer="capacity", theirs=[figures.capacity], bar=Bar(limit=0.9)),
        Line(row=f"{row}other answers", unit="", ours=[figures.bad], bar=at_most(0)),
    ]


ROWS: Mapping[str, Callable[[Bench], list[Line]]] = {
    "items": reads.items,
    "exact": reads.exact,
    "large": reads.large,
    "bbox": reads.bbox,
    "deep": reads.deep,
    "walk": reads.walk,
    "tiles": reads.tiles,
    "export": transfers.export,
    "import": transfers.imports,
    "overload": open_loop,
    "artifact": large_file.artifact,
}


@contextmanager
def prepared(postgres: PostgresServer, directory: Path, arguments: argparse.Namespace) -> Iterator[Bench]:
    """A filled database with all sides on it."""
    with ExitStack() as stack:
        url = filled(postgres, directory, rows=arguments.rows)
        service = stack.enter_context(served(url, directory / OURS))
        anew = stack.enter_context(served(url, directory / ANEW, TILES_CACHE_BYTES="0"))
        peers = [
            start_tipg(url, directory),
            start_pygeoapi(url, directory, extent=Extent.of(arguments.rows)),
        ]
        for peer in peers:
            stack.callback(peer.stop)
        sides = [
            Side(name=name, port=each.port, headers=each.authorization)
            for name, each in ((OURS, service), (ANEW, anew))
        ]
        sides += [Side(name=peer.name, port=peer.port) for peer in peers]
        yield Bench(
            postgres=postgres,
            url=url,
            directory=directory,
            rows=arguments.rows,
            seconds=arguments.seconds,
            rounds=arguments.rounds,
            service=service,
            sides={side.name: side for side in sides},
        )


def filled(postgres: PostgresServer, directory: Path, *, rows: int) -> str:
    """The URL of a database of so many rows."""
    url = postgres.create_database(f"features_{rows}")
    tell(f"filling in {rows:,} rows")
    fill(url, directory, rows=rows)
    return url


@contextmanager
def served(url: str, home: Path, **environment: str) -> Iterator[Service]:
    """Our service on a database."""
    home.mkdir()
    service = Service(directory=home, environment={"DATABASE_URL": url, "LOG_FORMAT": "json", **environment}).start()
    try:
        service.wait_ready()
        yield service
    finally:
        with redirect_stdout(StringIO()):  # the log of all those requests
            service.stop()


def measured(name: str, bench: Bench) -> list[Line]:
    tell(f"measuring {name}")
    try:
        lines = ROWS[name](bench)
    except (NotServedError, UnfairError, MissingToolError, httpx.HTTPError) as error:
        lines = [Line(row=name, missing=str(error))]
    for line in lines:
        tell("  ".join(line.cells()))
    return lines


def growth(postgres: PostgresServer, directory: Path, arguments: argparse.Namespace) -> str:
    """One client's waits for our service alone, over databases of several sizes that take turns."""
    with ExitStack() as stack:
        benches = {}
        for rows in arguments.growth:
            url = filled(postgres, directory, rows=rows)
            service = stack.enter_context(served(url, directory / f"{rows}", TILES_CACHE_BYTES="0"))
            benches[f"{rows:,}"] = Bench(
                postgres=postgres,
                url=url,
                directory=directory,
                rows=rows,
                seconds=arguments.seconds,
                rounds=arguments.rounds,
                service=service,
                sides={OURS: Side(name=OURS, port=service.port, headers=service.authorization)},
            )
        waits = {}
        for name in reads.GROWING:
            tell(f"measuring {name}")
            try:
                waits[name] = reads.growing(name, benches)
            except NotServedError as error:
                tell(f"{name}: {error}")
        return growth_table(waits)


def circumstances(bench: Bench) -> str:
    """The machine, the versions and the command, to stand below the table."""
    with connect(bench.url) as connection:
        postgresql = connection.scalar(text("SHOW server_version"))
        postgis = connection.scalar(text("SELECT postgis_lib_version()"))
    cpu_info = Path("/proc/cpuinfo").read_text()
    models = [line.split(": ", 1)[1] for line in cpu_info.splitlines() if line.startswith("model name")]
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    pins = ", ".join(pin for pins in PINS.values() for pin in pins)
    return f"""\
`python -m benchmarks.features {shlex.join(sys.argv[1:])}`, {time.strftime("%Y-%m-%d")}; {bench.rows:,} rows,
{len(models)} x {models[0]}, load {load} at the end; PostgreSQL {postgresql}, PostGIS {postgis},
Python {platform.python_version()}; {pins}.
A ratio is the median of {bench.rounds} rounds' ratios; the load generator took {bench.busiest:.0%} of a CPU at most."""


def tell(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="how many polygons (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="of each measure (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="in which all sides take turns (default %(default)s)")
    parser.add_argument("--only", type=names, default=list(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument(
        "--growth", type=sizes, nargs="?", const=GROWTH_ROWS, help="ours alone, with 20000,200000,… rows"
    )
    return parser.parse_args()


def names(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(ROWS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}: choose from {', '.join(ROWS)}")
    return chosen


def sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def main() -> None:
    arguments = parse()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = find_postgres(stoppable=True, options=OPTIONS | SERVER)
        stack.callback(postgres.remove)
        if arguments.growth:
            print(growth(postgres, directory, arguments))
        else:
            bench = stack.enter_context(prepared(postgres, directory, arguments))
            lines = [line for name in arguments.only for line in measured(name, bench)]
            print(f"\n{table(lines)}\n\n{circumstances(bench)}")


if __name__ == "__main__":
    main()
