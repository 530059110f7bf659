from __future__ import annotations

import uuid

import bcrypt
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import UserInUseError
from app.models import Artifact, Task, User
from app.queries.json_rows import Answer
from app.queries.paging import Rows
from app.queries.users import USER, fetch_users
from app.schemas.user import OwnPatch, UserCreate, UserListQuery, UserPatch, UserReplace
from app.services.changes import Actor, IfMatch, Once, answer, audit, conflicts, detach, lock, once, read


def hash_password(password: SecretStr, *, rounds: int) -> str:
    return bcrypt.hashpw(password.get_secret_value().encode(), bcrypt.gensalt(rounds)).decode()


def read_user(session: Session, user_id: uuid.UUID) -> Answer:
    return read(session, USER, user_id)


def list_users(session: Session, query: UserListQuery) -> Rows:
    with session.begin():
        return fetch_users(session, query)


def create_user(session: Session, body: UserCreate, *, actor: Actor, rounds: int, key: Once | None = None) -> Answer:
    # Hashing takes a fifth of a second: before the transaction, so that no connection waits for it.
    password_hash = hash_password(body.password, rounds=rounds)

    def work() -> Answer:
        user = User(email=body.email, password_hash=password_hash, role=body.role, locale=body.locale)
        session.add(user)
        with conflicts("user", uq_users_email="email"):
            session.flush()
        audit(session, actor, "user.create", user.id, email=user.email, role=user.role)
        return answer(session, USER, user.id)

    with session.begin():
        return once(session, key, work)


def change_user(
    session: Session,
    user_id: uuid.UUID,
    body: UserReplace | UserPatch | OwnPatch,
    *,
    actor: Actor,
    rounds: int,
    if_match: IfMatch,
) -> Answer:
    """Set what the body has; a replacement has all but the password, which then stays."""
    fields = body.model_dump(exclude_unset=not isinstance(body, UserReplace), exclude_none=True)
    password = fields.pop("password", None)
    if password is not None:
        fields["password_hash"] = hash_password(password, rounds=rounds)
    with session.begin():
        user = lock(session, USER, user_id, if_match)
        for name, value in fields.items():
            setattr(user, name, value)
        with conflicts("user", uq_users_email="email"):
            session.flush()
        audit(session, actor, "user.update", user_id, fields=sorted(fields))
        return answer(session, USER, user_id)


def delete_user(session: Session, user_id: uuid.UUID, *, actor: Actor, if_match: IfMatch) -> None:
    """Delete a user and their tasks; raises `UserInUseError` while sites or artifacts are theirs."""
    with session.begin():
        user = lock(session, USER, user_id, if_match)
        detach(session, Artifact.task_id, select(Task.id).where(Task.owner_id == user_id))
        session.delete(user)
        try:
            session.flush()
        except IntegrityError:
            raise UserInUseError from None
        audit(session, actor, "user.delete", user_id, email=user.email)
