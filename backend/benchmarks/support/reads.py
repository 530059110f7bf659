"""The table's rows that ask for pages and tiles."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from time import perf_counter

from benchmarks.support.bench import ANEW, ITEMS, OURS, Bench, UnfairError
from benchmarks.support.rounds import Bar, Line, at_most

PEER_ITEMS = {"tipg": "/collections/public.sites/items", "pygeoapi": "/collections/sites/items"}
OUR_TILES = "/tiles/sites/{z}/{x}/{y}.mvt?properties=name,kind"
# Ours carries the id always.
TIPG_TILES = "/collections/public.sites/tiles/WebMercatorQuad/{z}/{x}/{y}?properties=id,name,kind"
LARGE_PAGE = 1000
WALK_SECONDS = 60  # by offset the walk of 200 000 was seen to take ten minutes


def items(bench: Bench) -> list[Line]:
    paths = {"ours": f"{ITEMS}?limit=100"} | {peer: f"{path}?limit=100" for peer, path in PEER_ITEMS.items()}
    measures = {side: bench.rate(side, [path], features=100) for side, path in paths.items()}
    measures["floor"] = bench.floor("items", paths["ours"])
    for measure in measures.values():
        measure()
    rates = bench.in_turn(measures)
    against = {"tipg": Bar(limit=5), "pygeoapi": Bar(limit=6)}
    lines = [
        Line(row="items, limit 100", ours=rates["ours"], peer=peer, theirs=rates[peer], bar=bar)
        for peer, bar in against.items()
    ]
    share = Line(
        row="items, share of the floor", ours=rates["ours"], peer="pgbench", theirs=rates["floor"], bar=Bar(limit=0.45)
    )
    return [*lines, share]


def _against_tipg(bench: Bench, row: str, options: str, *, tipg: str = "", features: int, limit: float) -> list[Line]:
    paths = {"ours": [f"{ITEMS}?{options}"], "tipg": [f"{PEER_ITEMS['tipg']}?{tipg or options}"]}
    rates = bench.rates(paths, features=features)
    return [Line(row=row, ours=rates["ours"], peer="tipg", theirs=rates["tipg"], bar=Bar(limit=limit))]


def exact(bench: Bench) -> list[Line]:
    row = "items, limit 100, exact count"
    return _against_tipg(bench, row, "limit=100&count=exact", tipg="limit=100", features=100, limit=1.8)


def large(bench: Bench) -> list[Line]:
    return _against_tipg(bench, "items, limit 1000", f"limit={LARGE_PAGE}", features=LARGE_PAGE, limit=6)


def bbox(bench: Bench) -> list[Line]:
    boxes = bench.boxes()
    paths = {
        side: [f"{path}?limit=100&bbox={box}" for box in boxes]
        for side, path in (("ours", ITEMS), ("tipg", PEER_ITEMS["tipg"]))
    }
    rates = bench.rates(paths, features=100)
    return [Line(row="bbox, page of 100", ours=rates["ours"], peer="tipg", theirs=rates["tipg"], bar=Bar(limit=3))]


def deep(bench: Bench) -> list[Line]:
    skipped = bench.rows * 3 // 4
    path: str | None = f"{ITEMS}?limit={LARGE_PAGE}"
    for _ in range(skipped // LARGE_PAGE):
        path = path and next_path(bench.get("ours", path).content)
    if path is None:
        raise UnfairError(f"the pages end before row {skipped}")
    paths = {"deep": path.replace(f"limit={LARGE_PAGE}", "limit=100"), "first": f"{ITEMS}?limit=100"}
    measures = {name: bench.latency("ours", [path], features=100) for name, path in paths.items()}
    values = bench.in_turn(measures)
    row, bar = f"page at row {skipped:,}, p50", at_most(1.3)
    return [Line(row=row, unit=" ms", ours=values["deep"], peer="page 1", theirs=values["first"], bar=bar)]


def walk(bench: Bench) -> list[Line]:
    def walker(side: str, path: str) -> Callable[[], float]:
        return lambda: _walk(bench, side, f"{path}?limit={LARGE_PAGE}")

    rates = bench.in_turn({"ours": walker("ours", ITEMS), "tipg": walker("tipg", PEER_ITEMS["tipg"])})
    row = f"walk all {bench.rows:,} by next, pages of {LARGE_PAGE:,}"
    return [Line(row=row, unit=" rows/s", ours=rates["ours"], peer="tipg", theirs=rates["tipg"], bar=Bar(limit=5))]


def tiles(bench: Bench) -> list[Line]:
    lines = []
    for zoom, limit in ((10, 1.4), (12, 2)):
        paths = {
            side: [path.format(z=zoom, x=x, y=y) for x, y in bench.tiles(zoom)]
            for side, path in ((OURS, OUR_TILES), (ANEW, OUR_TILES), ("tipg", TIPG_TILES))
        }
        rates = bench.rates(paths)
        for row, side in ((f"tile z{zoom}, made anew", ANEW), (f"tile z{zoom}, made before", OURS)):
            bar = Bar(limit=limit)
            lines.append(Line(row=row, ours=rates[side], peer="tipg", theirs=rates["tipg"], bar=bar))
    return [*lines, *_one_tile(bench)]


def _one_tile(bench: Bench) -> list[Line]:
    """One tile again and again, made anew each time: its share of the floor, and its 304."""
    (x, y), *_ = bench.tiles(10)
    path = OUR_TILES.format(z=10, x=x, y=y)
    tag = bench.get(ANEW, path).headers["ETag"]
    unchanged = {"If-None-Match": tag}
    measures = {
        "full": bench.rate(ANEW, [path], features=None),
        "unchanged": bench.rate(ANEW, [path], features=None, status=304, **unchanged),
        "floor": bench.floor("tile", path, side=ANEW),
    }
    for measure in measures.values():
        measure()
    rates = bench.in_turn(measures)
    full = rates["full"]
    return [
        Line(row="tile z10, share of the floor", ours=full, peer="pgbench", theirs=rates["floor"], bar=Bar(limit=0.8)),
        Line(row="304 of a tile z10", ours=rates["unchanged"], peer="its 200", theirs=full, bar=Bar(limit=8)),
    ]


GROWING: Mapping[str, Callable[[Bench], list[str]]] = {
    "items, limit 100": lambda _: [f"{ITEMS}?limit=100"],
    "bbox, page of 100": lambda bench: [f"{ITEMS}?limit=100&bbox={box}" for box in bench.boxes()],
    "tile z10": lambda bench: [OUR_TILES.format(z=10, x=x, y=y) for x, y in bench.tiles(10)],
}


def growing(name: str, benches: Mapping[str, Bench]) -> dict[str, list[float]]:
    """One client's median waits, by the size of the database; the sizes take turns."""
    features = None if name.startswith("tile") else 100
    measures = {size: bench.latency("ours", GROWING[name](bench), features=features) for size, bench in benches.items()}
    return next(iter(benches.values())).in_turn(measures)


def next_path(page: bytes) -> str | None:
    """The path of the next page, from a member `next` or from a link; None on the last page."""
    at = page.rfind(b'"next"')
    if at < 0:
        return None
    if page[at + len(b'"next"') :].lstrip().startswith(b":"):
        url = json.loads(b"{" + page[at:])["next"]
    else:
        url = json.loads(page[page.rfind(b"{", 0, at) : page.find(b"}", at) + 1])["href"]
    return url and "/" + str(url).split("/", 3)[3]


def _walk(bench: Bench, side: str, path: str | None) -> float:
    """Rows a second over one connection; the pages are counted, not parsed.

    A walk that takes too long ends early: where pages go on by offset, its first ones are its fastest.
    """
    with bench.connection(side) as connection:
        start, seen = perf_counter(), 0
        while path and perf_counter() - start < WALK_SECONDS:
            connection.request("GET", path, headers=dict(bench.sides[side].headers))
            answer = connection.getresponse()
            page = answer.read()
            seen += page.count(b'"Feature"')
            path = next_path(page) if answer.status == 200 else None
        took = perf_counter() - start
    if path is None and seen != bench.rows:
        raise UnfairError(f"{side} gives {seen} features of {bench.rows} on the way by next")
    return seen / took
