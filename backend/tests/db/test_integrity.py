"""A refused write names the constraint by our convention, whichever database refused it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db.integrity import violated_constraint
from app.models import Site, Task, User
from app.queries.sites import geometry_from_wkb

OWNER = uuid.uuid4()
POINT = bytes.fromhex("0101000000000000000000F03F0000000000000040")  # (1, 2)


def user(**values: Any) -> Any:
    given = {"id": uuid.uuid4(), "email": f"{uuid.uuid4()}@example.com", "password_hash": "x"}
    return insert(User).values({**given, "role": "viewer", "locale": "en", **values})


def site(**values: Any) -> Any:
    given = {"id": uuid.uuid4(), "owner_id": OWNER, "name": "s", "kind": "k", "properties": {}}
    return insert(Site).values({**given, "geom": geometry_from_wkb(POINT), **values})


def task(**values: Any) -> Any:
    given = {"id": uuid.uuid4(), "owner_id": OWNER, "title": "t", "description": "", "status": "pending"}
    return insert(Task).values({**given, "priority": "low", "tags": [], **values})


def violated(session: Session, *statements: Any) -> str | None:
    """The constraint that the last of the statements violates."""
    session.execute(user(id=OWNER))
    *before, last = statements
    for statement in before:
        session.execute(statement)
    with pytest.raises(IntegrityError) as caught:
        session.execute(last)
    return violated_constraint(caught.value)


def test_a_value_that_is_taken(session: Session) -> None:
    assert violated(session, user(email="a"), user(email="a")) == "uq_users_email"


def test_a_pair_of_values_that_is_taken(session: Session) -> None:
    assert violated(session, site(external_id="a"), site(external_id="a")) == "uq_sites_owner_id_external_id"


@pytest.mark.parametrize(
    ("dialect", "name"), [("postgresql", "fk_tasks_site_id_sites"), ("sqlite", None)], indirect=["dialect"]
)
def test_a_reference_to_nothing_is_named_where_the_database_tells(session: Session, name: str | None) -> None:
    assert violated(session, task(site_id=uuid.uuid4())) == name


def test_a_value_that_a_check_refuses(session: Session) -> None:
    assert violated(session, user(role="root")) == "ck_users_role"


@pytest.mark.parametrize(
    ("dialect", "name"), [("postgresql", "pk_users"), ("sqlite", "uq_users_id")], indirect=["dialect"]
)
def test_an_id_that_is_taken(session: Session, name: str) -> None:
    assert violated(session, user(id=OWNER)) == name
