"""Logging: one line an event, JSON in production, with the request id and, where there is one, the trace id."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace

from app.settings import Settings
from app.telemetry.request_ids import request_id

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}

# The net under the rule that nothing secret is logged: URLs with credentials, and the inputs that pydantic and FastAPI
# quote in the text of a validation error.
_REDACTIONS = (
    (re.compile(r"(://[^\s:/@]*):[^\s/]+@"), r"\1:***@"),
    (re.compile(r"input_value=.*?, input_type="), "input_value=***, input_type="),
    (re.compile(r"('input': ).*?(, 'ctx': |, 'url': |\}$)", re.MULTILINE), r"\1***\2"),
)


def redact(text: str) -> str:
    for pattern, replacement in _REDACTIONS:
        text = pattern.sub(replacement, text)
    return text


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _context(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (request := request_id.get()) is not None:
        found["request_id"] = request
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        found["trace_id"] = trace.format_trace_id(span.trace_id)
    found.update((name, value) for name, value in record.__dict__.items() if name not in _STANDARD)
    return found


class _Formatter(logging.Formatter):
    def exception_text(self, record: logging.LogRecord) -> str | None:
        text = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        return redact(text) if text else None


class JsonFormatter(_Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, the context, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_context(record),
        }
        if text := self.exception_text(record):
            line["exception"] = text
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(_Formatter):
    """For people: time, level, logger, message, then the context as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        context = "".join(f" {name}={value}" for name, value in _context(record).items())
        line = f"{_timestamp(record)} {record.levelname:<7} {record.name}: {redact(record.getMessage())}{context}"
        text = self.exception_text(record)
        return f"{line}\n{text}" if text else line


def configure_logging(settings: Settings) -> None:
    """Send every line of the process to stderr in our form; call it before the engine is made.

    The level is that of our own loggers; libraries never go below INFO, since botocore and python-multipart write
    credentials and request bodies at DEBUG. SQL appears at DEBUG; its parameters are the engine's `hide_parameters`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    level = logging.getLevelNamesMapping()[settings.log.level]
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("app").setLevel(level)
    # At its own DEBUG SQLAlchemy would write the rows of every result.
    for name in (
        "sqlalchemy.engine",
        "app.db.pool",
        "app.db.loop_dialect",
    ):  # SQLAlchemy names a pool's logger by the class's own module
        logging.getLogger(name).setLevel(logging.INFO if level == logging.DEBUG else logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"
