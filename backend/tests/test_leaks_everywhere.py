"""What a login and its changes leave in the database: neither a password nor a token."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import text

import app.models  # noqa: F401 - fills Base.metadata
from app.db.base import Base
from app.db.session import DatabaseSessionManager
from app.models import UserRole
from app.schemas.user import UserCreate
from app.services.changes import Actor
from app.services.users import create_user
from app.settings import Settings
from tests.support.secrets import SEEDED_SECRETS, USER_PASSWORD

WRONG = "wrong-but-nearly-right-password"
OTHER = "password-of-another-user"


def everything(settings: Settings) -> dict[str, str]:
    """Each table's rows as text."""
    with DatabaseSessionManager(settings.database) as database, database.session(read_only=True) as session:
        found = {name: session.execute(text(f"SELECT * FROM {name}")) for name in Base.metadata.tables}
        return {name: str([tuple(row) for row in rows]) for name, rows in found.items()}  # a Row shortens itself


def test_no_password_and_no_token_is_stored(client: TestClient, settings: Settings) -> None:
    admin = {"email": "ada@example.com", "password": USER_PASSWORD, "role": "admin"}
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        actor = Actor(id=None, role=UserRole.ADMIN)
        create_user(session, UserCreate.model_validate(admin), actor=actor, rounds=settings.auth.bcrypt_rounds)

    def login(password: str) -> Any:
        return client.post("/api/v1/auth/token", data={"username": "ada@example.com", "password": password}).json()

    token = login(USER_PASSWORD)["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "once"}
    body = {"email": "bob@example.com", "password": OTHER}
    made = client.post("/api/v1/users", json=body, headers=headers)
    assert made.status_code == 201
    login(WRONG)

    found = everything(settings)
    assert "user.login" in found["audit_events"]
    assert "bob@example.com" in found["idempotency_keys"]
    assert "ada@example.com" in found["login_attempts"]
    for table, rows in found.items():
        assert [secret for secret in (*SEEDED_SECRETS, WRONG, OTHER, token) if secret in rows] == [], table
