"""What a row of the table has to work with: the sides, and measures of which each checks what it gets."""

from __future__ import annotations

import http.client
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx

from benchmarks.support.dataset import ZOOM, Extent
from benchmarks.support.floor import capture, pgbench, script_of
from benchmarks.support.generator import Plan, Shot, generate
from tests.support.postgres import PostgresServer
from tests.support.service import Service

OURS, ANEW = "ours", "anew"  # the names of our sides: the service, and one that keeps no tile it has made
ITEMS = "/ogc/collections/sites/items"
CLIENTS = 8
PATHS = 64  # different ones, where a row asks for places
LEAST_SHARE = 0.5  # of a checked answer's size: what any other answer must have
NOT_SERVED = frozenset({404, 405, 422})


class NotServedError(Exception):
    """The service has no such endpoint."""

    def __str__(self) -> str:
        return "not served by this version"


class UnfairError(Exception):
    """A side gave something else than was asked for: its figure would say nothing."""


def answers_a_second(shots: Sequence[Shot], *, seconds: float) -> float:
    """Of an answer that came after the end, the part that lay before it counts: slow sides have many such."""
    return sum((min(seconds, shot.due + shot.latency) - shot.due) / shot.latency for shot in shots) / seconds


@dataclass(frozen=True, kw_only=True)
class Side:
    name: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Bench:
    """One filled database and the sides that serve it; `busiest` is the generator's greatest share of a processor."""

    postgres: PostgresServer
    url: str
    directory: Path
    rows: int
    seconds: float
    rounds: int
    service: Service
    sides: dict[str, Side]
    busiest: float = 0

    @property
    def extent(self) -> Extent:
        return Extent.of(self.rows)

    def in_turn(self, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
        """Each measure's values, round by round; all measures take turns in each round."""
        values: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(self.rounds):
            for name, measure in measures.items():
                values[name].append(measure())
        return values

    def rates(self, paths: Mapping[str, Sequence[str]], *, features: int | None = None) -> dict[str, list[float]]:
        """Answers a second of each side for its paths, which are checked first and warmed up."""
        measures = {side: self.rate(side, asked, features=features) for side, asked in paths.items()}
        for measure in measures.values():
            measure()
        return self.in_turn(measures)

    def rate(
        self, side: str, paths: Sequence[str], *, features: int | None, status: int = 200, **headers: str
    ) -> Callable[[], float]:
        """A measure: good answers a second to as many clients as there are."""
        least = self._least(side, paths, features=features) if status == 200 else 0

        def measure() -> float:
            shots = self._load(side, paths, connections=CLIENTS, headers=headers)
            self._check(side, shots, status=status, least=least)
            return answers_a_second(shots, seconds=self.seconds)

        return measure

    def latency(self, side: str, paths: Sequence[str], *, features: int | None) -> Callable[[], float]:
        """A measure: the median of one client's waits, in milliseconds."""
        least = self._least(side, paths, features=features)

        def measure() -> float:
            shots = self._load(side, paths, connections=1, headers={})
            self._check(side, shots, status=200, least=least)
            return median(shot.latency for shot in shots) * 1000

        return measure

    def floor(self, name: str, path: str, *, side: str = OURS) -> Callable[[], float]:
        """A measure: how often a second PostgreSQL alone does what our service asks of it for the path."""
        statements = capture(self.postgres, self.url, lambda: self.get(side, path), table="sites")
        script = self.directory / f"{name}.sql"
        script.write_text(script_of(statements))
        return lambda: pgbench(self.url, script, seconds=self.seconds)

    def get(self, side: str, path: str) -> httpx.Response:
        """A whole answer; raises `NotServedError` where our service does not know the path."""
        headers = {"Accept-Encoding": "identity", **self.sides[side].headers}
        url = f"http://127.0.0.1:{self.sides[side].port}{path}"
        answer = httpx.get(url, headers=headers, timeout=120, trust_env=False)
        if side in {OURS, ANEW} and answer.status_code in NOT_SERVED:
            raise NotServedError
        if answer.status_code != 200:
            raise UnfairError(f"{side} answers {answer.status_code} to {path}: {answer.text[:200]}")
        return answer

    @contextmanager
    def connection(self, side: str) -> Iterator[http.client.HTTPConnection]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.sides[side].port, timeout=600)) as connection:
            yield connection

    def boxes(self) -> list[str]:
        """As large as a tile of zoom 10, anywhere in the extent: some 200 features are in each."""
        chance = random.Random(1)
        west, south, east, north = self.extent.box
        width, height = (east - west) / self.extent.across, (north - south) / self.extent.across
        corners = [(chance.uniform(west, east - width), chance.uniform(south, north - height)) for _ in range(PATHS)]
        return [f"{x:.5f},{y:.5f},{x + width:.5f},{y + height:.5f}" for x, y in corners]

    def tiles(self, zoom: int) -> list[tuple[int, int]]:
        """Columns and rows of tiles in the extent."""
        chance, scale = random.Random(1), 2 ** (zoom - ZOOM)
        first, across = (self.extent.x * scale, self.extent.y * scale), self.extent.across * scale
        return [(first[0] + chance.randrange(across), first[1] + chance.randrange(across)) for _ in range(PATHS)]

    def _load(self, side: str, paths: Sequence[str], *, connections: int, headers: Mapping[str, str]) -> list[Shot]:
        chosen = self.sides[side]
        results = generate(
            Plan(
                port=chosen.port,
                paths=paths,
                headers={**chosen.headers, **headers},
                seconds=self.seconds,
                connections=connections,
            )
        )
        self.busiest = max(self.busiest, results.busy)
        return results.answers

    def _least(self, side: str, paths: Sequence[str], *, features: int | None) -> float:
        """The least size that an answer may have; raises `UnfairError` where an answer lacks features."""
        sizes = []
        for path in paths:
            answer = self.get(side, path)
            if features is not None and (found := len(answer.json()["features"])) != features:
                raise UnfairError(f"{side} gives {found} features, not {features}, for {path}")
            sizes.append(len(answer.content))
        return max(1, LEAST_SHARE * min(sizes))

    @staticmethod
    def _check(side: str, shots: Sequence[Shot], *, status: int, least: float) -> None:
        bad = [shot for shot in shots if shot.status != status or shot.size < least]
        if bad or not shots:
            raise UnfairError(f"{side}: {len(bad)} of {len(shots)} answers are bad, such as {bad[:1]}")
