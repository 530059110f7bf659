"""`landfall`: what people and containers run. Exit codes: 0 done, 1 failed or not ready, 2 wrong usage or settings."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NoReturn, cast

import typer

from app.db.session import DatabaseSessionManager, why
from app.errors import (
    DatabaseUnavailableError,
    FieldProblem,
    ImportInvalidError,
    LandfallError,
    RequestInvalidError,
    RequestUnreadableError,
    SettingsError,
    StorageUnavailableError,
)
from app.settings import Environment, Settings, load_settings
from app.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from app.artifacts.storage import ArtifactStorage

app = typer.Typer(help="Landfall: a field-operations API.", no_args_is_help=True, add_completion=False)
users = typer.Typer(help="Users.", no_args_is_help=True)
artifacts = typer.Typer(help="Artifacts.", no_args_is_help=True)
sites = typer.Typer(help="Sites.", no_args_is_help=True)
app.add_typer(users, name="users")
app.add_typer(artifacts, name="artifacts")
app.add_typer(sites, name="sites")

SEQUENCE_SUFFIXES = (".geojsonl", ".geojsons", ".geojsonseq", ".ndjson", ".jsonl")
FAILED = 1
UNUSABLE = 2
# For so long a thread that computes holds up the others, which are the event loop or wait for PostgreSQL. With Python's
# own 5 ms an import takes a quarter longer, since one of its threads reads while the other has rows written.
SWITCH_SECONDS = 0.0005

ADVICE = {
    "42P01": "Run `landfall migrate` first.",  # there is no such table
    "55P03": "Something else uses the table: run it again when that has ended.",  # lock timeout
}


@app.callback()
def _start() -> None:
    sys.setswitchinterval(SWITCH_SECONDS)


@app.command()
def serve(
    *,
    migrate_first: Annotated[bool, typer.Option("--migrate", help="Migrate the database first.")] = False,
    seed_first: Annotated[bool, typer.Option("--seed", help="Add the demonstration data first.")] = False,
) -> None:
    """Serve the API until it is told to stop."""
    settings = _settings()
    with _explained(settings):
        from app.server import bind  # FastAPI takes half a second to import
        from app.server import serve as run

        listener = bind(settings.listen)
        if settings.environment is not Environment.PRODUCTION or migrate_first:
            with DatabaseSessionManager(settings.database, announce=False) as database:
                database.connect(retries=settings.connect_retries)
        if migrate_first:
            _migrate(settings, "head")
        if seed_first:
            _seed(settings)
        run(settings, listener, show_login=seed_first)


@app.command()
def migrate(target: Annotated[str, typer.Argument(help="A revision; the newest when left out.")] = "head") -> None:
    """Bring the database up to a revision, and say where it stands then."""
    settings = _settings()
    if not target:
        _fail("migrate: the target is empty; name a revision, or leave it out for the newest", code=UNUSABLE)
    with _explained(settings):
        _migrate(settings, target)
        typer.echo(f"schema {_schema(settings)}")


@app.command()
def check() -> None:
    """Look at the settings, database, storage and schema: what /readyz sees."""
    settings = _settings()
    import asyncio

    from app.db.schema_state import SchemaInspector
    from app.services.health import HealthService, checks_of

    logging.getLogger("app.services.health").setLevel(logging.ERROR)  # what it would log is printed below
    typer.echo(f"settings   ok         {settings.environment}")
    with _explained(settings), DatabaseSessionManager(settings.database, announce=False) as database:
        health = HealthService(checks_of(database, _storage(settings), SchemaInspector()))
        report = asyncio.run(health.report())
    for result in report.checks:
        typer.echo(f"{result.name:10} {'ok' if result.ready else 'not ready':10} {result.detail}")
    if not report.ready:
        raise typer.Exit(FAILED)


@app.command()
def seed() -> None:
    """Add the demonstration data, unless it is there; refused in production."""
    settings = _settings()
    with _explained(settings):
        added = _seed(settings)
    typer.echo(f"{added} rows added")


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from app.main import create_app

    settings = _settings()
    typer.echo(json.dumps(create_app(settings).openapi(), indent=2))


@users.command("create")
def create_user(
    email: str,
    role: Annotated[str, typer.Option(help="viewer, editor or admin")] = "viewer",
    *,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when left out.")
    ],
) -> None:
    """Create a user."""
    from pydantic import ValidationError

    from app.models import UserRole
    from app.schemas.user import UserCreate
    from app.services.changes import Actor
    from app.services.users import create_user as create

    settings = _settings()
    try:
        body = UserCreate.model_validate({"email": email, "role": role, "password": password})
    except ValidationError as error:
        lines = (f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors(include_input=False))
        _fail("; ".join(lines), code=UNUSABLE)
    with _explained(settings), DatabaseSessionManager(settings.database) as database, database.session() as session:
        made = create(session, body, actor=Actor(id=None, role=UserRole.ADMIN), rounds=settings.auth.bcrypt_rounds)
    typer.echo(f"created {body.email} ({body.role}) with the id {made.id}")


@sites.callback()
def sites_group() -> None:
    """Keep `import` a command of its own: typer makes a group's only command the group."""


@sites.command("import")
def import_sites(
    file: Annotated[str, typer.Argument(help="GeoJSON, by .gz compressed; - for standard input.")],
    owner: Annotated[str, typer.Option(help="E-mail address of the user whose sites they are to be.")],
    *,
    sequence: Annotated[
        bool, typer.Option("--sequence", help="One feature a line (or RFC 8142), as in .geojsonl and .geojsons.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and write nothing.")] = False,
) -> None:
    """Import sites from GeoJSON: all, or none where one is wrong; those that are there are changed."""
    from app.models import UserRole
    from app.queries.users import find_by_email
    from app.services import site_imports
    from app.services.changes import Actor

    settings = _settings()
    sequence = sequence or file.removesuffix(".gz").endswith(SEQUENCE_SUFFIXES)
    with (
        _explained(settings),
        DatabaseSessionManager(settings.database) as database,
        database.session() as session,
        _file_explained(file, sequence=sequence),
        _opened(file) as source,
    ):
        with session.begin():
            user = find_by_email(session, owner.lower())
        if user is None:
            _fail(f"{owner}: there is no user with this address; `landfall users create` makes one", code=FAILED)
        report = site_imports.import_sites(
            session,
            source,
            sequence=sequence,
            actor=Actor(id=None, role=UserRole.ADMIN),
            owner_id=user.id,
            language="en",
            settings=settings.transfer,
            dry_run=dry_run,
        )
    counts = f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged"
    typer.echo(f"{counts}; nothing was written" if dry_run else counts)


@contextmanager
def _file_explained(file: str, *, sequence: bool) -> Iterator[None]:
    """Every fault of a file that is imported is a line; the last one says what became of it, and what to do."""
    from app.messages import fill

    def words(problem: FieldProblem) -> str:
        return fill(problem.message, params=problem.params, language="en")

    told = ""
    try:
        yield
    except ImportInvalidError as error:
        for problem in error.errors:
            place = ", ".join(f"{name} {value}" for name, value in problem.members.items())
            where = ".".join(map(str, problem.loc[3:]))
            typer.echo(": ".join(filter(None, (place, where, words(problem)))), err=True)
        read_as = "a feature a line" if sequence else "a FeatureCollection"
        counts = "features that are wrong: {total}; above are {limit} faults at most".format(**error.params)
        told = f"nothing was imported. Read as {read_as}, {counts}. Mend them, and import it again."
    except RequestInvalidError as error:
        is_other = any(problem.type == "not_a_feature_collection" for problem in error.errors)
        told = " ".join([*map(words, error.errors), *(["For a feature a line, say --sequence."] if is_other else [])])
    except RequestUnreadableError as error:
        told = f"it cannot be unpacked: {why(error)}. Is it whole? Only what gzip has compressed may end in .gz."
    except OSError as error:
        told = f"{error.strerror}. Name a file that this user may read."
    if told:
        _fail(f"{file}: {told}", code=FAILED)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """A file to read from, with a bar that shows how far it is read."""
    import gzip

    from rich.console import Console
    from rich.progress import DownloadColumn, Progress

    columns = (*Progress.get_default_columns(), DownloadColumn())
    with (
        sys.stdin.buffer if file == "-" else Path(file).open("rb") as raw,
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        if file == "-":
            yield raw  # of no known length
            return
        watched = bar.wrap_file(raw, total=Path(file).stat().st_size, description="Importing")
        yield cast("BinaryIO", gzip.GzipFile(fileobj=watched) if file.endswith(".gz") else watched)


@artifacts.command("reap")
def reap() -> None:
    """Remove abandoned uploads, finish verifications that lost their process, and purge what has expired."""
    from rich.console import Console
    from rich.progress import Progress

    from app.models import UserRole
    from app.services.artifacts import ArtifactService
    from app.services.auth import purge_login_attempts
    from app.services.changes import Actor, purge_idempotency_keys
    from app.services.export_jobs import ExportJobs

    settings = _settings()
    service = ArtifactService(_storage(settings), settings.artifacts)
    with (
        _explained(settings),
        DatabaseSessionManager(settings.database) as database,
        database.session() as session,
        Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        # First, since it needs no store.
        keys, logins = purge_idempotency_keys(session), purge_login_attempts(session, settings=settings.auth)
        jobs = ExportJobs(_storage(settings), settings.exports, url_expires=settings.artifacts.url_expires_seconds)
        actor = Actor(id=None, role=UserRole.ADMIN)
        exports = jobs.reap(session, actor=actor)
        task = bar.add_task("Reaping", total=None)
        result = service.reap(
            session,
            actor=actor,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(f"{result.removed} removed, {result.verified} verified, {result.failed} failed")
    typer.echo(f"{keys} idempotency keys and {logins} failed logins purged")
    typer.echo(f"{exports} exports removed")
    if result.failed:
        raise typer.Exit(FAILED)


def _settings() -> Settings:
    try:
        settings = load_settings()
    except SettingsError as error:
        _fail(str(error), code=UNUSABLE)
    configure_logging(settings)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # a line for each of its parts
    return settings


def _storage(settings: Settings) -> ArtifactStorage:
    from app.artifacts.storage_factory import create_storage
    from app.services.auth import Authenticator

    key = Authenticator(settings.auth).derive_key("artifact store")
    return create_storage(settings, signing_key=key)


def _migrate(settings: Settings, target: str) -> None:
    from alembic.util import CommandError

    from app.db.migrate import upgrade

    try:
        upgrade(settings, target=target)
    except CommandError as error:
        _fail(f"migration: {error}", code=FAILED)


def _schema(settings: Settings) -> str:
    from app.db.schema_state import SchemaInspector
    from app.services.health import advise

    with (
        DatabaseSessionManager(settings.database, announce=False) as database,
        database.session(read_only=True) as session,
        session.begin(),
    ):
        return advise(SchemaInspector().status(session))


def _seed(settings: Settings) -> int:
    from app.seed import seed as add

    with DatabaseSessionManager(settings.database, announce=False) as database, database.session() as session:
        return add(settings, session, _storage(settings))


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """Every failure that we know of ends in one line."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except SettingsError as error:
        _fail(str(error), code=UNUSABLE)
    except (DatabaseUnavailableError, DBAPIError) as error:
        _fail(_database_fault(settings, error), code=FAILED)
    except StorageUnavailableError as error:
        _fail(f"artifact store: {why(error)}. Are the ARTIFACTS_ settings right, and is the store up?", code=FAILED)
    except LandfallError as error:
        _fail(f"{error} ({why(error)})" if error.__cause__ else str(error), code=FAILED)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}. Name a path that this user may write.", code=FAILED)


def _database_fault(settings: Settings, error: Exception) -> str:
    """What happened, to which database, and what to do."""
    reason = why(error)
    code = getattr(getattr(error.__cause__ or error, "orig", None), "pgcode", None)
    if code or reason.startswith("no such table"):
        advice = ADVICE.get(code or "42P01", "")
    elif settings.database.url is None:
        advice = "DATABASE_SQLITE_PATH must be a SQLite file, or none yet, where you may write and there is space."
    else:
        advice = "Is DATABASE_URL right, and the server up?"
    address = settings.database.sqlalchemy_url().render_as_string(hide_password=True)
    return f"database {address}: {reason}. {advice}".rstrip()


def _fail(message: str, *, code: int) -> NoReturn:
    typer.echo(f"landfall: {message}", err=True)
    raise typer.Exit(code)
