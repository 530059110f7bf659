from __future__ import annotations

import uuid

import bcrypt
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db.types import Database
from app.errors import LastAdminError, PasswordWrongError, UserInUseError
from app.models import Artifact, Task, User, UserRole
from app.queries.json_rows import Answer
from app.queries.paging import Rows
from app.queries.users import USER, fetch_users
from app.schemas.user import OwnPatch, UserCreate, UserListQuery, UserPatch, UserReplace
from app.services.auth import Authenticator
from app.services.changes import Actor, IfMatch, Once, answer, audit, conflicts, detach, lock, once


def hash_password(password: SecretStr, *, rounds: int) -> str:
    return bcrypt.hashpw(password.get_secret_value().encode(), bcrypt.gensalt(rounds)).decode()


def read_user(database: Database, user_id: uuid.UUID) -> Answer:
    return answer(database, USER, user_id)


def list_users(database: Database, query: UserListQuery) -> Rows:
    return fetch_users(database, query)


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


def change_self(
    session: Session, body: OwnPatch, *, authenticator: Authenticator, actor: Actor, rounds: int, if_match: IfMatch
) -> Answer:
    """Set what the body has, a password only with the current one; raises `PasswordWrongError`."""
    confirmed = None
    if "password" in body.model_fields_set and body.current_password is not None:
        confirmed = authenticator.confirm(session, actor=actor, password=body.current_password.get_secret_value())
    return change_user(
        session, actor.user_id, body, actor=actor, rounds=rounds, if_match=if_match, confirmed_hash=confirmed
    )


def change_user(
    session: Session,
    user_id: uuid.UUID,
    body: UserReplace | UserPatch | OwnPatch,
    *,
    actor: Actor,
    rounds: int,
    if_match: IfMatch,
    confirmed_hash: str | None = None,
) -> Answer:
    """Set what the body has; a replacement has all but the password, which then stays.

    With `confirmed_hash` only while that is still the user's. Raises `LastAdminError`.
    """
    fields = body.model_dump(exclude_unset=not isinstance(body, UserReplace), exclude_none=True)
    fields.pop("current_password", None)
    password = fields.pop("password", None)
    if password is not None:
        fields["password_hash"] = hash_password(password, rounds=rounds)
    demotes = fields.get("role", UserRole.ADMIN) != UserRole.ADMIN
    with session.begin():
        admins = _lock_admins(session) if demotes else set()
        user = lock(session, USER, user_id, if_match)
        if confirmed_hash not in {None, user.password_hash}:
            raise PasswordWrongError
        if admins == {user_id}:
            raise LastAdminError
        for name, value in fields.items():
            setattr(user, name, value)
        with conflicts("user", uq_users_email="email"):
            session.flush()
        audit(session, actor, "user.update", user_id, fields=sorted(fields))
        return answer(session, USER, user_id)


def delete_user(session: Session, user_id: uuid.UUID, *, actor: Actor, if_match: IfMatch) -> None:
    """Delete a user and their tasks.

    Raises `LastAdminError`, and `UserInUseError` while sites or artifacts are theirs.
    """
    with session.begin():
        admins = _lock_admins(session)
        user = lock(session, USER, user_id, if_match)
        if admins == {user_id}:
            raise LastAdminError
        detach(session, Artifact.task_id, select(Task.id).where(Task.owner_id == user_id))
        session.delete(user)
        try:
            session.flush()
        except IntegrityError:
            raise UserInUseError from None
        audit(session, actor, "user.delete", user_id, email=user.email)


def _lock_admins(session: Session) -> set[uuid.UUID]:
    """All administrators, held until the transaction ends: two who remove each other at once would leave none.

    Before any other row, and in one order, so that the two wait instead of deadlocking.
    """
    statement = select(User.id).where(User.role == UserRole.ADMIN).order_by(User.id).with_for_update(key_share=True)
    return set(session.scalars(statement))
