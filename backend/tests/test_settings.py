"""What the environment may say, what it may not, and what the settings never tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.errors import SettingsError
from app.settings import Environment, Settings, load_settings
from tests.support.secrets import (
    DATABASE_PASSWORD,
    OLD_SIGNING_KEY,
    S3_ACCESS_KEY,
    S3_SECRET_KEY,
    SEEDED_SECRETS,
    SIGNING_KEY,
)

POSTGRESQL = "postgresql://landfall@db.example/landfall"
BUCKET = {"ARTIFACTS_BUCKET": "files", "ARTIFACTS_ACCESS_KEY": "name", "ARTIFACTS_SECRET_KEY": "key"}
PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": POSTGRESQL,
    "AUTH_SIGNING_KEYS": SIGNING_KEY,
    **BUCKET,
}

# Each variable with a value that is not its default, and what becomes of it.
VALUES: dict[str, tuple[str, Any]] = {
    "ENVIRONMENT": ("test", Environment.TEST),
    "DATABASE_URL": (POSTGRESQL, SecretStr(POSTGRESQL)),
    "DATABASE_SQLITE_PATH": ("/data/a.sqlite3", Path("/data/a.sqlite3")),
    "DATABASE_POOL_SIZE": ("7", 7),
    "DATABASE_MAX_OVERFLOW": ("0", 0),
    "DATABASE_POOL_RECYCLE_SECONDS": ("60", timedelta(minutes=1)),
    "DATABASE_POOL_TIMEOUT_SECONDS": ("0.25", timedelta(milliseconds=250)),
    "DATABASE_STATEMENT_TIMEOUT_SECONDS": ("3", timedelta(seconds=3)),
    "DATABASE_LOCK_TIMEOUT_SECONDS": ("1e1", timedelta(seconds=10)),
    "DATABASE_CONNECT_TIMEOUT_SECONDS": ("2", 2),
    "DATABASE_CONNECT_RETRIES": ("0", 0),
    "DATABASE_SSLMODE": ("verify-full", "verify-full"),
    "DATABASE_SSLROOTCERT": ("/etc/ca.pem", "/etc/ca.pem"),
    "DATABASE_CHANNEL_BINDING": ("require", "require"),
    "ARTIFACTS_BUCKET": ("files", "files"),
    "ARTIFACTS_ENDPOINT_URL": ("http://s3:9000", "http://s3:9000"),
    "ARTIFACTS_PUBLIC_ENDPOINT_URL": ("https://files.example", "https://files.example"),
    "ARTIFACTS_REGION": ("eu-central-1", "eu-central-1"),
    "ARTIFACTS_ACCESS_KEY": ("name", "name"),
    "ARTIFACTS_SECRET_KEY": ("key", SecretStr("key")),
    "ARTIFACTS_USE_SSL": ("false", False),
    "ARTIFACTS_DIRECTORY": ("/data/files", Path("/data/files")),
    "ARTIFACTS_URL_EXPIRES_SECONDS": ("60", timedelta(minutes=1)),
    "ARTIFACTS_MULTIPART_THRESHOLD_BYTES": ("6000000", 6_000_000),
    "ARTIFACTS_PART_SIZE_BYTES": ("5242880", 5_242_880),
    "ARTIFACTS_MAX_SIZE_BYTES": ("1000", 1000),
    "ARTIFACTS_PENDING_EXPIRES_SECONDS": ("3600", timedelta(hours=1)),
    "ARTIFACTS_CONNECT_TIMEOUT_SECONDS": ("2", timedelta(seconds=2)),
    "ARTIFACTS_READ_TIMEOUT_SECONDS": ("9", timedelta(seconds=9)),
    "AUTH_SIGNING_KEYS": (f"{SIGNING_KEY}, {OLD_SIGNING_KEY},", [SecretStr(SIGNING_KEY), SecretStr(OLD_SIGNING_KEY)]),
    "AUTH_TOKEN_EXPIRES_SECONDS": ("60", timedelta(minutes=1)),
    "AUTH_BCRYPT_ROUNDS": ("4", 4),
    "AUTH_LOGIN_ATTEMPTS": ("3", 3),
    "AUTH_LOGIN_ATTEMPTS_PER_ADDRESS": ("4", 4),
    "AUTH_LOGIN_WINDOW_SECONDS": ("60", timedelta(minutes=1)),
    "LISTEN_HOST": ("0.0.0.0", "0.0.0.0"),
    "LISTEN_PORT": ("0", 0),
    "LISTEN_TRUSTED_PROXIES": ("10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"]),
    "LISTEN_MAX_BODY_BYTES": ("2048", 2048),
    "LISTEN_BODY_TIMEOUT_SECONDS": ("4", timedelta(seconds=4)),
    "LISTEN_REQUEST_TIMEOUT_SECONDS": ("5", timedelta(seconds=5)),
    "ADMISSION_ENABLED": ("no", False),
    "ADMISSION_IN_FLIGHT": ("3", 3),
    "ADMISSION_WAITING": ("0", 0),
    "ADMISSION_WAIT_SECONDS": ("0", timedelta(0)),
    "TRANSFER_MAX_BYTES": ("2048", 2048),
    "TILES_CACHE_BYTES": ("0", 0),
    "TRANSFER_IMPORTS": ("3", 3),
    "TRANSFER_TIMEOUT_SECONDS": ("60", timedelta(minutes=1)),
    "EXPORTS_JOBS": ("0", 0),
    "EXPORTS_KEPT_SECONDS": ("60", timedelta(minutes=1)),
    "EXPORTS_MAX_BYTES": ("2048", 2048),
    "EXPORTS_LEASE_SECONDS": ("2", timedelta(seconds=2)),
    "LOG_LEVEL": ("DEBUG", "DEBUG"),
    "LOG_FORMAT": ("json", "json"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("http://collector:4318/base", "http://collector:4318/base"),
    "OTEL_SERVICE_NAME": ("field", "field"),
}

Load = Callable[..., Settings]


def variables() -> dict[str, list[str]]:
    """Every variable and the way to its field."""
    found: dict[str, list[str]] = {}
    for name, field in Settings.model_fields.items():
        leaves = getattr(field.annotation, "model_fields", None)
        ways = [[name, leaf] for leaf in leaves] if leaves else [[name]]
        found |= {"_".join(way).upper(): way for way in ways}
    return found


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load the settings from these variables alone."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)

    def load_from(variables: dict[str, str], *, env_file: Path | None = None) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load_settings(env_file)

    return load_from


def complaint(load: Load, given: dict[str, str], **options: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(given, **options)
    return str(caught.value)


def read(settings: Settings, variable: str) -> Any:
    value: Any = settings
    for part in variables()[variable]:
        value = getattr(value, part)
    return value


def test_the_table_of_values_has_every_variable() -> None:
    assert VALUES.keys() == variables().keys()


def test_every_variable_reaches_its_field(load: Load) -> None:
    settings = load({name: text for name, (text, _) in VALUES.items()})
    assert {name: read(settings, name) for name in VALUES} == {name: value for name, (_, value) in VALUES.items()}


def test_nothing_is_required_in_development(load: Load) -> None:
    settings = load({})
    assert (settings.environment, settings.database.url, settings.artifacts.bucket) == ("development", None, None)
    assert (settings.database.pool_size, settings.database.max_overflow, settings.connect_retries) == (5, 10, 0)
    assert settings.log_format == "text"


def test_production_waits_for_its_database_and_logs_json(load: Load) -> None:
    settings = load(PRODUCTION)
    assert (settings.connect_retries, settings.log_format) == (5, "json")


@pytest.mark.parametrize("variable", sorted(VALUES.keys() - {"ENVIRONMENT"}))
def test_a_blank_variable_is_one_that_is_not_set(load: Load, variable: str) -> None:
    assert load({variable: ""}) == load_defaults()


def load_defaults() -> Settings:
    return Settings.model_construct(**{n: f.get_default() for n, f in Settings.model_fields.items()})


def test_a_blank_environment_is_refused_since_it_would_mean_development(load: Load) -> None:
    assert complaint(load, {"ENVIRONMENT": ""}).startswith("ENVIRONMENT: ")


@pytest.mark.parametrize(
    "variables",
    [{"LOG": "/var/log"}, {"DATABASE": "{}"}, {"AUTH_SERVICE_HOST": "10.0.0.1"}, {"DATABASE_POOL_SIZ": "1"}],
)
def test_other_programs_variables_are_left_alone(load: Load, variables: dict[str, str]) -> None:
    assert load(variables) == load_defaults()


# --- contradictions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ENVIRONMENT": "prod"}, "ENVIRONMENT: Input should be 'development'"),
        ({"DATABASE_URL": "postgres://u:p@h/d"}, "DATABASE_URL: the scheme postgres:// is not understood"),
        ({"DATABASE_URL": "mysql://u:p@h/d"}, "DATABASE_URL: the scheme mysql:// is not supported"),
        ({"DATABASE_URL": "postgresql+asyncpg://u:p@h/d"}, "DATABASE_URL: the scheme postgresql+asyncpg://"),
        ({"DATABASE_URL": "postgresql://u:p@h"}, "DATABASE_URL: names no database"),
        ({"DATABASE_URL": "postgresql://u:p@h/"}, "DATABASE_URL: names no database"),
        ({"DATABASE_URL": "landfall"}, "DATABASE_URL: is not a URL"),
        ({"DATABASE_URL": "postgresql://u:p@h:port/d"}, "DATABASE_URL: is not a URL"),
        ({"DATABASE_URL": "postgresql://u:p@q@h/d"}, "DATABASE_URL: has more than one @"),
        ({"DATABASE_URL": "postgresql://h/d?password=p"}, "DATABASE_URL: has the password as an option"),
        ({"DATABASE_SSLMODE": "require"}, "DATABASE_SSLMODE: is set, but DATABASE_URL is not"),
        ({"DATABASE_CHANNEL_BINDING": "require"}, "DATABASE_CHANNEL_BINDING: is set, but DATABASE_URL is not"),
        ({"DATABASE_URL": POSTGRESQL, "DATABASE_SSLMODE": "on"}, "DATABASE_SSLMODE: Input should be 'disable'"),
        ({"DATABASE_POOL_SIZE": "many"}, "DATABASE_POOL_SIZE: Input should be a valid integer"),
        ({"DATABASE_POOL_SIZE": "0"}, "DATABASE_POOL_SIZE: Input should be greater than or equal to 1"),
        ({"DATABASE_CONNECT_RETRIES": "-1"}, "DATABASE_CONNECT_RETRIES: Input should be greater"),
        ({"DATABASE_POOL_TIMEOUT_SECONDS": "soon"}, "DATABASE_POOL_TIMEOUT_SECONDS: is not a number of seconds"),
        ({"DATABASE_POOL_TIMEOUT_SECONDS": "inf"}, "DATABASE_POOL_TIMEOUT_SECONDS: is not a number of seconds"),
        ({"AUTH_TOKEN_EXPIRES_SECONDS": "nan"}, "AUTH_TOKEN_EXPIRES_SECONDS: is not a number of seconds"),
        ({"ADMISSION_WAIT_SECONDS": "-1"}, "ADMISSION_WAIT_SECONDS: is less than 0 seconds"),
        ({"ARTIFACTS_BUCKET": "files"}, "ARTIFACTS_ACCESS_KEY: is required with ARTIFACTS_BUCKET"),
        ({**BUCKET, "ARTIFACTS_SECRET_KEY": ""}, "ARTIFACTS_SECRET_KEY: is required with ARTIFACTS_BUCKET"),
        ({**BUCKET, "ARTIFACTS_BUCKET": ""}, "ARTIFACTS_ACCESS_KEY: is set, but ARTIFACTS_BUCKET is not"),
        ({"ARTIFACTS_ENDPOINT_URL": "http://s3"}, "ARTIFACTS_ENDPOINT_URL: is set, but ARTIFACTS_BUCKET is not"),
        (
            {**BUCKET, "ARTIFACTS_ENDPOINT_URL": "http://s3", "ARTIFACTS_USE_SSL": "true"},
            "ARTIFACTS_ENDPOINT_URL: contradicts ARTIFACTS_USE_SSL=true; write https://",
        ),
        (
            {**BUCKET, "ARTIFACTS_ENDPOINT_URL": "https://s3", "ARTIFACTS_USE_SSL": "false"},
            "ARTIFACTS_ENDPOINT_URL: contradicts ARTIFACTS_USE_SSL=false; write http://",
        ),
        ({**BUCKET, "ARTIFACTS_ENDPOINT_URL": "s3:9000"}, "ARTIFACTS_ENDPOINT_URL: is not a URL"),
        ({**BUCKET, "ARTIFACTS_ENDPOINT_URL": "http://[s3"}, "ARTIFACTS_ENDPOINT_URL: is not a URL"),
        ({**BUCKET, "ARTIFACTS_ENDPOINT_URL": "http://s3:99999"}, "ARTIFACTS_ENDPOINT_URL: is not a URL"),
        ({**BUCKET, "ARTIFACTS_ENDPOINT_URL": "http://s3/files"}, "ARTIFACTS_ENDPOINT_URL: has a path"),
        (
            {**BUCKET, "ARTIFACTS_PUBLIC_ENDPOINT_URL": "http://name:key@s3"},
            "ARTIFACTS_PUBLIC_ENDPOINT_URL: carries credentials",
        ),
        ({"ARTIFACTS_PART_SIZE_BYTES": "1"}, "ARTIFACTS_PART_SIZE_BYTES: Input should be greater"),
        ({"AUTH_SIGNING_KEYS": "short"}, "AUTH_SIGNING_KEYS: each key needs 32 bytes or more"),
        ({"AUTH_SIGNING_KEYS": f"{SIGNING_KEY},short"}, "AUTH_SIGNING_KEYS: each key needs 32 bytes or more"),
        ({"LISTEN_TRUSTED_PROXIES": "proxy"}, "LISTEN_TRUSTED_PROXIES: 'proxy' is neither an address nor a network"),
        ({"LISTEN_TRUSTED_PROXIES": "10.0.0.1/8"}, "LISTEN_TRUSTED_PROXIES: '10.0.0.1/8' is neither"),
        ({"LISTEN_PORT": "99999"}, "LISTEN_PORT: Input should be less than or equal to 65535"),
        ({"ADMISSION_ENABLED": "perhaps"}, "ADMISSION_ENABLED: Input should be a valid boolean"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL: Input should be 'DEBUG'"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector"}, "OTEL_EXPORTER_OTLP_ENDPOINT: is not a URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:p@c"}, "OTEL_EXPORTER_OTLP_ENDPOINT: carries credentials"),
        ({**PRODUCTION, "DATABASE_URL": ""}, "DATABASE_URL: is required in production"),
        ({**PRODUCTION, **dict.fromkeys(BUCKET, "")}, "ARTIFACTS_BUCKET: is required in production"),
        ({**PRODUCTION, "AUTH_SIGNING_KEYS": ""}, "AUTH_SIGNING_KEYS: is required in production"),
    ],
)
def test_a_contradiction_is_one_line_that_names_the_variable(load: Load, given: dict[str, str], words: str) -> None:
    text = complaint(load, given)
    assert text.startswith(words)
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("value", ["0", "0.0001"])
@pytest.mark.parametrize(
    "variable",
    [
        "DATABASE_POOL_TIMEOUT_SECONDS",
        "DATABASE_STATEMENT_TIMEOUT_SECONDS",
        "DATABASE_LOCK_TIMEOUT_SECONDS",
        "ARTIFACTS_CONNECT_TIMEOUT_SECONDS",
        "ARTIFACTS_READ_TIMEOUT_SECONDS",
        "AUTH_LOGIN_WINDOW_SECONDS",
        "LISTEN_BODY_TIMEOUT_SECONDS",
        "LISTEN_REQUEST_TIMEOUT_SECONDS",
    ],
)
def test_a_limit_of_no_time_is_refused(load: Load, variable: str, value: str) -> None:
    told = complaint(load, {variable: value})
    assert told == f"{variable}: is less than 0.001 seconds, which would be no limit or no time at all"


@pytest.mark.parametrize("variable", ["AUTH_TOKEN_EXPIRES_SECONDS", "ARTIFACTS_URL_EXPIRES_SECONDS"])
@pytest.mark.parametrize("value", ["0", "0.9"])
def test_nothing_expires_within_its_first_second(load: Load, variable: str, value: str) -> None:
    assert complaint(load, {variable: value}) == f"{variable}: Input should be greater than or equal to 1 second"


@pytest.mark.parametrize(
    ("pool", "in_flight"),
    [({}, "16"), ({"DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0"}, "3"), ({"ADMISSION_ENABLED": "no"}, "16")],
)
def test_more_requests_at_work_than_connections_are_refused(load: Load, pool: dict[str, str], in_flight: str) -> None:
    told = complaint(load, {**pool, "ADMISSION_IN_FLIGHT": in_flight})
    assert told.startswith("ADMISSION_IN_FLIGHT: is more than the ")


def test_as_many_requests_at_work_as_connections_are_taken(load: Load) -> None:
    pool = {"DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "1"}
    assert load({**pool, "ADMISSION_IN_FLIGHT": "3"}).in_flight == 3


def test_all_problems_are_told_at_once(load: Load) -> None:
    told = complaint(load, {"DATABASE_POOL_SIZE": "x", "AUTH_SIGNING_KEYS": "x", "LISTEN_PORT": "x", "LOG_FORMAT": "x"})
    assert [part.split(":")[0] for part in told.split("; ")] == [
        "DATABASE_POOL_SIZE",
        "AUTH_SIGNING_KEYS",
        "LISTEN_PORT",
        "LOG_FORMAT",
    ]


def test_production_tells_all_that_it_lacks(load: Load) -> None:
    told = complaint(load, {"ENVIRONMENT": "production"})
    for variable in ("DATABASE_URL", "ARTIFACTS_BUCKET", "AUTH_SIGNING_KEYS"):
        assert f"{variable}: is required in production" in told


# --- the file ------------------------------------------------------------------------------------------------------


def test_the_file_is_read_and_the_environment_wins(load: Load, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"# ours\nDATABASE_URL={POSTGRESQL}\nDATABASE_POOL_SIZE=2\nDATABASE_MAX_OVERFLOW='3'\nOTHER=1\n")
    settings = load({"DATABASE_POOL_SIZE": "9", "DATABASE_URL": ""}, env_file=file)
    assert (settings.database.url, settings.database.pool_size, settings.database.max_overflow) == (None, 9, 3)


def test_a_misspelt_name_in_the_file_is_refused(load: Load, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DATABASE_POOL_SIZ=2\nLOG=1\nOTEL_TRACES_SAMPLER=always_on\nDATABASES_URL=x\n")
    told = complaint(load, {}, env_file=file)
    assert told == "; ".join(f"{n}: is not a setting, but stands in {file}" for n in ("DATABASE_POOL_SIZ", "LOG"))


def test_a_file_that_is_no_text_is_refused_by_its_name(load: Load, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfe\x00")
    assert complaint(load, {}, env_file=file) == f"{file}: cannot be read"


def test_no_file_is_needed(load: Load, tmp_path: Path) -> None:
    assert load({}, env_file=tmp_path / ".env") == load_defaults()


# --- secrets -------------------------------------------------------------------------------------------------------

WITH_SECRETS = {
    **PRODUCTION,
    "DATABASE_URL": f"postgresql://landfall:{DATABASE_PASSWORD}@db.example/landfall",
    "ARTIFACTS_ACCESS_KEY": S3_ACCESS_KEY,
    "ARTIFACTS_SECRET_KEY": S3_SECRET_KEY,
    "AUTH_SIGNING_KEYS": f"{SIGNING_KEY},{OLD_SIGNING_KEY}",
}


@pytest.mark.parametrize("show", [repr, str, Settings.model_dump_json, Settings.model_dump, vars])
def test_no_way_to_show_the_settings_shows_a_secret(load: Load, show: Callable[[Settings], object]) -> None:
    shown = str(show(load(WITH_SECRETS)))
    assert [secret for secret in SEEDED_SECRETS if secret in shown] == []


def test_the_url_for_the_driver_hides_its_password(load: Load) -> None:
    url = load(WITH_SECRETS).database.sqlalchemy_url()
    assert DATABASE_PASSWORD not in f"{url} {url!r}"


@pytest.mark.parametrize("secret", SEEDED_SECRETS)
@pytest.mark.parametrize(
    "variable", sorted(VALUES.keys() - {"LISTEN_TRUSTED_PROXIES", "LOG_FORMAT"})
)  # a proxy is quoted: it is one of several, and public
def test_no_complaint_quotes_a_value_wherever_a_secret_was_put(load: Load, variable: str, secret: str) -> None:
    assert secret not in complaint(load, {**WITH_SECRETS, "LOG_FORMAT": "wrong", variable: secret})
