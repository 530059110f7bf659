"""Runs in the application's image: looks at the database, plans or applies, and reports.

It needs Python 3.8 or newer and what the application has: Alembic 1.8 or newer, SQLAlchemy, psycopg2 or psycopg.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict

from landfall_runner.redaction import Redactor
from landfall_runner.report import Report
from landfall_runner.supervisor import Supervisor

GRACE_SECONDS = 10.0  # for the child to roll back; Kubernetes gives the container 30


def main() -> int:
    spec: Dict[str, Any] = json.loads(os.environ.pop("LANDFALL_RUN"))
    url = os.environ.get(spec["env"], "")
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # the application's modules may have any name
    sys.argv[:] = ["alembic"]

    def work(report: Report) -> None:
        from landfall_runner.run import run

        run(spec, url, report)

    redactor = Redactor(url, os.environ.get("PGPASSWORD", ""))
    grace = spec.get("graceSeconds", GRACE_SECONDS)
    supervisor = Supervisor(
        redactor, phase=spec["phase"], deadline_seconds=spec["deadlineSeconds"], grace_seconds=grace
    )
    return supervisor.run(work)


if __name__ == "__main__":
    sys.exit(main())
