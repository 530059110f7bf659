"""One run: under the lock, from what is there to what is asked."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from .report import Report, Stop

MAX_TRIES = 8  # of one run, for what may pass: together some minutes with the pauses below
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


def run(spec: Dict[str, Any], url: str, report: Report) -> None:
    """Do what `spec` says and report it; raises Stop at any other end than success."""
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
    from .errors import explain, traced, unexpected

    try:
        Migrator(spec, url, report).run()
    except Stop:
        raise
    except (Exception, SystemExit) as error:
        report.say(traced(error))
        raise explain(error) or unexpected(error) from None


class Migrator:
    """Tries until it is done, or until what is in the way will not pass."""

    def __init__(self, spec: Dict[str, Any], url: str, report: Report) -> None:
        from .database import Database, own_url
        from .locking import waiting_name
        from .script import Revisions
        from .sessions import Sessions

        self._spec = spec
        self._report = report
        self._deadline = time.monotonic() + spec["deadlineSeconds"]
        self._name = waiting_name(spec["owner"])
        self._sessions = Sessions(
            self._name, lock_timeout_seconds=spec["lockTimeoutSeconds"], read_only=spec["phase"] == "plan"
        )
        self._database = Database(own_url(url), self._name, report)
        self._revisions = Revisions(dict(spec["alembic"], target=spec["target"]), url, self._sessions.forget)
        self._waited = 0.0
        self._applied: List[str] = []
        self._pending: List[Dict[str, str]] = []
        self._introduced = False
        self._target: Tuple[str, ...] = ()
        self._made_by_others = False
        self._left_behind = ""

    def run(self) -> None:
        for number in range(1, MAX_TRIES + 1):
            self._report.set(tries=number)
            try:
                return self._try(number)
            except Exception as error:
                stop = self._explained(error)
                pause = min(FIRST_PAUSE_SECONDS * 2 ** (number - 1), LONGEST_PAUSE_SECONDS)
                pause *= random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                late = number == MAX_TRIES or time.monotonic() + pause > self._deadline
                if late or not stop.again:
                    self._report.say(str(error))
                    raise stop from None
                self._report.progress("trying again in %.0f s after: %s" % (pause, stop))
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _explained(self, error: Exception) -> Stop:
        """The end that an error stands for; one that nothing explains is raised as it is."""
        from .errors import DUPLICATE, explain
        from .script import not_plannable

        if isinstance(error, Stop):
            return error
        stop = explain(error)
        if stop is None:
            raise error
        state = stop.fields.get("sqlstate")
        if state == "25006" and self._spec["phase"] == "plan":
            return not_plannable("env.py changes the database, which planning must not (%s)" % stop)
        if state in DUPLICATE and self._made_by_others:
            advice = "The database has tables, and no revision that is recorded: set spec.baseline to the one it is at."
            stop = Stop("Unversioned", "%s %s" % (str(stop).partition(". ")[0] + ".", advice), state="Unversioned")
            stop.fields["sqlstate"] = state
        stop.fields["statement"] = self._sessions.statement
        stop.args = (str(stop) + self._left_behind,)
        return stop

    def _try(self, number: int) -> None:
        """From connecting to the end: without its lock no try goes on."""
        from .database import server_version

        self._sessions.name = self._name
        self._sessions.statement = None
        self._left_behind = ""
        self._report.set(revision=None)
        limit = min(self._deadline, time.monotonic() + self._spec["connectWaitSeconds"])
        with self._database.connect(limit) as connection:
            self._report.set(server=server_version(connection))
            self._database.refuse_transaction_pooler(connection, limit)
            self._take_lock(connection)
            seen = self._revisions.look()  # another run may have ended meanwhile
            self._refuse_foreign(connection, seen)
            self._judge(seen)
            if self._spec["phase"] == "plan":
                self._plan(connection, seen)
            else:
                self._apply(connection, seen, number)

    def _take_lock(self, connection: Any) -> None:
        """Have the database for ourselves: the lock, and the end of what a dead run left behind."""
        from .database import scalar
        from .locking import end_strays, lock_key, take_lock, working_name

        seen = self._revisions.look()
        key = lock_key(scalar(connection, "SELECT current_database()"), seen.schema, seen.table)
        self._waited += take_lock(connection, key, self._spec["lockWaitSeconds"], self._report.progress)
        self._report.set(lockWaitSeconds=round(self._waited, 3))
        end_strays(connection, key, self._report.progress)
        self._sessions.name = working_name(key, self._spec["owner"])

    def _refuse_foreign(self, connection: Any, seen: Any) -> None:
        from .locking import read_claim

        claim = read_claim(connection, seen.schema, seen.table)
        ours = (self._spec["owner"]["uid"], self._spec.get("takeOverFrom"))
        if claim and claim.get("uid") not in ours and not self._spec["takeOver"]:
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
        self._report.set(current=list(seen.current), heads=list(revisions.heads), versionTable=seen.named)
        if not self._introduced:
            self._report.set(lineage=self._report.frame("LINEAGE", "\n".join(revisions.lineage())))
            self._report.set(**{"from": list(seen.current)})
            self._introduced = True
        self._target = revisions.resolve()
        self._report.set(target=list(self._target))
        unknown = revisions.unknown(seen.current)
        if unknown:
            raise Stop(
                "RevisionUnknown",
                "The database is at %s, which this image does not carry." % ", ".join(unknown),
                outcome="Refused",
                state="RevisionUnknown",
            )
        baseline = self._baseline(seen)
        start = revisions.baseline(baseline) if baseline else seen.current
        self._tell_pending(seen, start)

    def _baseline(self, seen: Any) -> Optional[str]:
        return None if seen.current else self._spec.get("baseline")

    def _tell_pending(self, seen: Any, start: Tuple[str, ...]) -> None:
        steps = [step.revision for step in self._revisions.steps(start)]
        self._pending = [{"revision": r.revision, "message": (r.doc or "")[:80]} for r in steps]
        unversioned = not seen.current and (steps or start)
        state = "Unversioned" if unversioned else "Behind" if steps else self._rest(seen)[0]
        self._report.set(state=state, pending=self._pending, pendingCount=len(steps))

    def _rest(self, seen: Any) -> Tuple[str, str]:
        """State and message where nothing is pending."""
        at = ", ".join(seen.current) or "its base"
        if self._revisions.is_beyond(seen.current, self._target):
            target = ", ".join(self._target)
            return "Ahead", "The database is at %s, beyond the target %s; nothing is downgraded." % (at, target)
        return "UpToDate", "The database is at %s." % at

    def _plan(self, connection: Any, seen: Any) -> None:
        from .checks import live_checks

        baseline = self._baseline(seen)
        if not self._pending and not baseline:
            self._report.set(outcome="Planned", reason="NothingToDo", message=self._rest(seen)[1])
            return
        sql = self._revisions.plan(seen.current, baseline)
        self._report.set(plan=self._report.frame("PLAN", sql), checks=live_checks(connection, sql))
        stamp = "The baseline %s will be stamped; " % baseline if baseline else ""
        message = "%s%d revisions are pending." % (stamp, len(self._pending))
        self._report.set(outcome="Planned", reason="Planned", message=message)

    def _apply(self, connection: Any, seen: Any, number: int) -> None:
        from .application import Application

        baseline = self._baseline(seen)
        if self._spec.get("planSha256"):
            self._compare_with_plan(seen, baseline)
        application = Application(self._spec, self._revisions, self._report, connection)
        strange = application.begin(seen)
        self._made_by_others = strange and number == 1  # a second try meets what the first one made
        try:
            application.apply(baseline, pending=bool(self._pending))
        except (Exception, SystemExit):
            self._tell_how_far(application.end_badly())
            self._left_behind = application.left_behind
            raise
        now = application.end()
        self._applied += [step["revision"] for step in self._pending]
        state, message = self._rest(now)
        self._report.set(
            outcome="Succeeded",
            reason=state,
            message=message + application.left_behind,
            state=state,
            applied=self._applied,
            current=list(now.current),
            revision=None,
            pending=[],
            pendingCount=0,
        )

    def _tell_how_far(self, seen: Any) -> None:
        """Of a run that failed midway, what it did before; what is there without it was made by others."""
        if seen is None:
            return
        left = {step.revision.revision for step in self._revisions.steps(seen.current)} if seen.current else None
        if left is not None:
            self._made_by_others = False
            self._applied += [s["revision"] for s in self._pending if s["revision"] not in left]
            self._report.set(current=list(seen.current), applied=self._applied)
            self._tell_pending(seen, seen.current)

    def _compare_with_plan(self, seen: Any, baseline: Optional[str]) -> None:
        self._report.set(planSha256=self._spec["planSha256"])
        sql = self._revisions.plan(seen.current, baseline)
        if hashlib.sha256(sql.encode("utf-8", "replace")).hexdigest() != self._spec["planSha256"]:
            raise Stop("PlanChanged", "The database or the image has moved since the plan was made.", outcome="Refused")
