"""Logins and tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import bcrypt
import jwt
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.errors import CredentialsInvalidError, LoginLimitedError, TokenInvalidError
from app.models import Locale, LoginAttempt, User, UserRole
from app.queries.users import find_by_email
from app.services.changes import Actor, audit
from app.settings import AuthSettings

ALGORITHM = "HS256"
ISSUER = "landfall"


@dataclass(frozen=True, kw_only=True)
class Token:
    text: str
    expires_in: timedelta


class Authenticator:
    """Checks passwords, makes tokens with the first signing key and accepts those of all: that rotates them."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        # Without a configured key each start has its own: tokens then end with the process.
        keys = [key.get_secret_value() for key in settings.signing_keys] or [secrets.token_hex(32)]
        self._keys = {hashlib.sha256(key.encode()).hexdigest()[:16]: key for key in keys}
        # What an unknown user's password is compared with: it costs what a known one's does.
        self._nobody = bcrypt.hashpw(secrets.token_bytes(16), bcrypt.gensalt(settings.bcrypt_rounds))

    def derive_key(self, purpose: str) -> bytes:
        """A key of its own for another purpose, such as signed URLs."""
        return hmac.digest(next(iter(self._keys.values())).encode(), purpose.encode(), "sha256")

    def login(
        self, session: Session, *, email: str, password: str, client: str | None, request_id: str | None
    ) -> Token:
        """Raises `LoginLimitedError` and `CredentialsInvalidError`; what failed of the two is not told."""
        email = email.lower()
        with session.begin():
            self._refuse_if_limited(session, email=email, client=client)
            user = find_by_email(session, email)
            attempt = LoginAttempt(email=email, client=client)
            session.add(attempt)
        # No transaction is open while bcrypt works.
        known = user.password_hash.encode() if user else self._nobody
        secret = password.encode("utf-8", "surrogatepass")[:72]
        if not bcrypt.checkpw(secret, known) or user is None:
            raise CredentialsInvalidError
        with session.begin():
            session.execute(delete(LoginAttempt).where(LoginAttempt.email == email))
            actor = Actor(id=user.id, role=UserRole(user.role), client=client, request_id=request_id)
            audit(session, actor, "user.login", user.id)
        return self.issue(user.id)

    def issue(self, user_id: uuid.UUID) -> Token:
        key_id, key = next(iter(self._keys.items()))
        now = datetime.now(UTC)
        expires = self._settings.token_expires_seconds
        claims = {"iss": ISSUER, "sub": str(user_id), "iat": now, "exp": now + expires}
        return Token(text=jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id}), expires_in=expires)

    def authenticate(self, session: Session, token: str | None, *, client: str | None, request_id: str | None) -> Actor:
        """The token's user as they are now, so that a lost role is lost at once; raises `TokenInvalidError`."""
        user_id = self._verify(token)
        with session.begin():
            row = session.execute(select(User.role, User.locale).where(User.id == user_id)).first()
        if row is None:
            raise TokenInvalidError
        return Actor(
            id=user_id, role=UserRole(row.role), locale=Locale(row.locale), client=client, request_id=request_id
        )

    def _verify(self, token: str | None) -> uuid.UUID:
        if token is None:
            raise TokenInvalidError
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token, key, algorithms=[ALGORITHM], issuer=ISSUER, options={"require": ["exp", "sub", "iss"]}
            )
            return uuid.UUID(claims["sub"])
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise TokenInvalidError from None

    def _refuse_if_limited(self, session: Session, *, email: str, client: str | None) -> None:
        window = self._settings.login_window_seconds
        since = datetime.now(UTC) - window
        session.execute(delete(LoginAttempt).where(LoginAttempt.email == email, LoginAttempt.occurred_at < since))
        limits = [(LoginAttempt.email == email, self._settings.login_attempts)]
        if client is not None:
            limits.append((LoginAttempt.client == client, self._settings.login_attempts_per_address))
        for condition, limit in limits:
            count, oldest = session.execute(
                select(func.count(), func.min(LoginAttempt.occurred_at)).where(
                    condition, LoginAttempt.occurred_at >= since
                )
            ).one()
            if count >= limit:
                raise LoginLimitedError(seconds=max(1, int((oldest + window - datetime.now(UTC)).total_seconds())))


ROLE_RANK: Sequence[UserRole] = (UserRole.VIEWER, UserRole.EDITOR, UserRole.ADMIN)


def may(actor: Actor, role: UserRole) -> bool:
    return ROLE_RANK.index(actor.role) >= ROLE_RANK.index(role)
