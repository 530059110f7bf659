"""Passwords, tokens and the keys that sign them."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.errors import CredentialsInvalidError, LoginLimitedError, PasswordWrongError, TokenInvalidError
from app.models import LoginAttempt, User, UserRole
from app.queries.callers import fetch_callers
from app.services.auth import ALGORITHM, ISSUER, PASSWORD_CLAIM, Authenticator
from app.services.changes import Actor
from app.settings import AuthSettings
from tests.support.secrets import OLD_SIGNING_KEY, SIGNING_KEY, USER_PASSWORD

EMAIL = "ada@example.com"


def make(*keys: str, **fields: Any) -> Authenticator:
    return Authenticator(AuthSettings(signing_keys=[SecretStr(key) for key in keys], bcrypt_rounds=4, **fields))


@pytest.fixture
def user(session: Session) -> User:
    user = User(email=EMAIL, role="editor", locale="de")
    user.password_hash = bcrypt.hashpw(USER_PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    session.add(user)
    session.commit()
    return user


def login(authenticator: Authenticator, session: Session, *, email: str = EMAIL, password: str = USER_PASSWORD) -> str:
    return authenticator.login(session, email=email, password=password, client=None, request_id=None).text


def whose(authenticator: Authenticator, session: Session, token: str | None) -> uuid.UUID:
    claims = authenticator.verify(token)
    with session.begin():
        found = fetch_callers(session, {claims.user_id}).get(claims.user_id)
    return authenticator.admit(found, claims, client=None, request_id=None).user_id


def test_a_token_leads_back_to_its_user_as_they_are_now(session: Session, user: User) -> None:
    token = login(make(SIGNING_KEY), session)
    user.role = "admin"
    session.commit()
    later = make(SIGNING_KEY)
    claims = later.verify(token)
    found = fetch_callers(session, {user.id})[user.id]
    actor = later.admit(found, claims, client="203.0.113.9", request_id="7")
    assert (actor.id, actor.role, actor.client) == (user.id, "admin", "203.0.113.9")


def test_an_unknown_users_password_costs_the_same_work(
    session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Observed at the library: one comparison either way, with a hash of the same cost."""
    compared: list[bytes] = []
    real = bcrypt.checkpw

    def observed(password: bytes, hashed: bytes) -> bool:
        compared.append(hashed[:7])
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", observed)
    for email in (EMAIL, "nobody@example.com"):
        with pytest.raises(CredentialsInvalidError):
            login(make(SIGNING_KEY), session, email=email, password="not the password")
    assert compared == [b"$2b$04$", b"$2b$04$"]


def test_the_first_key_signs_and_all_verify(session: Session, user: User) -> None:
    old = login(make(OLD_SIGNING_KEY), session)
    rotated = make(SIGNING_KEY, OLD_SIGNING_KEY)
    assert whose(rotated, session, old) == user.id
    new = login(rotated, session)
    assert whose(make(SIGNING_KEY), session, new) == user.id
    for without_it, token in ((make(SIGNING_KEY), old), (make(OLD_SIGNING_KEY), new)):
        with pytest.raises(TokenInvalidError):
            whose(without_it, session, token)


def test_without_a_configured_key_tokens_end_with_the_process(session: Session, user: User) -> None:
    first = make()
    token = login(first, session)
    assert whose(first, session, token) == user.id
    with pytest.raises(TokenInvalidError):
        whose(make(), session, token)


def test_a_token_expires(session: Session, user: User) -> None:
    lifetime = timedelta(minutes=5)
    token = make(SIGNING_KEY, token_expires_seconds=lifetime).issue(user.id, password_hash=user.password_hash)
    claims = jwt.decode(token.text, options={"verify_signature": False})
    assert (token.expires_in, claims["exp"] - claims["iat"]) == (lifetime, 300)
    settings = AuthSettings(signing_keys=[SecretStr(SIGNING_KEY)], bcrypt_rounds=4)
    late = Authenticator(settings.model_copy(update={"token_expires_seconds": timedelta(seconds=-1)}))
    with pytest.raises(TokenInvalidError):
        whose(make(SIGNING_KEY), session, late.issue(user.id, password_hash=user.password_hash).text)


def key_id(authenticator: Authenticator) -> str:
    kid: str = jwt.get_unverified_header(authenticator.issue(uuid.uuid4(), password_hash="").text)["kid"]
    return kid


KID = key_id(make(SIGNING_KEY))


def forge(*, key: str = SIGNING_KEY, algorithm: str = ALGORITHM, kid: Any = KID, **claims: Any) -> str:
    """A token that is right but for what is given; a claim of None is left out."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    whole = {"iss": ISSUER, "sub": str(uuid.UUID(int=7)), "exp": expires, PASSWORD_CLAIM: "0" * 16} | claims
    kept = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="nonsense"),
        pytest.param("ä.ö.ü", id="not ASCII"),
        pytest.param(forge(key="", algorithm="none"), id="unsigned"),
        pytest.param(forge(key=OLD_SIGNING_KEY), id="another key"),
        pytest.param(forge(algorithm="HS512", key=SIGNING_KEY * 2), id="another algorithm"),
        pytest.param(forge(kid=None), id="no key id"),
        pytest.param(forge(kid="0" * 16), id="unknown key id"),
        pytest.param(forge(iss="elsewhere"), id="another issuer"),
        pytest.param(forge(iss=None), id="no issuer"),
        pytest.param(forge(exp=None), id="for ever"),
        pytest.param(forge(sub=None), id="nobody"),
        pytest.param(forge(sub="root"), id="no id"),
        pytest.param(forge(), id="a user who does not exist"),
    ],
)
def test_any_other_token_is_invalid(session: Session, token: str | None) -> None:
    with pytest.raises(TokenInvalidError):
        whose(make(SIGNING_KEY), session, token)


def test_a_forged_token_that_is_right_in_all_is_valid(session: Session, user: User) -> None:
    password = hashlib.sha256(user.password_hash.encode()).hexdigest()[:16]
    token = forge(sub=str(user.id), **{PASSWORD_CLAIM: password})
    assert whose(make(SIGNING_KEY), session, token) == user.id


@pytest.mark.parametrize("claim", [None, "", "0" * 16, 0, []])
def test_a_token_without_its_users_password_fingerprint_is_invalid(session: Session, user: User, claim: Any) -> None:
    with pytest.raises(TokenInvalidError):
        whose(make(SIGNING_KEY), session, forge(sub=str(user.id), **{PASSWORD_CLAIM: claim}))


def test_a_new_password_ends_the_old_ones_tokens_within_the_same_second(session: Session, user: User) -> None:
    old = login(make(SIGNING_KEY), session)
    user.password_hash = bcrypt.hashpw(USER_PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    session.commit()
    new = login(make(SIGNING_KEY), session)
    assert whose(make(SIGNING_KEY), session, new) == user.id
    with pytest.raises(TokenInvalidError):
        whose(make(SIGNING_KEY), session, old)


def failures(session: Session) -> int:
    with session.begin():
        return session.scalar(select(func.count()).select_from(LoginAttempt)) or 0


def test_a_login_counts_only_once_the_password_is_found_wrong(
    session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Observed at the library: nothing is written before a password is compared, or logins at once add up."""
    during: list[int] = []
    real = bcrypt.checkpw

    def observed(password: bytes, hashed: bytes) -> bool:
        during.append(failures(session))
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", observed)
    login(make(SIGNING_KEY), session)
    with pytest.raises(CredentialsInvalidError):
        login(make(SIGNING_KEY), session, password="not the password")
    assert (during, failures(session)) == ([0, 0], 1)


def test_confirming_a_password_fails_like_a_login(session: Session, user: User) -> None:
    authenticator = make(SIGNING_KEY, login_attempts=2)
    actor = Actor(id=user.id, role=UserRole.EDITOR)
    assert authenticator.confirm(session, actor=actor, password=USER_PASSWORD) == user.password_hash
    session.rollback()
    for _ in range(2):
        with pytest.raises(PasswordWrongError):
            authenticator.confirm(session, actor=actor, password="not the password")
    with pytest.raises(LoginLimitedError):
        authenticator.confirm(session, actor=actor, password=USER_PASSWORD)


def test_keys_for_other_purposes_differ_from_one_another() -> None:
    authenticator = make(SIGNING_KEY, OLD_SIGNING_KEY)
    keys = {authenticator.derive_key("urls"), authenticator.derive_key("cursors"), SIGNING_KEY.encode()}
    assert len(keys) == 3
    assert authenticator.derive_key("urls") == make(SIGNING_KEY).derive_key("urls")
