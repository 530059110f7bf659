"""Passwords, tokens and the keys that sign them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session

from app.errors import CredentialsInvalidError, TokenInvalidError
from app.models import User
from app.services.auth import ALGORITHM, ISSUER, Authenticator
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
    return authenticator.authenticate(session, token, client=None, request_id=None).user_id


def test_a_token_leads_back_to_its_user_as_they_are_now(session: Session, user: User) -> None:
    token = login(make(SIGNING_KEY), session)
    user.role = "admin"
    session.commit()
    actor = make(SIGNING_KEY).authenticate(session, token, client="203.0.113.9", request_id="7")
    assert (actor.id, actor.role, actor.locale, actor.client) == (user.id, "admin", "de", "203.0.113.9")


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
    token = make(SIGNING_KEY, token_expires_seconds=lifetime).issue(user.id)
    claims = jwt.decode(token.text, options={"verify_signature": False})
    assert (token.expires_in, claims["exp"] - claims["iat"]) == (lifetime, 300)
    settings = AuthSettings(signing_keys=[SecretStr(SIGNING_KEY)], bcrypt_rounds=4)
    late = Authenticator(settings.model_copy(update={"token_expires_seconds": timedelta(seconds=-1)}))
    with pytest.raises(TokenInvalidError):
        whose(make(SIGNING_KEY), session, late.issue(user.id).text)


def key_id(authenticator: Authenticator) -> str:
    kid: str = jwt.get_unverified_header(authenticator.issue(uuid.uuid4()).text)["kid"]
    return kid


KID = key_id(make(SIGNING_KEY))


def forge(*, key: str = SIGNING_KEY, algorithm: str = ALGORITHM, kid: Any = KID, **claims: Any) -> str:
    """A token that is right but for what is given; a claim of None is left out."""
    whole = {"iss": ISSUER, "sub": str(uuid.UUID(int=7)), "exp": datetime.now(UTC) + timedelta(hours=1)} | claims
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
    assert whose(make(SIGNING_KEY), session, forge(sub=str(user.id))) == user.id


def test_keys_for_other_purposes_differ_from_one_another() -> None:
    authenticator = make(SIGNING_KEY, OLD_SIGNING_KEY)
    keys = {authenticator.derive_key("urls"), authenticator.derive_key("cursors"), SIGNING_KEY.encode()}
    assert len(keys) == 3
    assert authenticator.derive_key("urls") == make(SIGNING_KEY).derive_key("urls")
