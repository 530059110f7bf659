"""Runs in the application's image: looks at the database, plans or applies, and reports.

It needs Python 3.8 or newer and what the application has: Alembic 1.8 or newer, SQLAlchemy, psycopg2 or psycopg.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import time
import traceback
from typing import Any, Dict, List, NoReturn, Optional

from report import Report, Stop

MAX_TRIES = 8  # of one run, for what may pass: together some minutes with the pauses below
FIRST_PAUSE_SECONDS = 1.0


def main() -> int:
    spec: Dict[str, Any] = json.loads(os.environ.pop("LANDFALL_RUN"))
    url = os.environ.get(spec["env"], "")
    report = Report(_secrets(url))
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _interrupted)
    report.set(phase=spec["phase"])
    try:
        _run(spec, url, report)
        outcome = 0
    except Stop as stop:
        _tell(report, stop)
        outcome = 0 if stop.outcome == "Planned" else 1
    except BaseException as error:
        traceback.print_exc()
        _tell(report, _unexpected(error))
        outcome = 1
    report.set(seconds=round(time.monotonic() - started, 3))
    report.write()
    return outcome


def _tell(report: Report, stop: Stop) -> None:
    report.set(outcome=stop.outcome, reason=stop.reason, message=str(stop), transient=stop.transient, **stop.fields)


def _interrupted(number: int, frame: Any) -> NoReturn:
    raise Stop(
        "Interrupted",
        "The run was told to stop (signal %d) before its end." % number,
        outcome="Interrupted",
        transient=True,
    )


def _secrets(url: str) -> List[str]:
    match = re.match(r"[^:]+://[^:/@]*:([^@]*)@", url)
    if not match:
        return []
    from urllib.parse import unquote

    return [match.group(1), unquote(match.group(1))]


def _unexpected(error: BaseException) -> Stop:
    if isinstance(error, ModuleNotFoundError):
        return Stop(
            "ModuleMissing",
            "The image lacks the Python module %s, which its env.py or a revision imports." % error.name,
        )
    if isinstance(error, SystemExit):
        return Stop("EnvExited", "env.py or a revision ended the process with the code %r." % (error.code,))
    return Stop("RunFailed", "%s: %s" % (type(error).__name__, str(error).split("\n")[0]))


def _run(spec: Dict[str, Any], url: str, report: Report) -> None:
    if not url:
        raise Stop(
            "UrlMissing", "The variable %s is empty: see the Secret's key in spec.database.urlFrom." % spec["env"]
        )
    try:
        import alembic
        import sqlalchemy
    except ModuleNotFoundError as error:
        raise Stop(
            "AlembicMissing",
            "The interpreter %s has no module %s. Name the one that has Alembic in spec.alembic.python."
            % (sys.executable, error.name),
        ) from None
    report.set(alembic=alembic.__version__, sqlalchemy=sqlalchemy.__version__)
    sys.path.insert(0, os.getcwd())
    Migrator(spec, url, report).run()


class Migrator:
    """One run: under the lock, from what is there to what is asked."""

    def __init__(self, spec: Dict[str, Any], url: str, report: Report) -> None:
        from database import Database, own_url
        from script import Revisions

        self._spec = spec
        self._report = report
        self._deadline = time.monotonic() + spec["deadlineSeconds"]
        self._own_url = own_url(url)
        self._database = Database(self._own_url, "landfall %(namespace)s/%(name)s" % spec["owner"], report)
        self._revisions = Revisions(dict(spec["alembic"], target=spec["target"]), url)
        self._step: Optional[str] = None
        self._statement: Optional[str] = None

    def run(self) -> None:
        from database import lock_key, scalar

        self._watch_engines()
        with self._database.connect(
            min(self._deadline, time.monotonic() + self._spec["connectWaitSeconds"])
        ) as connection:
            self._database.refuse_transaction_pooler(connection, self._deadline)
            self._report.set(server=scalar(connection, "SHOW server_version"))
            seen = self._look()
            key = lock_key(scalar(connection, "SELECT current_database()"), seen.schema, seen.table)
            waited = self._database.lock(connection, key, self._spec["lockWaitSeconds"], self._waiting)
            self._report.set(lockWaitSeconds=round(waited, 3))
            seen = self._look()  # another run may have ended meanwhile
            self._refuse_foreign(connection, seen)
            self._judge(seen)
            if self._spec["phase"] == "plan":
                self._plan(connection, seen)
            else:
                self._apply(connection, seen)

    def _waiting(self, holder: str) -> None:
        self._report.say("landfall-waiting: %s" % holder)

    def _look(self) -> Any:
        return self._patiently(self._revisions.look)

    def _patiently(self, work: Any) -> Any:
        """Try again what a lock, a deadlock or a lost connection ended, with growing, jittered pauses."""
        from database import explain, is_transient, sqlstate
        from sqlalchemy.exc import DBAPIError

        for attempt in range(1, MAX_TRIES + 1):
            self._report.set(tries=attempt)
            try:
                return work()
            except Exception as error:
                if not isinstance(error, DBAPIError) and sqlstate(error) is None:
                    raise
                pause = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                last = attempt == MAX_TRIES or time.monotonic() + pause > self._deadline
                if last or not is_transient(error):
                    stop = explain(error)
                    stop.fields.update(revision=self._step, statement=self._statement)
                    raise stop from None
                self._report.say("Try %d ended, next in %.1f s: %s" % (attempt, pause, explain(error)))
                self._handle_invalid_indexes()
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _refuse_foreign(self, connection: Any, seen: Any) -> None:
        from database import read_claim

        claim = read_claim(connection, seen.schema, seen.table)
        if claim and claim.get("uid") != self._spec["owner"]["uid"] and not self._spec["takeOver"]:
            raise Stop(
                "Conflict",
                "The database belongs to the Migration %s/%s. Delete it, or set spec.database.takeOver: true here."
                % (claim.get("namespace"), claim.get("name")),
                outcome="Refused",
                claim=claim,
            )

    def _judge(self, seen: Any) -> None:
        """Tell the state, and stop where there is nothing that an upgrade could do."""
        revisions = self._revisions
        self._report.set(
            current=list(seen.current),
            heads=list(revisions.heads),
            lineage=self._report.frame("LINEAGE", "\n".join(revisions.lineage())),
        )
        unknown = revisions.unknown(seen.current)
        if unknown:
            raise Stop(
                "RevisionUnknown",
                "The database is at %s, which this image does not carry." % ", ".join(unknown),
                outcome="Refused",
                state="RevisionUnknown",
            )
        target = revisions.resolve()
        start = list(seen.current)
        if not start and self._spec.get("baseline"):
            start = [self._spec["baseline"]]
        steps = revisions.steps(start)
        self._pending = [{"revision": s.revision.revision, "message": (s.revision.doc or "")[:80]} for s in steps]
        state = "UpToDate" if not steps else "Behind" if seen.current else "Unversioned"
        self._report.set(target=list(target), state=state, pending=self._pending, pendingCount=len(steps))

    def _plan(self, connection: Any, seen: Any) -> None:
        from checks import live_checks

        start = seen.current or tuple(filter(None, [self._spec.get("baseline")]))
        if not self._pending:
            self._report.set(outcome="Planned", reason="NothingToDo", message="The database is at its target.")
            return
        sql = self._revisions.plan(start)
        self._report.set(plan=self._report.frame("PLAN", sql), checks=live_checks(connection, sql))
        self._report.set(outcome="Planned", reason="Planned", message="%d revisions are pending." % len(self._pending))

    def _apply(self, connection: Any, seen: Any) -> None:
        from database import write_claim

        if self._spec.get("planSha256"):
            self._compare_with_plan(seen)
        if not seen.current and self._spec.get("baseline"):
            self._patiently(lambda: self._revisions.stamp(self._spec["baseline"]))
            self._report.say("Stamped the baseline %s" % self._spec["baseline"])
        try:
            if self._pending:
                self._patiently(lambda: self._revisions.upgrade(self._on_step))
        finally:
            self._handle_invalid_indexes()
        seen = self._look()
        write_claim(connection, seen.schema, seen.table, self._spec["owner"])
        self._report.set(
            outcome="Succeeded",
            reason="UpToDate",
            message="The database is at %s." % (", ".join(seen.current) or "its base"),
            state="UpToDate",
            applied=[step["revision"] for step in self._pending],
            current=list(seen.current),
            pending=[],
            pendingCount=0,
        )

    def _compare_with_plan(self, seen: Any) -> None:
        import hashlib

        sql = self._revisions.plan(seen.current or tuple(filter(None, [self._spec.get("baseline")])))
        if hashlib.sha256(sql.encode("utf-8", "replace")).hexdigest() != self._spec["planSha256"]:
            raise Stop("PlanChanged", "The database or the image has moved since the plan was made.", outcome="Refused")

    def _on_step(self, revision: str) -> None:
        self._step = revision
        self._statement = None
        self._report.say("Running the revision %s" % revision)

    def _handle_invalid_indexes(self) -> None:
        """On a connection of its own: the run's may be lost. What fails here must not hide what failed before."""
        from database import execute, invalid_indexes, quoted
        from sqlalchemy.exc import DBAPIError

        try:
            with self._database.connect(time.monotonic() + 1) as connection:
                found = invalid_indexes(connection)
                if self._spec["invalidIndexes"] == "Drop":
                    for schema, name in found:
                        execute(connection, "DROP INDEX CONCURRENTLY IF EXISTS %s" % quoted(schema, name))
                        self._report.say("Dropped the invalid index %s.%s" % (schema, name))
                names = ["%s.%s" % pair for pair in found]
                self._report.set(
                    invalidIndexes=names or None,
                    invalidIndexesDropped=(self._spec["invalidIndexes"] == "Drop" and bool(names)) or None,
                )
        except (Stop, DBAPIError) as error:
            self._report.say("Invalid indexes could not be looked for: %s" % error)

    def _watch_engines(self) -> None:
        """Every connection that env.py opens gets our lock_timeout, and the statement that fails is kept."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        milliseconds = int(self._spec["lockTimeoutSeconds"] * 1000)

        def on_connect(connection: Any, record: Any) -> None:
            # SET, as a pooler refuses options at start-up; committed, as a rollback would undo it.
            cursor = connection.cursor()
            cursor.execute("SET lock_timeout = %d" % milliseconds)
            cursor.close()
            connection.commit()

        def on_error(context: Any) -> None:
            self._statement = context.statement or self._statement

        event.listen(Engine, "connect", on_connect)
        event.listen(Engine, "handle_error", on_error)


if __name__ == "__main__":
    sys.exit(main())
