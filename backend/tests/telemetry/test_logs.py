"""What a log line looks like, and what never stands in one."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.settings import Environment, LogSettings
from app.telemetry.logs import configure_logging
from app.telemetry.request_ids import request_id
from tests.support.settings import make_settings


def configure(tmp_path: Path, **changes: Any) -> None:
    configure_logging(make_settings(tmp_path).model_copy(update=changes))


def json_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = capsys.readouterr().err.splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def log_exception(error: Exception, message: str) -> None:
    logging.getLogger("app").error(message, exc_info=error)


def test_a_line_is_json_with_time_level_logger_message_and_extras(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(tmp_path)
    logging.getLogger("app.sites").warning("moved %d", 3, extra={"site": "a"})
    line = json_line(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {"level": "WARNING", "logger": "app.sites", "message": "moved 3", "site": "a"}


def test_every_line_of_a_request_bears_its_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(tmp_path)
    token = request_id.set("mine")
    logging.getLogger("botocore").warning("slow")
    request_id.reset(token)
    assert json_line(capsys)["request_id"] == "mine"


def test_an_exception_is_text_in_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(tmp_path)
    log_exception(ValueError("no"), "failed")
    assert json_line(capsys)["exception"].endswith("ValueError: no")


def test_development_writes_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(tmp_path, environment=Environment.DEVELOPMENT)
    logging.getLogger("app").info("ready", extra={"port": 8000})
    assert capsys.readouterr().err.rstrip().endswith("INFO    app: ready port=8000")


@pytest.mark.parametrize("environment", list(Environment))
def test_credentials_in_urls_are_cut_out_of_messages_and_exceptions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], environment: Environment
) -> None:
    configure(tmp_path, environment=environment)
    log_exception(ConnectionError("postgresql://app:tell-no-one@db/landfall"), "lost http://:tell-no-one@proxy")
    written = capsys.readouterr().err
    assert "tell-no-one" not in written
    assert "postgresql://app:***@db/landfall" in written


def test_inputs_quoted_by_a_validation_error_are_cut_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Login(BaseModel):
        password: int

    configure(tmp_path)
    given = {"password": "tell-no-one"}  # on a line of its own, since a traceback quotes the lines that it passes
    with pytest.raises(ValidationError) as caught:
        Login.model_validate(given)
    log_exception(caught.value, "bad")
    assert "tell-no-one" not in capsys.readouterr().err


def test_debug_shows_sql_but_never_what_libraries_write_at_debug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(tmp_path, log=LogSettings(level="DEBUG"))
    logging.getLogger("botocore.auth").debug("credentials")
    logging.getLogger("python_multipart").debug("the body")
    logging.getLogger("sqlalchemy.engine.Engine").debug("a row")
    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1")
    assert json_line(capsys)["message"] == "SELECT 1"


def test_sql_is_silent_above_debug(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(tmp_path, log=LogSettings(level="INFO"))
    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1")
    assert capsys.readouterr().err == ""


def test_the_servers_lines_take_our_form_and_its_access_log_is_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("uvicorn").handlers = [logging.StreamHandler(sys.stdout)]
    configure(tmp_path)
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "Started in colour"})
    logging.getLogger("uvicorn.access").info("GET /")
    line = json_line(capsys)
    assert (line["message"], "color_message" in line) == ("Started", False)
