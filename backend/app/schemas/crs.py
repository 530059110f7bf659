"""The coordinate reference systems that features are given and boxes are taken in (OGC API - Features, Part 2)."""

from __future__ import annotations

from dataclasses import dataclass

DEGREE_DIGITS = 9  # a tenth of a millimetre
METRE_DIGITS = 4  # the same
STORED_SRID = 4326  # the column's

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Crs:
    """One system; `bounds` (west, south, east, north in its own units) is where it can be computed with.

    `flipped` says that its first axis is the latitude or the northing, which PostGIS puts second.
    """

    uri: str
    srid: int
    title: str
    bounds: Bounds
    flipped: bool = False

    @property
    def is_stored(self) -> bool:
        """Whether the coordinates are those of the column, but for their order."""
        return self.srid == STORED_SRID

    @property
    def digits(self) -> int:
        return DEGREE_DIGITS if self.is_stored else METRE_DIGITS


def _epsg(srid: int, title: str, bounds: Bounds, *, flipped: bool = False) -> Crs:
    uri = f"http://www.opengis.net/def/crs/EPSG/0/{srid}"
    return Crs(uri=uri, srid=srid, title=title, bounds=bounds, flipped=flipped)


WORLD: Bounds = (-180.0, -90.0, 180.0, 90.0)
MERCATOR_EDGE = 20_037_508.342789244  # metres from the origin to the antimeridian, and to 85.06° north or south
# 2 500 km to either side of the central meridian, from the equator to 84° north: there the projection is exact.
UTM: Bounds = (-2_000_000.0, 0.0, 3_000_000.0, 9_328_000.0)
LAEA: Bounds = (1_500_000.0, 900_000.0, 7_500_000.0, 5_500_000.0)

CRS84 = Crs(
    uri="http://www.opengis.net/def/crs/OGC/1.3/CRS84", srid=4326, title="WGS 84, longitude first", bounds=WORLD
)
WEB_MERCATOR = _epsg(3857, "Web Mercator", (-MERCATOR_EDGE, -MERCATOR_EDGE, MERCATOR_EDGE, MERCATOR_EDGE))
# Two for the whole world, and what surveys in central Europe are made in: a list that each client shows in full.
SYSTEMS = {
    crs.uri: crs
    for crs in (
        CRS84,
        _epsg(4326, "WGS 84, latitude first", WORLD, flipped=True),
        WEB_MERCATOR,
        _epsg(25831, "ETRS89 / UTM zone 31N", UTM),
        _epsg(25832, "ETRS89 / UTM zone 32N", UTM),
        _epsg(25833, "ETRS89 / UTM zone 33N", UTM),
        _epsg(3035, "ETRS89 / LAEA Europe, northing first", LAEA, flipped=True),
    )
}
# What web maps draw in; both have the longitude or the easting first, as the compiler of filters takes it.
FILTER_SYSTEMS = {crs.uri: crs for crs in (CRS84, WEB_MERCATOR)}
