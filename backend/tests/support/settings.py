"""Settings for tests, built explicitly: nothing is read from the environment of whoever runs them."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from app.settings import (
    AdmissionSettings,
    ArtifactSettings,
    AuthSettings,
    DatabaseSettings,
    Environment,
    ListenSettings,
    LogSettings,
    OtelSettings,
    Settings,
)
from tests.support.object_store import REGION, ObjectStore
from tests.support.secrets import SIGNING_KEY


def make_settings(
    directory: Path, *, database_url: str | None = None, artifacts: ArtifactSettings | None = None
) -> Settings:
    """Settings on PostgreSQL by `database_url`, else on SQLite, with all files in `directory`.

    For another value, copy: `settings.model_copy(update={"auth": settings.auth.model_copy(update={…})})`.
    """
    url = None if database_url is None else SecretStr(database_url)
    return Settings(
        _env_file=None,
        environment=Environment.TEST,
        database=DatabaseSettings(url=url, sqlite_path=directory / "landfall.sqlite3"),
        artifacts=artifacts or ArtifactSettings(directory=directory / "artifacts"),
        auth=AuthSettings(signing_keys=[SecretStr(SIGNING_KEY)], bcrypt_rounds=4),
        listen=ListenSettings(),
        admission=AdmissionSettings(),
        log=LogSettings(),
        otel=OtelSettings(),
    )


def store_settings(store: ObjectStore) -> ArtifactSettings:
    """Settings for a new bucket on `store`."""
    return ArtifactSettings(
        bucket=store.make_bucket(),
        endpoint_url=store.endpoint_url,
        region=REGION,
        access_key=store.access_key,
        secret_key=SecretStr(store.secret_key),
    )
