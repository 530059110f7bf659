from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, case, func, literal, not_, or_

from app.db.types import Database, UtcDateTime, tags_all, tags_any, tags_literal, utc_now
from app.models import Task, TaskPriority, TaskStatus
from app.queries.json_rows import Noun, json_object, json_values
from app.queries.paging import Rows, SortKeys, fetch_rows
from app.schemas.task import TaskListQuery

TASK = Noun(
    name="task",
    model=Task,
    row=json_object(
        json_values(
            Task.id,
            Task.owner_id,
            Task.site_id,
            Task.title,
            Task.description,
            Task.status,
            Task.priority,
            Task.tags,
            Task.due_at,
            Task.completed_at,
            Task.version,
            Task.created_at,
            Task.updated_at,
        )
    ),
)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # keysets lose rows with NULL keys
KEYS: SortKeys = {
    "created_at": Task.created_at,
    "updated_at": Task.updated_at,
    "due_at": func.coalesce(Task.due_at, literal(NEVER, UtcDateTime), type_=UtcDateTime()),
    "priority": case({value: rank for rank, value in enumerate(TaskPriority)}, value=Task.priority),
    "title": Task.title,
}
OPEN = Task.status.not_in([TaskStatus.COMPLETED, TaskStatus.CANCELLED])


def fetch_tasks(database: Database, query: TaskListQuery) -> Rows:
    where = _conditions(query)
    return fetch_rows(database, row=TASK.row, where=where, id_column=Task.id, keys=KEYS, sort=query.sort, query=query)


def _conditions(query: TaskListQuery) -> list[ColumnElement[bool]]:
    where = _due_conditions(query)
    if query.status:
        where.append(Task.status.in_(query.status))
    if query.priority:
        where.append(Task.priority.in_(query.priority))
    if query.tags_any:
        where.append(tags_any(Task.tags, tags_literal(query.tags_any)))
    if query.tags_all:
        where.append(tags_all(Task.tags, tags_literal(query.tags_all)))
    if query.owner_id:
        where.append(Task.owner_id == query.owner_id)
    if query.site_id:
        where.append(Task.site_id == query.site_id)
    if query.text:
        where.append(or_(*(c.icontains(query.text, autoescape=True) for c in (Task.title, Task.description))))
    return where


def _due_conditions(query: TaskListQuery) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if query.overdue is not None:
        overdue = and_(func.coalesce(Task.due_at < utc_now(), False), OPEN)
        where.append(overdue if query.overdue else not_(overdue))
    if query.due_from:
        where.append(Task.due_at >= query.due_from)
    if query.due_before:
        where.append(Task.due_at < query.due_before)
    return where
