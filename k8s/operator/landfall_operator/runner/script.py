"""Alembic, as the application has set it up: its config, its env.py, its revisions."""

from __future__ import annotations

import argparse
import io
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from database import for_alembic
from report import Stop


class Seen(NamedTuple):
    """What the application's own env.py showed of the database."""

    current: Tuple[str, ...]
    table: str
    schema: Optional[str]


class Revisions:
    """The revisions of the image, and the way from the database's to the target."""

    def __init__(self, spec: Dict[str, Any], url: str) -> None:
        self._config = _config(spec, url)
        self.target: str = spec["target"]
        try:
            self.script = ScriptDirectory.from_config(self._config)
            self.heads: Tuple[str, ...] = tuple(self.script.get_heads())
        except CommandError as error:
            raise Stop("RevisionsUnusable", "Alembic cannot read the revisions: %s." % error) from None

    def lineage(self) -> List[str]:
        """Each revision with its parents, newest first: `rev<down,down`."""
        return ["%s<%s" % (r.revision, ",".join(r._all_down_revisions)) for r in self.script.walk_revisions()]

    def look(self) -> Seen:
        """Read the database's revisions through env.py, which alone knows the version table's name and schema."""
        seen: List[Seen] = []

        def fn(current: Any, context: Any) -> List[Any]:
            seen.append(Seen(tuple(current), context.version_table, context.version_table_schema))
            return []

        self._run_env(fn, dont_mutate=True)
        if not seen:
            raise Stop("EnvSilent", "env.py never called context.run_migrations(), so nothing can be read or run.")
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
                "TargetUnknown", "The image has no target %s: %s." % (self.target, error), outcome="Refused"
            ) from None
        return tuple(r.revision for r in found)

    def unknown(self, current: Sequence[str]) -> List[str]:
        known = {r.revision for r in self.script.walk_revisions()}
        return [revision for revision in current if revision not in known]

    def steps(self, current: Sequence[str]) -> List[Any]:
        """What an upgrade would run, in order."""
        script: Any = self.script  # its annotation knows of one revision only
        return list(script._upgrade_revs(self.target, tuple(current)))

    def plan(self, current: Sequence[str]) -> str:
        """The upgrade as SQL; raises Stop where env.py or a revision needs a connection for it."""
        if len(current) > 1:
            raise Stop(
                "NotPlannable", "Alembic writes no SQL for a database with several revisions.", outcome="Planned"
            )
        buffer = io.StringIO()
        self._config.output_buffer = buffer
        start = current[0] + ":" if current else ""
        try:
            command.upgrade(self._config, start + self.target, sql=True)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise Stop(
                "NotPlannable",
                "The revisions cannot be written as SQL: %s: %s." % (type(error).__name__, str(error).split("\n")[0]),
                outcome="Planned",
            ) from None
        return buffer.getvalue()

    def stamp(self, revision: str) -> None:
        command.stamp(self._config, revision)

    def upgrade(self, on_step: Callable[[str], None]) -> None:
        """Run what is pending; `on_step` is told each revision before it starts."""

        def fn(current: Any, context: Any) -> List[Any]:
            steps = self.steps(current)
            for step in steps:
                step.migration_fn = _announced(step.migration_fn, step.revision.revision, on_step)
            return steps

        self._run_env(fn, destination_rev=self.target)

    def _run_env(self, fn: Callable[[Any, Any], List[Any]], **options: Any) -> None:
        with EnvironmentContext(self._config, self.script, fn=fn, as_sql=False, **options):
            self.script.run_env()


def _announced(function: Callable[..., Any], revision: str, on_step: Callable[[str], None]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        on_step(revision)
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
    if not config.get_main_option("script_location"):
        raise Stop("ConfigMissing", "%s has no script_location in its section [%s]." % (path, spec["section"]))
    if spec.get("versionLocations"):
        config.set_main_option("version_locations", os.pathsep.join(spec["versionLocations"]))
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_path_separator", "os")
    # Into the config in memory only; ConfigParser takes % for the start of an interpolation.
    config.set_main_option("sqlalchemy.url", for_alembic(url).replace("%", "%%"))
    config.cmd_opts = argparse.Namespace(x=list(spec.get("x") or []))
    return config
