"""What changes have in common, seen from a service."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import (
    ConflictError,
    IdempotencyKeyReusedError,
    NotFoundError,
    PermissionDeniedError,
    ReferenceInvalidError,
    VersionMismatchError,
)
from app.models import Artifact, AuditEvent, IdempotencyKey, Task, User, UserRole
from app.queries.json_rows import Answer
from app.queries.tasks import TASK
from app.services.changes import Actor, IfMatch, Once, answer, conflicts, detach, lock, once

NOBODY = uuid.UUID(int=7)


@pytest.fixture
def user(session: Session) -> User:
    user = User(email="ada@example.com", password_hash="", role="editor", locale="en")
    session.add(user)
    session.flush()
    return user


@pytest.fixture
def task(session: Session, user: User) -> Task:
    task = Task(owner_id=user.id, title="a", description="", status="pending", priority="low", tags=[])
    session.add(task)
    session.flush()
    return task


def test_the_command_line_is_nobody() -> None:
    with pytest.raises(PermissionDeniedError):
        _ = Actor(id=None, role=UserRole.ADMIN).user_id


def test_what_is_not_there_is_not_found(session: Session) -> None:
    for find in (answer, lock):
        with pytest.raises(NotFoundError, match=str(NOBODY)):
            find(session, TASK, NOBODY)


@pytest.mark.parametrize("versions", [None, frozenset({1}), frozenset({1, 2})])
def test_a_row_of_an_expected_version_is_locked(session: Session, task: Task, versions: frozenset[int] | None) -> None:
    assert lock(session, TASK, task.id, IfMatch(versions=versions)) is task


@pytest.mark.parametrize("versions", [frozenset[int](), frozenset({2})])
def test_a_row_of_another_version_is_not(session: Session, task: Task, versions: frozenset[int]) -> None:
    with pytest.raises(VersionMismatchError, match="now 1"):
        lock(session, TASK, task.id, IfMatch(versions=versions))


class Work:
    """Counts how often it was done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> Answer:
        self.done += 1
        return Answer(id=uuid.UUID(int=self.done), version=1, json=f'{{"done":{self.done}}}')


def test_work_without_a_key_is_done_each_time(session: Session) -> None:
    work = Work()
    assert [once(session, None, work).json for _ in range(2)] == ['{"done":1}', '{"done":2}']


def test_work_with_a_key_is_done_once(session: Session, user: User) -> None:
    work, key = Work(), Once(user_id=user.id, key="k", fingerprint="f")
    first, again = once(session, key, work), once(session, key, work)
    assert (work.done, again) == (1, first)
    with pytest.raises(IdempotencyKeyReusedError):
        once(session, Once(user_id=user.id, key="k", fingerprint="other"), work)


def test_work_that_fails_leaves_no_key(session: Session, user: User) -> None:
    def fail() -> Answer:
        raise ConflictError(noun="task", field="title")

    session.commit()
    with pytest.raises(ConflictError), session.begin():
        once(session, Once(user_id=user.id, key="k", fingerprint="f"), fail)
    assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0


def test_a_taken_value_is_a_conflict_by_its_fields_name(session: Session, user: User) -> None:
    session.add(User(email=user.email, password_hash="", role="viewer", locale="en"))
    with pytest.raises(ConflictError, match="email"), conflicts("user", uq_users_email="email"):
        session.flush()


def test_a_reference_to_nothing_is_invalid(session: Session, task: Task) -> None:
    task.site_id = NOBODY
    with pytest.raises(ReferenceInvalidError), conflicts("task"):
        session.flush()


def test_any_other_violation_is_a_bug_and_stays_one(session: Session, task: Task) -> None:
    task.status = "unheard of"
    with pytest.raises(IntegrityError), conflicts("task"):
        session.flush()


def test_a_detached_row_is_a_changed_one(session: Session, user: User, task: Task) -> None:
    artifact = Artifact(owner_id=user.id, task_id=task.id, file_name="a", media_type="a/b", size_bytes=0)
    artifact.sha256, artifact.storage_key, artifact.state, artifact.details = "0" * 64, "k", "pending", {}
    session.add(artifact)
    session.flush()
    detach(session, Artifact.task_id, [task.id])
    session.refresh(artifact)
    assert (artifact.task_id, artifact.version) == (None, 2)


def test_reading_leaves_no_event(session: Session, task: Task) -> None:
    answer(session, TASK, task.id)
    assert session.scalar(select(func.count()).select_from(AuditEvent)) == 0
