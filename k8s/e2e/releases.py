"""Helm releases, as people make them."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster import ROOT, ClusterError, Namespace

UMBRELLA = ROOT / "charts/landfall"
SUBCHARTS = UMBRELLA / "charts"

Values = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a command of Helm ended; `words` are what it printed."""

    code: int
    words: str
    seconds: float


@dataclass(frozen=True)
class Release:
    """One release of a chart by one Helm (`helm` or `helm3`) in one namespace."""

    stage: Namespace
    name: str = "landfall"
    chart: Path = UMBRELLA
    helm: str = "helm"
    values: Values = field(default_factory=dict)

    def install(self, *changes: Values, timeout: str = "180s") -> Outcome:
        """Raises `ClusterError` where it fails."""
        return self._good(self.try_upgrade(*changes, timeout=timeout))

    upgrade = install

    def try_upgrade(self, *changes: Values, timeout: str = "180s", wait: bool = True) -> Outcome:
        """Install, or upgrade to, the release's values with these over them: the last one wins."""
        with tempfile.TemporaryDirectory() as directory:
            options = []
            for number, values in enumerate((self.values, *changes)):
                file = Path(directory) / f"{number}.json"
                file.write_text(json.dumps(values))
                options += ["--values", str(file)]
            waiting = ["--wait"] if wait else []
            return self.run(
                "upgrade", "--install", self.name, str(self.chart), *options, *waiting, "--timeout", timeout
            )

    def rollback(self, revision: int = 0, timeout: str = "180s") -> Outcome:
        return self._good(self.run("rollback", self.name, str(revision), "--wait", "--timeout", timeout))

    def test(self, timeout: str = "120s") -> Outcome:
        return self._good(self.run("test", self.name, "--logs", "--timeout", timeout))

    def uninstall(self, timeout: str = "120s") -> Outcome:
        return self._good(self.run("uninstall", self.name, "--ignore-not-found", "--wait", "--timeout", timeout))

    def run(self, *arguments: str) -> Outcome:
        begun = time.monotonic()
        done = subprocess.run(
            [self.helm, "--namespace", self.stage.name, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
        return Outcome(done.returncode, done.stdout + done.stderr, time.monotonic() - begun)

    def _good(self, outcome: Outcome) -> Outcome:
        if outcome.code:
            raise ClusterError(
                f"{self.helm}, release {self.name} in {self.stage.name}: {outcome.words.strip()[-3000:]}"
            )
        return outcome
