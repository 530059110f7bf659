"""Tasks as clients write and read them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from app.models import TaskPriority, TaskStatus
from app.schemas.common import NO_NUL, Input, ListQuery, LongText, Moment, Page, ShortText, Stamped, unset

TaskSort = Literal[
    "created_at",
    "-created_at",
    "updated_at",
    "-updated_at",
    "due_at",
    "-due_at",
    "priority",
    "-priority",
    "title",
    "-title",
]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=NO_NUL)]


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


TagList = Annotated[list[Tag], Field(max_length=50, examples=[["pump", "north"]]), AfterValidator(_unique)]
Title = Annotated[ShortText, Field(examples=["Read the meter"])]


class TaskReplace(Input):
    title: Title
    description: LongText = ""
    status: TaskStatus = TaskStatus.PENDING
    priority: TaskPriority = TaskPriority.NORMAL
    tags: TagList = Field([])
    site_id: uuid.UUID | None = Field(None, examples=[None])
    due_at: Moment | None = None


class TaskCreate(TaskReplace):
    owner_id: uuid.UUID | None = Field(None, description="Whose task it is; yours when left out.", examples=[None])


class TaskPatch(Input):
    title: Title = Field(default_factory=unset)
    description: LongText = Field(default_factory=unset)
    status: TaskStatus = Field(default_factory=unset)
    priority: TaskPriority = Field(default_factory=unset)
    tags: TagList = Field(default_factory=unset)
    owner_id: uuid.UUID = Field(default_factory=unset)
    site_id: uuid.UUID | None = None
    due_at: Moment | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "completed"}]})


class TaskOut(Stamped):
    id: uuid.UUID
    owner_id: uuid.UUID
    site_id: uuid.UUID | None
    title: str
    description: str
    status: TaskStatus
    priority: TaskPriority
    tags: list[str]
    due_at: datetime | None
    completed_at: datetime | None = Field(
        description="Set by the change to `completed`, and cleared by one away from it."
    )


class TaskPage(Page):
    items: list[TaskOut]


class TaskListQuery(ListQuery):
    status: list[TaskStatus] = Field([], description="Any of these.")
    priority: list[TaskPriority] = Field([], description="Any of these.")
    tags_any: list[Tag] = Field([], max_length=50, description="With one of these tags or more.")
    tags_all: list[Tag] = Field([], max_length=50, description="With all of these tags.")
    owner_id: uuid.UUID | None = None
    site_id: uuid.UUID | None = None
    overdue: bool | None = Field(None, description="Whether it is past due and neither completed nor cancelled.")
    due_from: Moment | None = Field(None, description="Due at this time or later.")
    due_before: Moment | None = Field(None, description="Due before this time.")
    text: ShortText | None = Field(None, description="In the title or the description, in any case.")
    sort: TaskSort = Field(
        "-created_at", description="Order; a leading minus reverses it. No due time counts as the latest."
    )
