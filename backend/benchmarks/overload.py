"""Overload: requests at twice the capacity, with the admission limit and without it.

The same code is a test (`tests/faults/test_overload.py`), which holds the ratios; this prints them, over a longer time.
"""

from __future__ import annotations

import random
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import shapely
from pydantic import SecretStr
from sqlalchemy import text

from app.db import migrate
from app.db.session import DatabaseSessionManager
from app.models import Site, UserRole
from app.queries.sites import geometry_from_wkb
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.users import create_user
from benchmarks.support.generator import Plan, Shot, generate
from tests.support.postgres import PostgresServer, find_postgres
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL, Service
from tests.support.settings import make_settings

SITES = 4_000
SECONDS = 30.0
CLOSED_CONNECTIONS = 15  # what admission lets in
WAIT_SECONDS = 0.3  # the default of ADMISSION_WAIT_SECONDS
PROBE_LIMIT_SECONDS = 0.1
OVERLOAD = 2.0
PROBE_RATE = 20.0  # a second
RISE_SECONDS = 1.0  # until the first answers come and the queue is full: not counted in the goodput


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, shots: Sequence[Shot]) -> Latency:
        ordered = sorted(shot.latency for shot in shots)
        last = len(ordered) - 1
        return cls(p50=ordered[round(last * 0.5)], p99=ordered[round(last * 0.99)]) if ordered else cls(p50=0, p99=0)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run gave; rates are requests a second."""

    capacity: float
    unloaded: Latency
    sent: float
    goodput: float
    accepted: Latency
    refused: Latency
    refused_share: float
    bad: int  # answers that are neither 200 nor a 503 with Retry-After
    probes: Latency
    lag: Latency  # of the generator: how late it sent

    @property
    def limit(self) -> float:
        """The most that the accepted requests' p99 may be, in seconds."""
        return WAIT_SECONDS + 3 * self.unloaded.p99

    def failures(self) -> list[str]:
        """What does not hold, in words."""
        checks = {
            f"accepted p99 {self.accepted.p99:.3f} s is above {self.limit:.3f} s": self.accepted.p99 > self.limit,
            f"goodput {self.goodput:.0f}/s is below 90 % of {self.capacity:.0f}/s": self.goodput < 0.9 * self.capacity,
            f"p99 of /healthz {self.probes.p99:.3f} s is not below 0.1 s": self.probes.p99 >= PROBE_LIMIT_SECONDS,
            f"{self.bad} answers are neither 200 nor 503 with Retry-After": self.bad > 0,
        }
        return [text for text, failed in checks.items() if failed]


def measure(service: Service, *, seconds: float, paths: Sequence[str] = ()) -> Figures:
    """The overload, and before and after it the capacity and the unloaded latency by closed loops."""
    template = Plan(port=service.port, paths=paths or boxes(), headers=service.authorization, seconds=seconds / 5)

    def closed(connections: int) -> list[Shot]:
        return generate(replace(template, connections=connections)).answers

    closed(CLOSED_CONNECTIONS)  # warms up
    unloaded = closed(1)
    before = _rate(closed(CLOSED_CONNECTIONS), end=template.seconds)
    results = generate(replace(template, seconds=seconds, rate=OVERLOAD * before, probe_rate=PROBE_RATE))
    answers, probes = results.answers, results.probes
    after = _rate(closed(CLOSED_CONNECTIONS), end=template.seconds)
    accepted = [shot for shot in answers if shot.status == 200]
    refused = [shot for shot in answers if shot.status == 503 and shot.retry_after]
    return Figures(
        capacity=(before + after) / 2,
        unloaded=Latency.of(unloaded),
        sent=len(answers) / seconds,
        goodput=_rate(answers, begin=RISE_SECONDS, end=seconds),
        accepted=Latency.of(accepted),
        refused=Latency.of(refused),
        refused_share=len(refused) / len(answers),
        bad=len(answers) - len(accepted) - len(refused) + sum(shot.status != 200 for shot in probes),
        probes=Latency.of(probes),
        lag=Latency.of([replace(shot, latency=shot.lag) for shot in answers]),
    )


def _rate(shots: Sequence[Shot], *, begin: float = 0, end: float) -> float:
    """Good answers a second that came in this time."""
    return sum(shot.status == 200 and begin <= shot.due + shot.latency < end for shot in shots) / (end - begin)


def boxes() -> list[str]:
    """Pages of 200 sites out of boxes that hold several hundred."""
    chance = random.Random(1)
    corners = [(chance.uniform(5, 11), chance.uniform(47, 51)) for _ in range(64)]
    return [f"/api/v1/sites?limit=200&bbox={x:.4f},{y:.4f},{x + 4:.4f},{y + 4:.4f}" for x, y in corners]


def fill(url: str, directory: Path) -> None:
    """Migrate, and make a user and the sites: polygons of 24 corners in and around Germany."""
    settings = make_settings(directory, database_url=url)
    migrate.upgrade(settings)
    body = UserCreate(email=EMAIL, password=SecretStr(USER_PASSWORD), role=UserRole.VIEWER)
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        owner = create_user(session, body, actor=Actor(id=None, role=UserRole.ADMIN), rounds=4)
        with session.begin():
            session.add_all(_sites(owner.id))
        with session.begin():
            session.execute(text("ANALYZE sites"))


def _sites(owner_id: uuid.UUID) -> Iterator[Site]:
    chance = random.Random(2)
    for number in range(SITES):
        centre = shapely.Point(chance.uniform(5, 15), chance.uniform(47, 55))
        yield Site(
            owner_id=owner_id,
            name=f"Site {number}",
            kind=chance.choice(("pump", "mast", "park")),
            external_id=str(number),
            properties={"depth_m": number % 50, "inspected": "2026-01-01"},
            geom=geometry_from_wkb(shapely.to_wkb(centre.buffer(chance.uniform(0.001, 0.01), quad_segs=6))),
        )


@contextmanager
def served(postgres: PostgresServer, directory: Path, **environment: str) -> Iterator[Service]:
    """The service on a filled database of its own."""
    name = f"overload_{uuid.uuid4().hex[:8]}"
    url = postgres.create_database(name)
    fill(url, directory)
    service = Service(directory=directory, environment={"DATABASE_URL": url, **environment}).start()
    try:
        service.wait_ready()
        yield service
    finally:
        with redirect_stdout(StringIO()):  # the log of some ten thousand requests
            service.stop()
        postgres.drop_database(name)


def show(title: str, figures: Figures) -> None:
    def milliseconds(latency: Latency) -> str:
        return f"{latency.p50 * 1000:8.1f} {latency.p99 * 1000:8.1f}"

    print(f"{title}: capacity {figures.capacity:.0f}/s, sent {figures.sent:.0f}/s, refused {figures.refused_share:.0%}")
    print("                     p50 ms   p99 ms")
    for name in ("unloaded", "accepted", "refused", "probes", "lag"):
        print(f"  {name:<14} {milliseconds(getattr(figures, name))}")
    print(f"  accepted p99 / limit  {figures.accepted.p99 / figures.limit:6.2f}   (at most 1)")
    print(f"  goodput / capacity    {figures.goodput / figures.capacity:6.2f}   (at least 0.9)")
    print(f"  probes p99 / 100 ms   {figures.probes.p99 / PROBE_LIMIT_SECONDS:6.2f}   (less than 1)")
    print(f"  other answers         {figures.bad:6}   (none)\n")


def main() -> None:
    postgres = find_postgres()
    try:
        for title, enabled in (("with admission", "true"), ("without admission", "false")):
            with (
                tempfile.TemporaryDirectory() as directory,
                served(postgres, Path(directory), ADMISSION_ENABLED=enabled) as service,
            ):
                show(title, measure(service, seconds=SECONDS))
    finally:
        postgres.remove()


if __name__ == "__main__":
    main()
