"""How the values of settings are read: durations, lists and URLs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode


def _seconds(value: Any) -> timedelta:
    """Durations are written as plain seconds: pydantic reads a bare number in a string as something else."""
    try:
        duration = value if isinstance(value, timedelta) else timedelta(seconds=float(value))
    except (ValueError, TypeError, OverflowError):
        raise ValueError("is not a number of seconds") from None
    if duration < timedelta(0):
        raise ValueError("is less than 0 seconds")
    return duration


def _limit(duration: timedelta) -> timedelta:
    # PostgreSQL counts in milliseconds, and to it and others 0 means no limit.
    if duration < timedelta(milliseconds=1):
        raise ValueError("is less than 0.001 seconds, which would be no limit or no time at all")
    return duration


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
LimitSeconds = Annotated[Seconds, AfterValidator(_limit)]
SecretList = Annotated[list[SecretStr], NoDecode, BeforeValidator(_split)]
StringList = Annotated[list[str], NoDecode, BeforeValidator(_split)]


def check_endpoint(variable: str, value: str | None) -> None:
    if value is None:
        return
    parts = http_url(variable, value)
    if parts.username or parts.password:
        raise ValueError(f"{variable}: carries credentials; put them in ARTIFACTS_ACCESS_KEY and ARTIFACTS_SECRET_KEY")
    if parts.path.strip("/") or parts.query:
        raise ValueError(f"{variable}: has a path; name the bucket in ARTIFACTS_BUCKET")


def http_url(variable: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"{variable}: is not a URL; write http://HOST:PORT or https://HOST")
    return parts
