from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from app.db.types import Database
from app.models import Artifact, Task, TaskStatus
from app.queries.json_rows import Answer
from app.queries.paging import Rows
from app.queries.tasks import TASK, fetch_tasks
from app.schemas.task import TaskCreate, TaskListQuery, TaskPatch, TaskReplace
from app.services.changes import Actor, IfMatch, Once, answer, audit, conflicts, detach, lock, once


def read_task(database: Database, task_id: uuid.UUID) -> Answer:
    return answer(database, TASK, task_id)


def list_tasks(database: Database, query: TaskListQuery) -> Rows:
    return fetch_tasks(database, query)


def create_task(session: Session, body: TaskCreate, *, actor: Actor, key: Once | None = None) -> Answer:
    def work() -> Answer:
        task = Task(**body.model_dump(exclude={"owner_id"}), owner_id=body.owner_id or actor.user_id)
        _stamp(task)
        session.add(task)
        with conflicts("task"):
            session.flush()
        audit(session, actor, "task.create", task.id)
        return answer(session, TASK, task.id)

    with session.begin():
        return once(session, key, work)


def change_task(
    session: Session, task_id: uuid.UUID, body: TaskReplace | TaskPatch, *, actor: Actor, if_match: IfMatch
) -> Answer:
    """Set what the body has; a replacement has all but the owner, who then stays."""
    fields: dict[str, Any] = body.model_dump(exclude_unset=isinstance(body, TaskPatch))
    with session.begin():
        task = lock(session, TASK, task_id, if_match)
        for name, value in fields.items():
            setattr(task, name, value)
        _stamp(task)
        with conflicts("task"):
            session.flush()
        audit(session, actor, "task.update", task_id, fields=sorted(fields))
        return answer(session, TASK, task_id)


def delete_task(session: Session, task_id: uuid.UUID, *, actor: Actor, if_match: IfMatch) -> None:
    with session.begin():
        task = lock(session, TASK, task_id, if_match)
        detach(session, Artifact.task_id, [task_id])
        session.delete(task)
        session.flush()
        audit(session, actor, "task.delete", task_id)


def _stamp(task: Task) -> None:
    if task.status != TaskStatus.COMPLETED:
        task.completed_at = None
    elif task.completed_at is None:
        task.completed_at = datetime.now(UTC)
