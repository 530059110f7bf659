"""The part of a run that changes the database, and what is told of it afterwards."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from sqlalchemy.exc import DBAPIError

from .database import has_objects
from .errors import explain
from .indexes import Names, drop, invalid_indexes
from .locking import check_lock, write_claim
from .report import Report


class Application:
    """`connection` is the one that holds the lock."""

    def __init__(self, spec: Dict[str, Any], revisions: Any, report: Report, connection: Any) -> None:
        self._spec = spec
        self._revisions = revisions
        self._report = report
        self._connection = connection
        self._dropped: List[str] = []
        self.left_behind = ""

    def begin(self, seen: Any) -> bool:
        """Claim what is there and clear the way; True where tables stand that no revision accounts for."""
        self._claim(seen)
        if self._spec["invalidIndexes"] == "Drop":
            # One that is left would satisfy the IF NOT EXISTS that is to build it again.
            self._drop(invalid_indexes(self._connection))
        return not seen.current and has_objects(self._connection, seen.schema, seen.table)

    def apply(self, baseline: Optional[str], *, pending: bool) -> None:
        check_lock(self._connection)
        if baseline:
            self._report.progress("stamping the baseline %s" % baseline)
            self._revisions.stamp(baseline)
        if pending:
            self._revisions.upgrade(self._on_step)

    def end(self) -> Any:
        """After success: the state, the claim, and the indexes that are left invalid; returns what is there."""
        seen = self._revisions.look()
        self._claim(seen)
        self._tell_indexes()
        return seen

    def end_badly(self) -> Any:
        """The same after a failure, as far as it can be done: what fails here must not hide what failed before."""
        seen = None
        try:
            self._tell_indexes()
            seen = self._revisions.look()
            self._claim(seen)
        except Exception as error:
            self._report.say("The state after the failure is not known in full: %s" % (explain(error) or error))
        return seen

    def _on_step(self, revision: str, number: int, count: int) -> None:
        self._report.set(revision=revision)
        self._report.progress("running the revision %s (%d of %d)" % (revision, number, count))
        check_lock(self._connection)

    def _claim(self, seen: Any) -> None:
        try:
            write_claim(self._connection, seen.schema, seen.table, self._spec["owner"])
        except DBAPIError as error:
            stop = explain(error)
            if stop is None or stop.fields.get("sqlstate") not in ("42501", "55P03"):
                raise
            self._report.say("The claim on the database could not be written: %s" % stop)

    def _tell_indexes(self) -> None:
        found = invalid_indexes(self._connection)
        if found and self._spec["invalidIndexes"] == "Drop":
            try:
                self._drop(found)
                found = []
            except DBAPIError as error:
                self._report.say("Invalid indexes could not be dropped: %s" % explain(error))
        if found:
            self.left_behind = " Left INVALID: %s; drop them, or set spec.policy.invalidIndexes: Drop." % ", ".join(
                _names(found)
            )
        self._report.set(
            invalidIndexes=(_names(found) or self._dropped) or None,
            invalidIndexesDropped=(bool(self._dropped) and not found) or None,
        )

    def _drop(self, found: Names) -> None:
        for pair in found:
            name = _names([pair])[0]
            self._report.progress("dropping the invalid index %s" % name)
            drop(self._connection, [pair])
            self._dropped.append(name)


def _names(found: Names) -> List[str]:
    return ["%s.%s" % pair for pair in found]
