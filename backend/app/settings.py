"""Settings: one tree, read from the environment (and `.env`), checked once at start.

`DATABASE_POOL_SIZE` sets `settings.database.pool_size`: the part before the first underscore names the branch.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import SettingsError
from app.setting_values import LimitSeconds, Seconds, SecretList, StringList, check_endpoint, http_url

MIN_SIGNING_KEY_BYTES = 32  # RFC 7518, section 3.2: an HS256 key is at least as long as its hash
DEFAULT_DATA_DIRECTORY = Path("var")
DEVELOPMENT_SECRET = "landfall-development"  # noqa: S105 - compose.yaml's default: public, so refused in production


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class _Branch(BaseModel):
    model_config = {"hide_input_in_errors": True, "frozen": True}

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, data: Any) -> Any:
        """`NAME=` in a `.env` file or a chart means "not set"."""
        return {name: value for name, value in data.items() if value != ""} if isinstance(data, dict) else data


class DatabaseSettings(_Branch):
    """Where the rows live: PostgreSQL by `DATABASE_URL`, otherwise a SQLite file."""

    url: SecretStr | None = Field(None, description="PostgreSQL URL; unset means a SQLite file (not in production)")
    sqlite_path: Path = Field(DEFAULT_DATA_DIRECTORY / "landfall.sqlite3", description="the SQLite file")
    pool_size: int = Field(5, ge=1, description="connections kept open")
    max_overflow: int = Field(10, ge=0, description="connections opened on top under load")
    pool_recycle_seconds: Seconds = Field(timedelta(hours=1), description="age at which a connection is replaced")
    pool_timeout_seconds: LimitSeconds = Field(timedelta(seconds=10), description="longest wait for a connection")
    statement_timeout_seconds: LimitSeconds = Field(timedelta(seconds=10), description="longest run of one query")
    lock_timeout_seconds: LimitSeconds = Field(
        timedelta(seconds=1), description="longest wait of a migration for a lock"
    )
    connect_timeout_seconds: int = Field(5, ge=2, description="longest wait for a new connection (libpq's least is 2)")
    connect_retries: int | None = Field(
        None, ge=0, description="further tries at start; unset: 5 in production, none elsewhere"
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        None, description="as libpq's; overrides the URL's"
    )
    sslrootcert: str | None = Field(None, description="file with the CA certificates of the server")
    channel_binding: Literal["disable", "prefer", "require"] | None = Field(None, description="as libpq's")

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        if self.url is None:
            for name in ("sslmode", "sslrootcert", "channel_binding"):
                if getattr(self, name):
                    raise ValueError(f"DATABASE_{name.upper()}: is set, but DATABASE_URL is not")
            return self
        text = self.url.get_secret_value()
        if text.startswith("postgres://"):
            raise ValueError("DATABASE_URL: the scheme postgres:// is not understood; write postgresql://")
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise ValueError("DATABASE_URL: is not a URL; write postgresql://USER:PASSWORD@HOST/DATABASE") from None
        if url.drivername not in {"postgresql", "postgresql+psycopg2"}:
            raise ValueError(
                f"DATABASE_URL: the scheme {url.drivername}:// is not supported; write postgresql:// "
                "(or leave it unset for SQLite)"
            )
        if not url.database:
            raise ValueError("DATABASE_URL: names no database; write postgresql://USER:PASSWORD@HOST/DATABASE")
        # Both would show the password, or its end, where the rest of the URL is shown.
        if text.count("@") > 1:
            raise ValueError("DATABASE_URL: has more than one @; write one in the password as %40")
        if "password" in url.query:
            raise ValueError(
                "DATABASE_URL: has the password as an option; write postgresql://USER:PASSWORD@HOST/DATABASE"
            )
        return self

    def sqlalchemy_url(self) -> URL:
        if self.url is None:
            return URL.create("sqlite", database=str(self.sqlite_path))
        url = make_url(self.url.get_secret_value()).set(drivername="postgresql+psycopg2")
        tls = {n: getattr(self, n) for n in ("sslmode", "sslrootcert", "channel_binding") if getattr(self, n)}
        return url.update_query_dict(tls)

    @property
    def connections(self) -> int:
        """The most connections that the pool ever holds."""
        return self.pool_size + self.max_overflow


class ArtifactSettings(_Branch):
    """Where files live: an S3-compatible bucket, otherwise a local directory."""

    bucket: str | None = Field(None, description="bucket; unset means a local directory (not in production)")
    endpoint_url: str | None = Field(None, description="S3 endpoint as the API reaches it; unset: AWS")
    public_endpoint_url: str | None = Field(None, description="S3 endpoint as clients reach it")
    region: str = Field("us-east-1", min_length=1, description="region that requests are signed for")
    access_key: str | None = Field(None, description="access key")
    secret_key: SecretStr | None = Field(None, description="secret key")
    use_ssl: bool | None = Field(None, description="TLS; unset: as the endpoint's scheme says")
    directory: Path = Field(DEFAULT_DATA_DIRECTORY / "artifacts", description="the local directory")
    url_expires_seconds: Seconds = Field(
        timedelta(minutes=15), ge=timedelta(seconds=1), le=timedelta(days=7), description="life of a presigned URL"
    )
    multipart_threshold_bytes: int = Field(
        64 * 1024**2, ge=5 * 1024**2, le=5 * 1024**3, description="size from which uploads are multipart"
    )
    part_size_bytes: int = Field(16 * 1024**2, ge=5 * 1024**2, le=5 * 1024**3, description="size of one part")
    max_size_bytes: int = Field(50 * 1024**3, ge=1, description="largest artifact")
    pending_expires_seconds: Seconds = Field(timedelta(hours=24), description="age at which an upload is abandoned")
    connect_timeout_seconds: LimitSeconds = Field(
        timedelta(seconds=1), description="longest wait for a connection to S3"
    )
    read_timeout_seconds: LimitSeconds = Field(timedelta(seconds=5), description="longest wait for bytes from S3")

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        given = [n for n in ("endpoint_url", "public_endpoint_url", "access_key", "secret_key") if getattr(self, n)]
        if self.bucket is None:
            if given:
                raise ValueError(f"ARTIFACTS_{given[0].upper()}: is set, but ARTIFACTS_BUCKET is not")
            return self
        for name in ("access_key", "secret_key"):
            if getattr(self, name) is None:
                raise ValueError(f"ARTIFACTS_{name.upper()}: is required with ARTIFACTS_BUCKET")
        for name in ("endpoint_url", "public_endpoint_url"):
            check_endpoint(f"ARTIFACTS_{name.upper()}", getattr(self, name))
        if self.endpoint_url and self.use_ssl is not None:
            scheme = "https" if self.use_ssl else "http"
            if urlsplit(self.endpoint_url).scheme != scheme:
                raise ValueError(
                    f"ARTIFACTS_ENDPOINT_URL: contradicts ARTIFACTS_USE_SSL={str(self.use_ssl).lower()}; "
                    f"write {scheme}:// or unset ARTIFACTS_USE_SSL"
                )
        return self


class AuthSettings(_Branch):
    """Tokens and logins."""

    signing_keys: SecretList = Field(
        [], description="comma-separated, 32 bytes or more each: the first signs, all verify; required in production"
    )
    token_expires_seconds: Seconds = Field(
        timedelta(hours=1), ge=timedelta(seconds=1), description="life of an access token"
    )
    bcrypt_rounds: int = Field(12, ge=4, le=16, description="cost of a password hash, as a power of two")
    login_attempts: int = Field(5, ge=1, description="failures per account until further ones are refused")
    login_attempts_per_address: int = Field(50, ge=1, description="failures per client address, likewise")
    login_window_seconds: LimitSeconds = Field(timedelta(minutes=15), description="time over which failures count")

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if any(len(key.get_secret_value().encode()) < MIN_SIGNING_KEY_BYTES for key in self.signing_keys):
            raise ValueError(f"AUTH_SIGNING_KEYS: each key needs {MIN_SIGNING_KEY_BYTES} bytes or more")
        return self


class ListenSettings(_Branch):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="address to bind")
    port: int = Field(8000, ge=0, le=65535, description="port to bind")
    trusted_proxies: StringList = Field(
        [], description="comma-separated addresses or networks whose X-Forwarded-For is believed"
    )
    max_body_bytes: int = Field(2 * 1024**2, ge=1024, description="largest request body")
    body_timeout_seconds: LimitSeconds = Field(timedelta(seconds=10), description="longest time to send a request body")
    request_timeout_seconds: LimitSeconds = Field(timedelta(seconds=30), description="longest time to the first byte")

    @model_validator(mode="after")
    def _check_proxies(self) -> Self:
        from ipaddress import ip_network

        for proxy in self.trusted_proxies:
            try:
                ip_network(proxy)
            except ValueError:
                raise ValueError(
                    f"LISTEN_TRUSTED_PROXIES: {proxy!r} is neither an address nor a network such as 10.0.0.0/8"
                ) from None
        return self


class TransferSettings(_Branch):
    """Imports of many sites."""

    max_bytes: int = Field(256 * 1024**2, ge=1024, description="largest import, compressed and not")
    imports: int = Field(2, ge=1, description="imports at once; each keeps its bytes in a temporary file")
    timeout_seconds: LimitSeconds = Field(
        timedelta(minutes=10), description="longest time to send an import, and longest run of one of its queries"
    )


class TilesSettings(_Branch):
    """Vector tiles."""

    cache_bytes: int = Field(32 * 1024**2, ge=0, description="tiles that each process keeps; 0: none")


class ExportsSettings(_Branch):
    """Exports as jobs: files that are written behind the requests and kept in the artifact store."""

    jobs: int = Field(1, ge=0, description="jobs at once in a process; 0: this one writes none")
    kept_seconds: Seconds = Field(timedelta(days=1), description="time that a finished export is kept")
    max_bytes: int = Field(
        1024**3, ge=1024, le=5 * 1024**3, description="largest file of a job, what it takes to write it included"
    )
    lease_seconds: LimitSeconds = Field(
        timedelta(minutes=1), description="time after which another process takes the job of one that has died"
    )


class AdmissionSettings(_Branch):
    """Overload: what is let in, what waits, what is refused."""

    enabled: bool = Field(True, description="refuse what exceeds the limits with 503 and Retry-After")
    in_flight: int | None = Field(None, ge=1, description="requests at work at once; unset: as many as connections")
    waiting: int | None = Field(None, ge=0, description="requests that may wait; unset: as many as at work")
    wait_seconds: Seconds = Field(timedelta(milliseconds=300), description="longest wait")


class LogSettings(_Branch):
    """Log lines, on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level that is written")
    format: Literal["json", "text"] | None = Field(None, description="unset: text in development, JSON elsewhere")


class OtelSettings(_Branch):
    """Traces, by OpenTelemetry's own variable names."""

    exporter_otlp_endpoint: str | None = Field(None, description="collector (OTLP over HTTP); unset: no traces")
    service_name: str = Field("landfall", description="service name in traces")

    @model_validator(mode="after")
    def _check_endpoint(self) -> Self:
        if self.exporter_otlp_endpoint is not None:
            parts = http_url("OTEL_EXPORTER_OTLP_ENDPOINT", self.exporter_otlp_endpoint)
            if parts.username or parts.password:
                raise ValueError(
                    "OTEL_EXPORTER_OTLP_ENDPOINT: carries credentials; put them in OTEL_EXPORTER_OTLP_HEADERS"
                )
        return self


class _Variables(EnvSettingsSource):
    """The environment, where a variable named like a whole branch, such as LOG, is another program's."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return None if _branch_of(field) else value, key, is_complex


def _branch_of(field: FieldInfo) -> type[_Branch] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, _Branch) else None


class Settings(BaseSettings):
    """Everything the service can be told; `load_settings` reads it."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Environment = Field(Environment.DEVELOPMENT, description="development, test or production")
    database: DatabaseSettings = DatabaseSettings()
    artifacts: ArtifactSettings = ArtifactSettings()
    auth: AuthSettings = AuthSettings()
    listen: ListenSettings = ListenSettings()
    admission: AdmissionSettings = AdmissionSettings()
    tiles: TilesSettings = TilesSettings()
    transfer: TransferSettings = TransferSettings()
    exports: ExportsSettings = ExportsSettings()
    log: LogSettings = LogSettings()
    otel: OtelSettings = OtelSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours replaces it
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Variables(settings_cls), dotenv_settings, file_secret_settings

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.environment is not Environment.PRODUCTION:
            return self
        problems = []
        if self.database.url is None:
            problems.append(
                "DATABASE_URL: is required in production; the embedded SQLite file serves one process, without PostGIS"
            )
        if self.artifacts.bucket is None:
            problems.append("ARTIFACTS_BUCKET: is required in production; a local directory dies with its pod")
        if not self.auth.signing_keys:
            problems.append("AUTH_SIGNING_KEYS: is required in production; make one with `openssl rand -hex 32`")
        if self.database.url and make_url(self.database.url.get_secret_value()).password == DEVELOPMENT_SECRET:
            problems.append("DATABASE_URL: has the public password of compose.yaml; choose another for production")
        if self.artifacts.secret_key and self.artifacts.secret_key.get_secret_value() == DEVELOPMENT_SECRET:
            problems.append("ARTIFACTS_SECRET_KEY: is the public one of compose.yaml; choose another for production")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _check_admission(self) -> Self:
        given, connections = self.admission.in_flight, self.database.connections
        if given is not None and given > connections:
            raise ValueError(
                f"ADMISSION_IN_FLIGHT: is more than the {connections} connections of DATABASE_POOL_SIZE + "
                "DATABASE_MAX_OVERFLOW; lower it, or raise them"
            )
        return self

    @property
    def connect_retries(self) -> int:
        given = self.database.connect_retries
        return given if given is not None else 5 if self.environment is Environment.PRODUCTION else 0

    @property
    def log_format(self) -> Literal["json", "text"]:
        return self.log.format or ("text" if self.environment is Environment.DEVELOPMENT else "json")

    @property
    def in_flight(self) -> int:
        return self.admission.in_flight or self.database.connections


def load_settings(env_file: str | Path | None = ".env") -> Settings:
    """Read the environment; raises `SettingsError`: one line that names each wrong variable, and no values."""
    _check_names(env_file)
    try:
        return Settings(_env_file=env_file)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_input=False, include_url=False):
            message = problem["msg"].removeprefix("Value error, ")
            variable = "_".join(str(part) for part in problem["loc"] if not isinstance(part, int)).upper()
            own_text = problem["type"] == "value_error" and message.split(":")[0].isupper()
            lines.append(message if own_text else f"{variable}: {message}")
        raise SettingsError("; ".join(lines)) from None


def _check_names(env_file: str | Path | None) -> None:
    """Refuse misspelt names, which only a file of our own can have: the environment belongs to others too."""
    try:
        names = DotEnvSettingsSource(Settings, env_file=env_file).env_vars
    except (OSError, UnicodeError):
        raise SettingsError(f"{env_file}: cannot be read") from None
    # OpenTelemetry has many variables beside the two that are read here.
    branches = {name: _branch_of(field) for name, field in Settings.model_fields.items() if name != "otel"}
    unknown = []
    for name in names:
        branch, _, leaf = name.partition("_")
        model = branches.get(branch)
        if model is not None and leaf not in model.model_fields:
            unknown.append(f"{name.upper()}: is not a setting, but stands in {env_file}")
    if unknown:
        raise SettingsError("; ".join(unknown))
