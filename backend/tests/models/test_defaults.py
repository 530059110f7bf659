"""What a row gets without being told, and what raises its version."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from app.models import Locale, Site, Task, TaskPriority, TaskStatus, User, UserRole
from app.queries.sites import geometry_from_wkb

POINT = bytes.fromhex("0101000000000000000000F03F0000000000000040")  # (1, 2)


def make_user(session: Session, **values: object) -> User:
    given = {
        "email": f"{uuid.uuid4()}@example.com",
        "password_hash": "x",
        "role": UserRole.VIEWER,
        "locale": Locale.EN,
    } | values
    user = User(**given)
    session.add(user)
    session.flush()
    session.refresh(user)
    return user


def make_task(session: Session, **values: object) -> Task:
    given = {
        "owner_id": make_user(session).id,
        "title": "t",
        "description": "",
        "status": TaskStatus.PENDING,
        "priority": TaskPriority.LOW,
        "tags": [],
    } | values
    task = Task(**given)
    session.add(task)
    session.flush()
    session.refresh(task)
    return task


def test_an_id_is_made_before_the_insert(session: Session) -> None:
    user = make_user(session)
    assert user.id.version == 4


def test_times_are_the_databases_and_have_a_zone(session: Session) -> None:
    user = make_user(session)
    assert user.created_at == user.updated_at
    assert user.created_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - user.created_at) < timedelta(minutes=1)


def test_an_update_raises_the_version(session: Session) -> None:
    user = make_user(session)
    assert user.version == 1
    user.locale = Locale.DE
    session.flush()
    assert user.version == 2


def test_a_row_that_another_changed_is_not_overwritten(session: Session) -> None:
    user = make_user(session)
    session.execute(text("UPDATE users SET version = 7"))
    user.locale = Locale.DE
    with pytest.raises(StaleDataError):
        session.flush()


def test_an_update_renews_updated_at_and_keeps_created_at(session: Session) -> None:
    user = make_user(session)
    session.execute(update(User).values(created_at=datetime(2020, 1, 1, tzinfo=UTC), updated_at=user.created_at))
    session.execute(text("UPDATE users SET updated_at = created_at"))
    session.refresh(user)
    user.locale = Locale.DE
    session.flush()
    session.refresh(user)
    assert user.updated_at > user.created_at


@pytest.mark.parametrize("values", [{"email": "A@example.com"}, {"role": "root"}, {"locale": "fr"}, {"email": None}])
def test_a_user_that_the_table_refuses(session: Session, values: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        make_user(session, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"status": "lost"},
        {"priority": "highest"},
        {"status": TaskStatus.COMPLETED, "completed_at": None},
        {"status": TaskStatus.PENDING, "completed_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"site_id": uuid.uuid4()},
        {"owner_id": uuid.uuid4()},
    ],
)
def test_a_task_that_the_table_refuses(session: Session, values: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        make_task(session, **values)


def test_a_user_takes_their_tasks_along(session: Session) -> None:
    make_task(session)
    session.execute(text("DELETE FROM users"))
    assert session.scalar(select(func.count()).select_from(Task)) == 0


def test_a_site_that_is_deleted_is_forgotten_by_its_tasks(session: Session) -> None:
    user = make_user(session)
    site = Site(owner_id=user.id, name="s", kind="k", properties={}, geom=geometry_from_wkb(POINT))
    session.add(site)
    session.flush()
    task = make_task(session, site_id=site.id)
    session.execute(text("DELETE FROM sites"))
    session.refresh(task)
    assert task.site_id is None


def test_a_user_with_sites_is_not_deleted(session: Session) -> None:
    session.add(Site(owner_id=make_user(session).id, name="s", kind="k", properties={}, geom=geometry_from_wkb(POINT)))
    session.flush()
    with pytest.raises(IntegrityError):
        session.execute(text("DELETE FROM users"))


def test_a_geometry_is_never_loaded_by_accident(session: Session) -> None:
    site = Site(owner_id=make_user(session).id, name="s", kind="k", properties={}, geom=geometry_from_wkb(POINT))
    session.add(site)
    session.commit()
    session.expunge_all()
    found = session.get_one(Site, site.id)
    assert "geom" in inspect(found).unloaded
    with pytest.raises(InvalidRequestError, match="raiseload"):
        _ = found.geom
