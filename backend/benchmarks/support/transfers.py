"""The table's rows that move everything: export and import, with the memory that they take."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import shapely
from geoalchemy2.shape import from_shape
from sqlalchemy import make_url, select, text

from app.db.session import DatabaseSessionManager
from app.models import Site, User
from app.queries.sites import SITE, SRID
from benchmarks.support.bench import NOT_SERVED, Bench, NotServedError, UnfairError
from benchmarks.support.dataset import connect
from benchmarks.support.rounds import Bar, Line, at_most
from tests.support.settings import make_settings

EXPORT = "/api/v1/sites/export?format=geojsonseq"
PARQUET = "/api/v1/sites/export?format=geoparquet"
JOBS = "/api/v1/sites/exports"
IMPORT = "/api/v1/sites/import"
IMPORTED = 20_000
BLOCK = 1 << 20


def export(bench: Bench) -> list[Line]:
    with bench.connection("ours") as probe:  # not `get`, which would read it all
        probe.request("GET", EXPORT, headers=dict(bench.sides["ours"].headers))
        if probe.getresponse().status in NOT_SERVED:
            raise NotServedError
    firsts: list[float] = []
    growths: list[float] = []

    def ours() -> float:
        with grown(bench) as growth:
            first, took = _download(bench)
        firsts.append(first)
        growths.extend(growth)
        return took

    times = bench.in_turn({"ours": ours, "copy": lambda: _copy(bench)})
    row = f"export of {bench.rows:,} as GeoJSONSeq"
    return [
        Line(row=row, unit=" s", ours=times["ours"], peer=r"psql \copy", theirs=times["copy"], bar=at_most(2.5)),
        Line(row="its first byte", unit=" s", ours=firsts, bar=at_most(1)),
        Line(row="its growth of memory", unit=" MiB", ours=growths, bar=at_most(64)),
        *_formats(bench),
    ]


def _formats(bench: Bench) -> list[Line]:
    """GeoParquet as it streams, and a GeoPackage from asking for it until its URL is there."""
    growths: dict[str, list[float]] = {"parquet": [], "job": []}

    def parquet() -> float:
        with grown(bench) as growth:
            took = _downloaded(bench, PARQUET)
        growths["parquet"].extend(growth)
        return took

    def job() -> float:
        with grown(bench) as growth:
            took = _job(bench, "geopackage")
        growths["job"].extend(growth)
        return took

    times = bench.in_turn({"parquet": parquet, "job": job})
    return [
        Line(row=f"export of {bench.rows:,} as GeoParquet", unit=" s", ours=times["parquet"]),
        Line(row="its growth of memory", unit=" MiB", ours=growths["parquet"], bar=at_most(64)),
        Line(row=f"export of {bench.rows:,} as GeoPackage, a job", unit=" s", ours=times["job"]),
        Line(row="its growth of the API's memory", unit=" MiB", ours=growths["job"], bar=at_most(64)),
    ]


def imports(bench: Bench) -> list[Line]:
    features = _features(bench)
    probe = _post(bench, b'{"type":"FeatureCollection","features":[]}', media_type="application/geo+json")
    if probe in NOT_SERVED - {422}:
        raise NotServedError

    def ours() -> float:
        body = "\n".join(json.dumps(feature) for feature in _renamed(features)).encode()
        start = perf_counter()
        status = _post(bench, body, media_type="application/geo+json-seq")
        took = perf_counter() - start
        if status != 200:
            raise UnfairError(f"the import answers {status}")
        return len(features) / took

    measures: dict[str, Callable[[], float]] = {"ours": ours, "add_all": lambda: _add_all(bench, _renamed(features))}
    rates = bench.in_turn(measures)
    with connect(bench.url) as connection:
        gone = connection.execute(text("DELETE FROM sites WHERE external_id LIKE 'B-%'")).rowcount
    if gone != (expected := 2 * bench.rounds * len(features)):
        raise UnfairError(f"{gone} features were imported, not {expected}")
    row, unit = f"import of {len(features):,}", " rows/s"
    return [
        Line(row=row, unit=unit, ours=rates["ours"], bar=Bar(limit=12_000)),
        Line(row=row, unit=unit, ours=rates["ours"], peer="add_all", theirs=rates["add_all"], bar=Bar(limit=2)),
    ]


@contextmanager
def grown(bench: Bench) -> Iterator[list[float]]:
    """Afterwards the list has the most MiB by which the service's memory grew meanwhile."""
    assert bench.service.process is not None  # noqa: S101 - it runs
    process = Path("/proc") / str(bench.service.process.pid)
    growth: list[float] = []
    before = _memory(process, "VmRSS")
    (process / "clear_refs").write_text("5")  # the high-water mark begins anew
    yield growth
    growth.append((_memory(process, "VmHWM") - before) / 1024)


def _memory(process: Path, name: str) -> int:
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _download(bench: Bench) -> tuple[float, float]:
    """Seconds until the first byte of the body and until the last."""
    with bench.connection("ours") as connection:
        start = perf_counter()
        connection.request("GET", EXPORT, headers=dict(bench.sides["ours"].headers))
        answer = connection.getresponse()
        block = answer.read1(BLOCK)
        first, seen = perf_counter() - start, 0
        while block:
            seen += block.count(b"\n")
            block = answer.read1(BLOCK)
        took = perf_counter() - start
    if answer.status != 200 or seen != bench.rows:
        raise UnfairError(f"the export answers {answer.status} with {seen} lines of {bench.rows}")
    return first, took


def _downloaded(bench: Bench, path: str) -> float:
    with bench.connection("ours") as connection:
        start = perf_counter()
        connection.request("GET", path, headers=dict(bench.sides["ours"].headers))
        answer = connection.getresponse()
        while answer.read1(BLOCK):
            pass
        took = perf_counter() - start
    if answer.status in NOT_SERVED:
        raise NotServedError
    if answer.status != 200:
        raise UnfairError(f"{path} answers {answer.status}")
    return took


def _job(bench: Bench, form: str) -> float:
    """Seconds until the file is in the store."""
    start = perf_counter()
    job = _asked(bench, "POST", JOBS, body={"format": form})
    while job["state"] in {"pending", "running"}:
        sleep(0.1)
        job = _asked(bench, "GET", f"{JOBS}/{job['id']}")
    took = perf_counter() - start
    if (job["state"], job["sites"]) != ("available", bench.rows):
        raise UnfairError(f"the job is {job['state']} with {job['sites']} sites: {job['failure']}")
    _asked(bench, "DELETE", f"{JOBS}/{job['id']}")
    return took


def _asked(bench: Bench, method: str, path: str, *, body: Any = None) -> Any:
    headers = {"Content-Type": "application/json", **bench.sides["ours"].headers}
    with bench.connection("ours") as connection:
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status in NOT_SERVED:
        raise NotServedError
    return json.loads(content) if content else None


def _copy(bench: Bench) -> float:
    """Seconds that psql takes for the same text of the same rows."""
    with connect(bench.url) as connection:
        row = select(SITE.row).compile(connection, compile_kwargs={"literal_binds": True})
    statement = " ".join(str(row).replace("%%", "%").split("\n"))
    target = bench.directory / "copied"
    address = make_url(bench.url).set(drivername="postgresql").render_as_string(hide_password=False)
    start = perf_counter()
    subprocess.run(["psql", "--quiet", address, "--command", rf"\copy ({statement}) TO '{target}'"], check=True)
    return perf_counter() - start


def _features(bench: Bench) -> list[dict[str, Any]]:
    """As a client has them: what the service sends, without what it adds itself."""
    with connect(bench.url) as connection:
        texts = connection.scalars(select(SITE.row).order_by(Site.created_at).limit(IMPORTED)).all()
    features = [json.loads(feature) for feature in texts]
    kept = ("name", "kind", "external_id", "properties")
    return [
        {
            "type": "Feature",
            "geometry": feature["geometry"],
            "properties": {name: feature["properties"][name] for name in kept},
        }
        for feature in features
    ]


def _renamed(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with external ids that no round before had."""
    mark = uuid.uuid4().hex
    for number, feature in enumerate(features):
        feature["properties"]["external_id"] = f"B-{mark}-{number}"
    return features


def _add_all(bench: Bench, features: list[dict[str, Any]]) -> float:
    """Rows a second by SQLAlchemy's ORM as people write it, in batches, from the same text, checked by shapely."""
    settings = make_settings(bench.directory, database_url=bench.url)
    texts = [json.dumps(feature) for feature in features]
    with DatabaseSessionManager(settings.database) as database, database.session() as session, session.begin():
        owner_id = session.scalars(select(User.id)).one()
        start = perf_counter()
        session.add_all(_site(json.loads(feature), owner_id) for feature in texts)
        session.flush()
        session.commit()
    return len(features) / (perf_counter() - start)


def _site(feature: dict[str, Any], owner_id: uuid.UUID) -> Site:
    geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
    if not shapely.is_valid(geometry):
        raise UnfairError("a polygon is not valid")
    return Site(owner_id=owner_id, geom=from_shape(geometry, srid=SRID), **feature["properties"])


def _post(bench: Bench, body: bytes, *, media_type: str) -> int:
    headers = {"Content-Type": media_type, **bench.sides["ours"].headers}
    with bench.connection("ours") as connection:
        connection.request("POST", IMPORT, body=body, headers=headers)
        return connection.getresponse().status
