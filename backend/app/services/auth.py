"""Logins and tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import time
from typing import NamedTuple

import bcrypt
import jwt
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.db.purge import purge
from app.errors import CredentialsInvalidError, LoginLimitedError, PasswordWrongError, TokenInvalidError
from app.models import LoginAttempt, User, UserRole
from app.queries.callers import Caller
from app.queries.users import find_by_email
from app.services.changes import Actor, audit
from app.settings import AuthSettings

ALGORITHM = "HS256"
ISSUER = "landfall"
KNOWN_TOKENS = 1024  # whose signature is not checked again: that costs as much as a short query
PASSWORD_CLAIM = "pwd"  # noqa: S105 - which password the user had: another one ends the token


@dataclass(frozen=True, kw_only=True)
class Token:
    text: str
    expires_in: timedelta


class Claims(NamedTuple):
    """What a token says: whose it is, and the fingerprint of the password hash that it was given for."""

    user_id: uuid.UUID
    password: str


class Authenticator:
    """Checks passwords, makes tokens with the first signing key and accepts those of all: that rotates them."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        # Without a configured key each start has its own: tokens then end with the process.
        keys = [key.get_secret_value() for key in settings.signing_keys] or [secrets.token_hex(32)]
        self._keys = {hashlib.sha256(key.encode()).hexdigest()[:16]: key for key in keys}
        # What an unknown user's password is compared with: it costs what a known one's does.
        self._nobody = bcrypt.hashpw(secrets.token_bytes(16), bcrypt.gensalt(settings.bcrypt_rounds))
        self._decode_once = lru_cache(maxsize=KNOWN_TOKENS)(self._decode)

    def derive_key(self, purpose: str) -> bytes:
        """A key of its own for another purpose, such as signed URLs."""
        return hmac.digest(next(iter(self._keys.values())).encode(), purpose.encode(), "sha256")

    def login(
        self, session: Session, *, email: str, password: str, client: str | None, request_id: str | None
    ) -> Token:
        """Raises `LoginLimitedError` and `CredentialsInvalidError`; what failed of the two is not told."""
        email = email.lower()
        user = self._check(session, email=email, password=password, client=client)
        if user is None:
            raise CredentialsInvalidError
        with session.begin():
            session.execute(delete(LoginAttempt).where(LoginAttempt.email == email))
            actor = Actor(id=user.id, role=UserRole(user.role), client=client, request_id=request_id)
            audit(session, actor, "user.login", user.id)
        return self.issue(user.id, password_hash=user.password_hash)

    def confirm(self, session: Session, *, actor: Actor, password: str) -> str:
        """The hash that the actor's password was found right with.

        A failure counts like that of a login: a stolen token is no way to guess faster. Raises `LoginLimitedError`
        and `PasswordWrongError`.
        """
        with session.begin():
            email = session.scalar(select(User.email).where(User.id == actor.user_id))
        if email is None:
            raise TokenInvalidError
        user = self._check(session, email=email, password=password, client=actor.client)
        if user is None:
            raise PasswordWrongError
        return user.password_hash

    def issue(self, user_id: uuid.UUID, *, password_hash: str) -> Token:
        key_id, key = next(iter(self._keys.items()))
        now = datetime.now(UTC)
        expires = self._settings.token_expires_seconds
        password = _fingerprint(password_hash)
        claims = {"iss": ISSUER, "sub": str(user_id), "iat": now, "exp": now + expires, PASSWORD_CLAIM: password}
        return Token(text=jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id}), expires_in=expires)

    def admit(self, caller: Caller | None, claims: Claims, *, client: str | None, request_id: str | None) -> Actor:
        """The token's user, as just looked up; raises `TokenInvalidError`.

        A token ends with the password that it was given for.
        """
        if caller is None or _fingerprint(caller.password_hash) != claims.password:
            raise TokenInvalidError
        return Actor(id=caller.id, role=UserRole(caller.role), client=client, request_id=request_id)

    def _check(self, session: Session, *, email: str, password: str, client: str | None) -> User | None:
        """The user with this password, or None; only what bcrypt found wrong is kept, and closes the account."""
        with session.begin():
            self._refuse_if_limited(session, email=email, client=client)
            user = find_by_email(session, email)
        # No transaction is open while bcrypt works.
        known = user.password_hash.encode() if user else self._nobody
        secret = password.encode("utf-8", "surrogatepass")[:72]
        if bcrypt.checkpw(secret, known) and user is not None:
            return user
        with session.begin():
            session.add(LoginAttempt(email=email, client=client))
        return None

    def verify(self, token: str | None) -> Claims:
        """What the token says, which needs no database; raises `TokenInvalidError`."""
        if token is None:
            raise TokenInvalidError
        try:
            claims, expires = self._decode_once(token)
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise TokenInvalidError from None
        if expires <= time():
            raise TokenInvalidError
        return claims

    def _decode(self, token: str) -> tuple[Claims, float]:
        """The claims, and when they end, in seconds since the epoch."""
        key = self._keys[jwt.get_unverified_header(token)["kid"]]
        required = ["exp", "sub", "iss", PASSWORD_CLAIM]
        claims = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=ISSUER, options={"require": required})
        return Claims(uuid.UUID(claims["sub"]), claims[PASSWORD_CLAIM]), float(claims["exp"])

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


def _fingerprint(password_hash: str) -> str:
    """Tells one password hash from the next; it shows nothing of the password, since bcrypt's random salt is in it."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


def purge_login_attempts(session: Session, *, settings: AuthSettings) -> int:
    """Forget the failed logins that no longer count; a login forgets only those of its own account."""
    return purge(session, LoginAttempt, LoginAttempt.occurred_at < datetime.now(UTC) - settings.login_window_seconds)


ROLE_RANK: Sequence[UserRole] = (UserRole.VIEWER, UserRole.EDITOR, UserRole.ADMIN)


def may(actor: Actor, role: UserRole) -> bool:
    return ROLE_RANK.index(actor.role) >= ROLE_RANK.index(role)
