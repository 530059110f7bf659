"""Alembic, as the application has set it up: its config, its env.py, its revisions."""

from __future__ import annotations

import argparse
import io
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from .database import for_alembic, quoted
from .report import Stop

# The version table may be anywhere on the search_path that env.py sets.
WHERE = (
    "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = to_regclass(CAST(:name AS text))"
)


OnStep = Callable[[str, int, int], None]  # the revision, its number, of how many


class Seen(NamedTuple):
    """What the application's own env.py showed of the database."""

    current: Tuple[str, ...]
    table: str  # as env.py names it
    schema: str  # where it is, or would be made
    exists: bool
    named: str  # as Alembic writes it into SQL


class Revisions:
    """The revisions of the image, and the way from the database's to the target."""

    def __init__(self, spec: Dict[str, Any], url: str, after_env: Callable[[], None]) -> None:
        self._config = _config(spec, url)
        self._after_env = after_env
        self.target: str = spec["target"]
        try:
            self.script = ScriptDirectory.from_config(self._config)
            self.heads: Tuple[str, ...] = tuple(sorted(self.script.get_heads()))
        except CommandError as error:
            raise Stop(
                "RevisionsUnusable",
                "Alembic cannot read the revisions: %s. Look at spec.alembic and at the image's files."
                % str(error).rstrip("."),
            ) from None

    def lineage(self) -> List[str]:
        """Each revision with its parents, newest first: `rev<down,down`."""
        return ["%s<%s" % (r.revision, ",".join(r._all_down_revisions)) for r in self.script.walk_revisions()]

    def look(self) -> Seen:
        """Read the database's revisions through env.py, which alone knows the version table's name and schema."""
        seen: List[Seen] = []

        def fn(current: Any, context: Any) -> List[Any]:
            seen.append(_seen(tuple(sorted(current)), context))
            return []

        self._run_env(fn, dont_mutate=True)
        if not seen:
            raise Stop(
                "EnvSilent",
                "env.py never called context.run_migrations(), so nothing can be read or run: call it.",
            )
        return seen[-1]

    def resolve(self) -> Tuple[str, ...]:
        """The target's revisions; raises Stop for one that the image does not have."""
        if self.target == "head" and len(self.heads) > 1:
            raise Stop(
                "MultipleHeads",
                "The image has %d heads: %s. Merge them (alembic merge), or set spec.target to heads or to name@head."
                % (len(self.heads), ", ".join(self.heads)),
                outcome="Refused",
                state="MultipleHeads",
            )
        try:
            found = self.script.get_revisions(self.target)
        except CommandError as error:
            raise Stop(
                "TargetUnknown",
                "The image has no target %s: %s. Correct spec.target, or deploy the image that has it."
                % (self.target, str(error).rstrip(".")),
                outcome="Refused",
            ) from None
        return tuple(sorted(r.revision for r in found))

    def baseline(self, name: str) -> Tuple[str, ...]:
        """The revisions that a baseline stands for; raises Stop for one that the image does not have."""
        try:
            found = self.script.get_revisions(name)
        except CommandError:
            found = ()
        if not found:
            raise Stop(
                "BaselineUnknown",
                "The image has no revision %s to stamp. Set spec.baseline to one that it has: its heads are %s."
                % (name, ", ".join(self.heads)),
                outcome="Refused",
            )
        return tuple(sorted(r.revision for r in found))

    def unknown(self, current: Sequence[str]) -> List[str]:
        known = {r.revision for r in self.script.walk_revisions()}
        return [revision for revision in current if revision not in known]

    def is_beyond(self, current: Sequence[str], target: Sequence[str]) -> bool:
        """Whether the database has gone past a target; one that is only depended upon is not passed by that."""
        script: Any = self.script  # Alembic has no public name for the revisions below, dependencies left out
        passed: Set[str] = set()
        below = list(current)
        while below:
            fresh = set(script.get_revision(below.pop())._versioned_down_revisions) - passed
            passed |= fresh
            below += fresh
        return any(revision in passed for revision in target)

    def steps(self, current: Sequence[str]) -> List[Any]:
        """What an upgrade would run, in order; raises Stop where the target lies behind."""
        script: Any = self.script  # its annotation knows of one revision only
        try:
            return list(script._upgrade_revs(self.target, tuple(current)))
        except CommandError as error:
            raise Stop(
                "TargetUnreachable",
                "No upgrade leads from %s to %s: %s. Nothing is downgraded; correct spec.target."
                % (", ".join(current) or "the base", self.target, str(error).rstrip(".")),
                outcome="Refused",
            ) from None

    def plan(self, current: Sequence[str], baseline: Optional[str]) -> str:
        """What an apply would run, as SQL; raises Stop where env.py or a revision needs a connection for it."""
        buffer = io.StringIO()
        self._config.output_buffer = buffer
        try:
            if baseline:
                self.stamp(baseline, as_sql=True)
                current = self.baseline(baseline)
            options = {"starting_rev": list(current)} if current else {}
            self._run_env(lambda heads, context: self.steps(heads), as_sql=True, destination_rev=self.target, **options)
        except Exception as error:
            raise not_plannable("%s: %s" % (type(error).__name__, str(error).split("\n")[0])) from None
        return buffer.getvalue()

    def stamp(self, revision: str, *, as_sql: bool = False) -> None:
        command.stamp(self._config, revision, sql=as_sql)

    def upgrade(self, on_step: OnStep) -> None:
        """Run what is pending; `on_step` is told each revision before it starts."""

        def fn(current: Any, context: Any) -> List[Any]:
            steps = self.steps(current)
            for number, step in enumerate(steps, start=1):
                place = (step.revision.revision, number, len(steps))
                step.migration_fn = _announced(step.migration_fn, on_step, place)
            return steps

        self._run_env(fn, destination_rev=self.target)

    def _run_env(self, fn: Callable[[Any, Any], List[Any]], *, as_sql: bool = False, **options: Any) -> None:
        try:
            with EnvironmentContext(self._config, self.script, fn=fn, as_sql=as_sql, **options):
                self.script.run_env()
        finally:
            self._after_env()


def not_plannable(why: str) -> Stop:
    return Stop("NotPlannable", "The revisions cannot be written as SQL: %s." % why.rstrip("."), outcome="Planned")


def _seen(current: Tuple[str, ...], context: Any) -> Seen:
    table, configured = context.version_table, context.version_table_schema
    connection = context.connection
    schema = connection.execute(sa.text(WHERE), {"name": quoted(configured, table)}).scalar()
    made_in = configured or connection.execute(sa.text("SELECT current_schema()")).scalar()
    named = "%s.%s" % (configured, table) if configured else table
    return Seen(current, table, str(schema or made_in or ""), schema is not None, named)


def _announced(function: Callable[..., Any], on_step: OnStep, place: Tuple[str, int, int]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        on_step(*place)
        return function(*args, **kwargs)

    return run


def _config(spec: Dict[str, Any], url: str) -> Config:
    path = spec["config"]
    if os.path.isfile(path):
        config = Config(path, ini_section=spec["section"])
    elif spec.get("scriptLocation"):
        config = Config(ini_section=spec["section"])
    else:
        found = [name for name in sorted(os.listdir(".")) if name.endswith(".ini")]
        raise Stop(
            "ConfigMissing",
            "There is no %s in %s%s. Set spec.alembic.config or workingDir, or scriptLocation where there is none."
            % (path, os.getcwd(), " (there is: %s)" % ", ".join(found) if found else ""),
        )
    if spec.get("scriptLocation"):
        config.set_main_option("script_location", spec["scriptLocation"])
    try:
        location = config.get_main_option("script_location")
    except CommandError:  # no such section
        location = None
    if not location:
        message = "%s has no script_location in a section [%s]. Correct spec.alembic.config or section."
        raise Stop("ConfigMissing", message % (path, spec["section"]))
    if spec.get("versionLocations"):
        config.set_main_option("version_locations", os.pathsep.join(spec["versionLocations"]))
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_path_separator", "os")
    # Into the config in memory only; ConfigParser takes % for the start of an interpolation.
    config.set_main_option("sqlalchemy.url", for_alembic(url).replace("%", "%%"))
    config.cmd_opts = argparse.Namespace(x=list(spec.get("x") or []))
    return config
