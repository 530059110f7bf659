"""Write an Arrow stream from standard input as one of GDAL's formats: `python -m app.services.ogr_writer FILE DRIVER`.

A process of its own: GDAL holds Python's lock while it writes, an index of many sites for most of a second, and takes
memory by their number.
"""

from __future__ import annotations

import sys

import pyarrow as pa
from pyogrio.raw import write_arrow


def main(path: str, driver: str) -> None:
    with pa.ipc.open_stream(sys.stdin.buffer) as stream:
        write_arrow(
            stream,
            path,
            layer="sites",
            driver=driver,
            geometry_name="geometry",
            geometry_type="Unknown",  # of any type
            crs="EPSG:4326",
        )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - whoever started it reads the last line
        sys.exit(f"{type(error).__name__}: {error}")
