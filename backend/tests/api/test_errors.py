"""What goes wrong around every operation, and that a commit which fails is never taken for one that succeeded."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db import migrate
from app.settings import Settings
from tests.support.api import Api, one_database, problem_of, running, task
from tests.support.conformance import Document
from tests.support.postgres import PostgresServer
from tests.support.settings import make_settings

JSON = {"Content-Type": "application/json"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_BODY_BYTES = 2_000
postgresql_only = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


def bodies(document: Document) -> Iterator[tuple[str, str]]:
    """Each operation that takes JSON: its method and a path that leads to it."""
    for (method, path), operation in document.operations.items():
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            start, _, rest = path.partition("{")
            yield method, f"{start}{uuid.UUID(int=7)}{rest.partition('}')[2]}" if rest else path


@one_database
def test_an_unknown_address_is_not_found(api: Api) -> None:
    for path in ("/", "/api/v1", "/api/v1/nothing", "/api/v2/tasks", "/api/v1/tasks/a/b"):
        assert problem_of(api.anonymous.client.get(path)) == (404, "no-such-address")


@one_database
def test_a_method_that_an_address_does_not_take_is_answered_with_those_that_it_does(api: Api) -> None:
    for path in {path for _, path in api.document.operations}:
        url = path.replace("{", "").replace("}", "")
        taken = sorted(method for method in METHODS if api.document.operation_of(method, url))
        answer = api.anonymous.request("TRACE", f"http://testserver{url}")
        assert problem_of(answer) == (405, "method-not-allowed")
        assert answer.headers["Allow"] == ", ".join(taken)


@one_database
def test_every_body_must_be_json_by_its_name(api: Api) -> None:
    for method, path in bodies(api.document):
        for media_type in ("text/plain", "application/jsonp", "application/x-www-form-urlencoded"):
            answer = api.admin.request(method, path, content=b"{}", headers={"Content-Type": media_type})
            assert problem_of(answer) == (415, "unsupported-media-type"), path


@one_database
def test_every_body_must_be_an_object(api: Api) -> None:
    for method, path in bodies(api.document):
        for content in (b"[]", b"null", b"7", b'"x"'):
            answer = api.admin.request(method, path, content=content, headers=JSON)
            assert problem_of(answer) == (422, "invalid-request"), path


@one_database
@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"title": ', 422),
        (b'{"title": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b'{"title": ' + b"7" * 5_000 + b"}", 400),
        (b"\xef\xbb\xbf{}", 422),
        (b"", 422),
    ],
    ids=["cut short", "no UTF-8", "deep", "a long number", "byte order mark", "nothing"],
)
def test_a_body_that_cannot_be_read_is_refused(api: Api, content: bytes, status: int) -> None:
    assert api.editor.post("/tasks", content=content, headers=JSON).status_code == status


@one_database
def test_a_body_that_is_too_large_is_refused(settings: Settings, document: Document) -> None:
    listen = settings.listen.model_copy(update={"max_body_bytes": MAX_BODY_BYTES})
    with running(settings.model_copy(update={"listen": listen}), document) as api:
        answer = api.editor.post("/tasks", json=task(description="x" * MAX_BODY_BYTES))
        assert problem_of(answer) == (413, "body-too-large")
        assert answer.json()["limit"] == MAX_BODY_BYTES
        assert api.editor.post("/tasks", json=task()).status_code == 201


def test_a_bug_is_told_without_a_word_of_it(api: Api) -> None:
    def fail() -> None:
        raise RuntimeError("nobody's business")

    api.app.add_api_route("/api/v1/fail", fail)
    api.client.event_hooks["response"].clear()
    answer = api.viewer.get("/fail", headers={"X-Request-ID": "request-7"})
    assert problem_of(answer) == (500, "internal-error")
    assert "business" not in answer.text
    assert answer.json()["request_id"] == "request-7"


@pytest.mark.slow
@pytest.mark.fault
def test_a_database_that_is_away_is_told_so_and_used_again_when_it_is_back(
    own_postgres: PostgresServer, document: Document, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, database_url=own_postgres.create_database("landfall"))
    migrate.upgrade(settings)
    with running(settings, document) as api:
        where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
        own_postgres.stop()
        for answer in (
            api.editor.get(where),
            api.editor.get("/tasks"),
            api.editor.post("/tasks", json=task()),
            api.editor.delete(where),
            api.login(api.editor.email),
        ):
            assert problem_of(answer) == (503, "database-unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        own_postgres.start_again()
        assert api.editor.get(where).status_code == 200


@contextmanager
def at_commit(api: Api, statement: str) -> Iterator[None]:
    """Within the block each commit that follows a new task runs the statement first."""
    engine = api.app.state.database.engine
    body = f"BEGIN {statement}; RETURN NULL; END"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"))
        connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION at_commit()"
            )
        )
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP FUNCTION at_commit CASCADE"))


@postgresql_only
@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("PERFORM pg_terminate_backend(pg_backend_pid())", (503, "database-unavailable")),
        ("RAISE unique_violation", (409, "conflict")),
        ("RAISE serialization_failure", (409, "concurrent-change")),
        ("RAISE query_canceled", (503, "timeout")),
        ("RAISE division_by_zero", (500, "internal-error")),
    ],
    ids=["connection lost", "constraint", "serialization", "timeout", "bug"],
)
def test_a_commit_that_fails_is_never_answered_as_a_success(api: Api, statement: str, outcome: tuple[int, str]) -> None:
    _ = api.editor
    with at_commit(api, statement):
        answer = api.editor.post("/tasks", json=task(), headers={"Idempotency-Key": "key-7"})
        assert problem_of(answer) == outcome
    assert api.editor.listed("/tasks") == []
    assert api.admin.listed("/audit-events", action="task.create") == []
    again = api.editor.post("/tasks", json=task(), headers={"Idempotency-Key": "key-7"})
    assert again.status_code == 201


@postgresql_only
def test_a_statement_that_takes_too_long_is_given_up(settings: Settings, document: Document) -> None:
    limit = timedelta(milliseconds=100)
    database = settings.database.model_copy(update={"statement_timeout_seconds": limit})
    with running(settings.model_copy(update={"database": database}), document) as api:
        where = f"/tasks/{api.editor.create('/tasks', task())['id']}"
        with api.app.state.database.engine.begin() as connection:
            connection.execute(text("SELECT 1 FROM tasks FOR UPDATE"))
            answer = api.editor.patch(where, json={"title": "New"})
            assert problem_of(answer) == (503, "timeout")
            assert int(answer.headers["Retry-After"]) > 0
        assert api.editor.patch(where, json={"title": "New"}).status_code == 200
