"""The file of an export job, in a directory that is gone when the job is."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from app.db.session import DatabaseSessionManager
from app.schemas.site_export import SiteExportCreate
from app.schemas.site_transfer import SiteExportQuery
from app.services.export_formats import kind_of
from app.services.site_exports import export_sites
from app.services.site_tables import END, TableWriter, TableWriterError, TableWriterKilledError, pages

PREFIX: Final = "landfall-export-"
LEAST_FREE_BYTES = 1024**2  # with less, a writer that failed has probably failed for that

Progress = Callable[[int], None]


class ExportFault(Exception):  # noqa: N818 - what is shown of the job; `LandfallError` is for requests
    """Why a job cannot be done, in words for who asked for it."""


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary directory, locked while it is used: `sweep` knows by that which of them nobody will remove."""
    directory, handle = _locked()
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(handle)


def _locked() -> tuple[Path, int]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(FileNotFoundError):
            handle = os.open(directory, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if directory.exists():  # until it was locked, another process may have swept it
                return directory, handle
            os.close(handle)


def sweep() -> None:
    """Remove what processes left that were killed."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another's, or at work
            handle = os.open(directory, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)
            finally:
                os.close(handle)


def write_export(
    database: DatabaseSessionManager, wanted: SiteExportCreate, directory: Path, *, max_bytes: int, progress: Progress
) -> Path:
    """Write the file; raises `ExportFault`, `TableWriterKilledError`, and whatever `progress` raises to end it."""
    kind = kind_of(wanted.format)
    path = directory / f"sites.{kind.suffix}"

    def watched(sites: int) -> None:
        progress(sites)
        if _size(directory) > max_bytes:
            raise ExportFault(f"The file is larger than {max_bytes} bytes: ask for fewer sites, by a filter")

    try:
        if kind.driver is None:
            query = SiteExportQuery.model_validate(wanted.model_dump())
            with path.open("wb") as file:
                for piece in export_sites(database, query, progress=watched):
                    file.write(piece)
        else:
            _write_by_gdal(database, wanted, path, driver=kind.driver, progress=watched)
        watched(0)
    except OSError as error:
        raise _fault(directory, os.strerror(error.errno or errno.EIO), error.errno) from error
    except TableWriterKilledError:
        raise
    except TableWriterError as error:
        raise _fault(directory, str(error)) from error
    return path


def _write_by_gdal(
    database: DatabaseSessionManager, wanted: SiteExportCreate, path: Path, *, driver: str, progress: Progress
) -> None:
    with TableWriter(driver, str(path)) as writer:
        for page in pages(database, wanted, progress=progress):
            writer.send(page)
        writer.send(END)
        while writer.is_running():
            progress(0)


def _size(directory: Path) -> int:
    size = 0
    for file in directory.iterdir():
        with suppress(FileNotFoundError):  # a temporary one of GDAL's, gone meanwhile
            size += file.stat().st_size
    return size


def _fault(directory: Path, reason: str, code: int | None = None) -> ExportFault:
    if code == errno.ENOSPC or shutil.disk_usage(directory).free < LEAST_FREE_BYTES:
        return ExportFault("There is no space left to write the file: try later, or ask for fewer sites, by a filter")
    return ExportFault(f"The file could not be written: {reason}")
