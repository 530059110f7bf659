"""The files that sites can be exported as."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from app.errors import FormatUnavailableError
from app.schemas.site_export import JobFormat

CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """A format's media type and suffix; `driver` is GDAL's name where GDAL writes it.

    What `is_packed` is compressed in itself.
    """

    media_type: str
    suffix: str
    needs: tuple[str, ...] = ()
    driver: str | None = None
    is_packed: bool = False


KINDS: dict[JobFormat, FileKind] = {
    "geojson": FileKind(media_type="application/geo+json", suffix="geojson"),
    "geojsonseq": FileKind(media_type="application/geo+json-seq", suffix="geojsons"),
    "csv": FileKind(media_type=CSV, suffix="csv"),
    "geoparquet": FileKind(
        media_type="application/vnd.apache.parquet", suffix="parquet", needs=("pyarrow",), is_packed=True
    ),
    "geopackage": FileKind(
        media_type="application/geopackage+sqlite3", suffix="gpkg", needs=("pyarrow", "pyogrio"), driver="GPKG"
    ),
    "flatgeobuf": FileKind(
        media_type="application/flatgeobuf", suffix="fgb", needs=("pyarrow", "pyogrio"), driver="FlatGeobuf"
    ),
}


def kind_of(name: JobFormat) -> FileKind:
    """Raises `FormatUnavailableError` where the packages that write it are not installed."""
    if name in unwritable():
        raise FormatUnavailableError(format=name)
    return KINDS[name]


def unwritable() -> list[JobFormat]:
    """The formats whose packages are not installed."""
    return [name for name, kind in KINDS.items() if any(find_spec(package) is None for package in kind.needs)]
