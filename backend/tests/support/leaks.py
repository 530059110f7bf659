"""A pytest plugin: the run fails when a seeded secret stands in any test's output, log or failure text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.secrets import SEEDED_SECRETS


@dataclass(eq=False)  # pytest keeps its plugins in sets
class SecretLeaks:
    """Reads every phase's report; what a test took out of the capture itself (`capsys.readouterr`) is not in it."""

    secrets: Sequence[str] = SEEDED_SECRETS
    found: list[str] = field(default_factory=list)

    def _search(self, report: pytest.TestReport | pytest.CollectReport, *, phase: str) -> None:
        texts = [*report.sections, ("failure text", report.longreprtext)]
        for title, text in texts:
            for number, secret in enumerate(self.secrets):
                if secret in text:
                    self.found.append(f"{report.nodeid} ({phase}): SEEDED_SECRETS[{number}] stands in: {title}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._search(report, phase=report.when or "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._search(report, phase="collection")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in dict.fromkeys(self.found):
            terminalreporter.write_line(f"SECRET LEAKED: {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SecretLeaks())
