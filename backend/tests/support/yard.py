"""Artifacts below the API: each call as a request of its own, and time that passes when a test says so."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select, update

from app.artifacts.local import LocalStorage
from app.artifacts.storage import ArtifactStorage
from app.artifacts.storage_factory import create_storage
from app.db.session import DatabaseSessionManager
from app.models import Artifact, AuditEvent, DeletedObject, UserRole
from app.schemas.artifact import ArtifactCreate, PartsWanted, PartWanted
from app.schemas.user import UserCreate
from app.services.artifacts import ArtifactService, Reaped
from app.services.changes import Actor, IfMatch
from app.services.users import create_user
from app.settings import ArtifactSettings, Settings
from tests.support.held_storage import HeldStorage
from tests.support.secrets import SIGNING_KEY, USER_PASSWORD

DATA = b"a field photo"
PART = b"1" * 5 * 1024**2  # as an artifact: a multipart upload of one part
REAPER = Actor(id=None, role=UserRole.ADMIN)
ANY_VERSION = IfMatch(versions=None)


@dataclass(kw_only=True)
class Yard:
    """The service over a store; each call has a session of its own, as each request has."""

    database: DatabaseSessionManager
    storage: ArtifactStorage
    settings: ArtifactSettings
    actor: Actor

    @property
    def directory(self) -> Path:
        return self.settings.directory

    def service(self, storage: ArtifactStorage | HeldStorage | None = None) -> ArtifactService:
        chosen: Any = storage or self.storage
        return ArtifactService(chosen, self.settings)

    def call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with self.database.session() as session:
            return method(session, *arguments, actor=self.actor, **options)

    def announce(self, data: bytes = DATA) -> uuid.UUID:
        body = ArtifactCreate(file_name="photo.jpg", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        artifact_id: uuid.UUID = self.call(self.service().create, body).id
        return artifact_id

    def uploaded(self, data: bytes = DATA) -> uuid.UUID:
        """An artifact whose bytes are there, and which nobody has completed."""
        artifact_id = self.announce(data)
        if len(data) < self.settings.multipart_threshold_bytes:
            self.storage.put(key(artifact_id), BytesIO(data), media_type="image/jpeg")
        else:
            assert isinstance(self.storage, LocalStorage)
            upload = self.storage.open_upload(
                self.storage.verify("PUT", key(artifact_id), self.part_query(artifact_id), now=datetime.now(UTC))
            )
            upload.write(data)
            upload.commit()
            upload.discard()
        return artifact_id

    def ask_for_part(self, artifact_id: uuid.UUID, service: ArtifactService | None = None) -> Any:
        wanted = PartsWanted(parts=[PartWanted(number=1, sha256=hashlib.sha256(PART).hexdigest())])
        with self.database.session() as session:
            return (service or self.service()).part_requests(session, artifact_id, wanted)

    def part_query(self, artifact_id: uuid.UUID) -> dict[str, str]:
        ((_, request),) = self.ask_for_part(artifact_id)
        query = request.url.partition("?")[2]
        return dict(pair.split("=") for pair in query.split("&"))

    def complete(self, artifact_id: uuid.UUID, service: ArtifactService | None = None) -> Any:
        return self.call((service or self.service()).complete, artifact_id)

    def abort(self, artifact_id: uuid.UUID) -> None:
        self.call(self.service().abort, artifact_id)

    def delete(self, artifact_id: uuid.UUID) -> None:
        self.call(self.service().delete, artifact_id, if_match=ANY_VERSION)

    def reap(self, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Reaped:
        with self.database.session() as session:
            return self.service().reap(session, actor=REAPER, progress=progress)

    def row(self, artifact_id: uuid.UUID) -> Artifact | None:
        with self.database.session(read_only=True) as session:
            return session.get(Artifact, artifact_id)

    def state(self, artifact_id: uuid.UUID) -> str | None:
        row = self.row(artifact_id)
        return row.state if row else None

    def age(self, artifact_id: uuid.UUID, by: timedelta) -> None:
        with self.database.session() as session, session.begin():
            then = datetime.now(UTC) - by
            session.execute(update(Artifact).where(Artifact.id == artifact_id).values(updated_at=then))

    def age_deletions(self, by: timedelta) -> None:
        with self.database.session() as session, session.begin():
            session.execute(update(DeletedObject).values(deleted_at=datetime.now(UTC) - by))

    def actions(self, artifact_id: uuid.UUID) -> list[str]:
        with self.database.session(read_only=True) as session:
            found = select(AuditEvent.action).where(AuditEvent.subject_id == artifact_id)
            return sorted(action.removeprefix("artifact.") for action in session.scalars(found))

    def has_bytes(self, artifact_id: uuid.UUID) -> bool:
        return self.storage.stat(key(artifact_id)) is not None


def key(artifact_id: uuid.UUID) -> str:
    return f"artifacts/{artifact_id}"


@contextmanager
def open_yard(settings: Settings) -> Iterator[Yard]:
    """A yard on the settings' database and store, with a user."""
    body = UserCreate(email="yard@example.com", password=SecretStr(USER_PASSWORD), role=UserRole.EDITOR)
    with DatabaseSessionManager(settings.database) as database:
        with database.session() as session:
            user_id = create_user(session, body, actor=REAPER, rounds=4).id
        yield Yard(
            database=database,
            storage=create_storage(settings, signing_key=SIGNING_KEY.encode()),
            settings=settings.artifacts.model_copy(
                update={"multipart_threshold_bytes": len(PART), "part_size_bytes": len(PART)}
            ),
            actor=Actor(id=user_id, role=UserRole.EDITOR),
        )
