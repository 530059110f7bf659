from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.db.types import Database
from app.models import User
from app.queries.json_rows import Noun, json_object, json_values
from app.queries.paging import Rows, SortKeys, fetch_rows
from app.schemas.user import UserListQuery

USER = Noun(
    name="user",
    model=User,
    row=json_object(
        json_values(User.id, User.email, User.role, User.locale, User.version, User.created_at, User.updated_at)
    ),
)
KEYS: SortKeys = {"created_at": User.created_at, "email": User.email}


def find_by_email(session: Session, email: str) -> User | None:
    return session.scalar(select(User).where(User.email == email))


def fetch_users(database: Database, query: UserListQuery) -> Rows:
    where: list[ColumnElement[bool]] = [User.role == query.role] if query.role else []
    return fetch_rows(database, row=USER.row, where=where, id_column=User.id, keys=KEYS, sort=query.sort, query=query)
