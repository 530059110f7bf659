"""One release of the umbrella chart, and what is asked of it from inside."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cluster import Namespace, until
from credentials import hashes
from releases import Release

SECRETS = ("landfall-auth", "landfall-bucket", "landfall-minio-root", "landfall-postgis-app", "landfall-postgis-owner")
API = "deploy/landfall-api"
POSTGIS = "landfall-postgis-0"
WATCHED_SECONDS = 300


@dataclass(frozen=True)
class Landfall:
    """The release `landfall` with PostGIS and MinIO of its own."""

    release: Release

    @property
    def stage(self) -> Namespace:
        return self.release.stage

    def python(self, script: str, *arguments: str) -> str:
        """What a program prints in one of the API's containers, with its environment."""
        command = ("exec", API, "--", "python", "-c", script, *arguments)
        return self.stage.kubectl(*command).strip()

    def sql(self, *statements: str) -> str:
        """The answers of PostgreSQL's superuser."""
        options = [part for statement in statements for part in ("-c", statement)]
        command = ("exec", POSTGIS, "--", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-qAt")
        return self.stage.kubectl(*command, *options).strip()

    def secrets(self) -> dict[str, dict[str, str]]:
        """Digests of all that was generated, by Secret and key."""
        return {name: hashes(self.stage, name) for name in SECRETS}


@contextmanager
def watched(stage: Namespace, target: str, *program: str) -> Iterator[Callable[[], list[str]]]:
    """A program in one of the release's containers, while the block lasts; gives the lines that it has printed."""
    # What is cut off from its reader goes on until it writes: its time is bounded there.
    command = ["kubectl", "-n", stage.name, "exec", target, "--", "timeout", str(WATCHED_SECONDS), *program]
    with tempfile.TemporaryFile("w+") as output, subprocess.Popen(command, stdout=output) as process:

        def lines() -> list[str]:
            output.seek(0)
            # The last one may be half written.
            return [line for line in output.read().splitlines(keepends=True) if line.endswith("\n")]

        try:
            until(lines, seconds=30, what=f"a program begins in {target}")
            yield lines
        finally:
            process.kill()
