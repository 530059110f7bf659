from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.api.answers import (
    CHANGING,
    CREATING,
    DELETING,
    ETAG_HEADER,
    LISTING,
    LOCATION_HEADER,
    READING,
    documented,
    page,
    resource,
)
from app.deps import DbSession, Editor, IfMatchHeader, OnceHeader, ViewerReads, require_json
from app.schemas.task import TaskCreate, TaskListQuery, TaskOut, TaskPage, TaskPatch, TaskReplace
from app.services import tasks as service

router = APIRouter(prefix="/tasks", tags=["tasks"])


@router.get("", response_model=TaskPage, responses=documented(*LISTING), summary="List tasks")
async def list_tasks(request: Request, query: Annotated[TaskListQuery, Query()], reads: ViewerReads) -> Response:
    return await reads(lambda database, _: page(service.list_tasks(database, query), request))


@router.post(
    "",
    status_code=201,
    response_model=TaskOut,
    responses=documented(*CREATING, status=201, headers=ETAG_HEADER | LOCATION_HEADER),
    dependencies=[Depends(require_json)],
    summary="Create a task",
)
def create_task(request: Request, body: TaskCreate, session: DbSession, actor: Editor, key: OnceHeader) -> Response:
    return resource(service.create_task(session, body, actor=actor, key=key), request, status=201)


@router.get(
    "/{task_id}",
    response_model=TaskOut,
    responses=documented(*READING, headers=ETAG_HEADER, not_modified=True),
    summary="Read a task",
)
async def read_task(request: Request, task_id: uuid.UUID, reads: ViewerReads) -> Response:
    return await reads(lambda database, _: resource(service.read_task(database, task_id), request))


@router.put(
    "/{task_id}",
    response_model=TaskOut,
    responses=documented(*CHANGING, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Replace a task",
)
def replace_task(
    request: Request, task_id: uuid.UUID, body: TaskReplace, session: DbSession, actor: Editor, if_match: IfMatchHeader
) -> Response:
    changed = service.change_task(session, task_id, body, actor=actor, if_match=if_match)
    return resource(changed, request)


@router.patch(
    "/{task_id}",
    response_model=TaskOut,
    responses=documented(*CHANGING, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Change a task",
)
def patch_task(
    request: Request, task_id: uuid.UUID, body: TaskPatch, session: DbSession, actor: Editor, if_match: IfMatchHeader
) -> Response:
    changed = service.change_task(session, task_id, body, actor=actor, if_match=if_match)
    return resource(changed, request)


@router.delete("/{task_id}", status_code=204, responses=documented(*DELETING), summary="Delete a task")
def delete_task(task_id: uuid.UUID, session: DbSession, actor: Editor, if_match: IfMatchHeader) -> None:
    service.delete_task(session, task_id, actor=actor, if_match=if_match)
