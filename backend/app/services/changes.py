"""What every change has in common: who asks, which version, once only, and its trace in the audit."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.db.integrity import violated_constraint
from app.db.purge import purge
from app.db.types import Database, insert_if_absent, utc_now
from app.errors import (
    ConflictError,
    IdempotencyKeyReusedError,
    NotFoundError,
    PermissionDeniedError,
    ReferenceInvalidError,
    VersionMismatchError,
)
from app.models import AuditEvent, IdempotencyKey, UserRole
from app.queries.json_rows import Answer, Noun, fetch_answer

IDEMPOTENCY_KEY_LIFE = timedelta(hours=24)  # far longer than any client retries


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who asks, and from where; `id` is None for the command line."""

    id: uuid.UUID | None
    role: UserRole
    client: str | None = None
    request_id: str | None = None

    @property
    def user_id(self) -> uuid.UUID:
        if self.id is None:
            raise PermissionDeniedError(role="viewer", own_role="none")
        return self.id


@dataclass(frozen=True, kw_only=True)
class Once:
    """An Idempotency-Key and the fingerprint (SHA-256, hex) of the request that it came with."""

    user_id: uuid.UUID
    key: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class IfMatch:
    """The versions that a client will change; None for any."""

    versions: frozenset[int] | None


def answer(database: Database, noun: Noun, row_id: uuid.UUID) -> Answer:
    """One resource; raises `NotFoundError`."""
    found = fetch_answer(database, noun, row_id)
    if found is None:
        raise NotFoundError(noun=noun.name, id=str(row_id))
    return found


def lock(session: Session, noun: Noun, row_id: uuid.UUID, if_match: IfMatch | None = None) -> Any:
    """The row for a change, locked against others; raises `NotFoundError` and `VersionMismatchError`."""
    # Not by `get`: it refuses a row that has changed since an earlier transaction of the same session read it.
    statement = select(noun.model).where(noun.model.id == row_id).with_for_update()
    row = session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise NotFoundError(noun=noun.name, id=str(row_id))
    if if_match is not None and if_match.versions is not None and row.version not in if_match.versions:
        raise VersionMismatchError(noun=noun.name, version=row.version)
    return row


def detach(session: Session, reference: InstrumentedAttribute[uuid.UUID | None], gone: Any) -> None:
    """Clear references to rows that are about to go, as a change with a version; a foreign key clears them unseen."""
    model = reference.class_
    values = {reference: None, model.version: model.version + 1}
    session.execute(update(model).where(reference.in_(gone)).values(values))


def audit(session: Session, actor: Actor, action: str, subject_id: uuid.UUID, **detail: Any) -> None:
    session.add(
        AuditEvent(
            actor_id=actor.id,
            action=action,
            subject_id=subject_id,
            client=actor.client,
            request_id=actor.request_id,
            detail=detail,
        )
    )


def once(session: Session, key: Once | None, work: Callable[[], Answer]) -> Answer:
    """Do the work, or give the answer that it had when the same key came before.

    The key's row is written first, in the work's own transaction: a second request with it waits for the first to
    end, and then finds either its answer or nothing. Raises `IdempotencyKeyReusedError` for another request.
    """
    if key is None:
        return work()
    expired = IdempotencyKey.created_at < datetime.now(UTC) - IDEMPOTENCY_KEY_LIFE
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.user_id == key.user_id, expired))
    here = (IdempotencyKey.user_id == key.user_id, IdempotencyKey.key == key.key)
    if not insert_if_absent(
        session, IdempotencyKey, user_id=key.user_id, key=key.key, fingerprint=key.fingerprint, created_at=utc_now()
    ):
        fingerprint, text = session.execute(
            select(IdempotencyKey.fingerprint, IdempotencyKey.answer).where(*here)
        ).one()
        if fingerprint != key.fingerprint:
            raise IdempotencyKeyReusedError
        stored = json.loads(text or "null")
        return Answer(id=uuid.UUID(stored["id"]), version=stored["version"], json=stored["json"])
    made = work()
    stored = {"id": str(made.id), "version": made.version, "json": made.json}
    session.execute(update(IdempotencyKey).where(*here).values(answer=json.dumps(stored)))
    return made


def purge_idempotency_keys(session: Session) -> int:
    """Forget the keys whose life is over; `once` itself forgets only those of whoever sends another."""
    return purge(session, IdempotencyKey, IdempotencyKey.created_at < datetime.now(UTC) - IDEMPOTENCY_KEY_LIFE)


@contextmanager
def conflicts(noun: str, **fields: str) -> Iterator[None]:
    """Translate violated constraints: `conflicts("user", uq_users_email="email")`."""
    try:
        yield
    except IntegrityError as error:
        name = violated_constraint(error)
        if name is None or name.startswith("fk_"):
            raise ReferenceInvalidError(noun=noun) from None
        if name in fields:
            raise ConflictError(noun=noun, field=fields[name]) from None
        raise
