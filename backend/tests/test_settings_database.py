"""The database's URL: what the driver is told of it, and what nobody is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import create_engine

from app.settings import DatabaseSettings


def connect_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    """What the driver is called with."""
    engine = create_engine(settings.sqlalchemy_url())
    return dict(engine.dialect.create_connect_args(engine.url)[1])


def test_a_pooled_tls_url_is_taken_as_it_is_given() -> None:
    host = "ep-calm-sea-123456-pooler.eu-central-1.aws.neon.tech"
    url = f"postgresql://u:p@{host}/db?sslmode=require&channel_binding=require"
    assert connect_arguments(DatabaseSettings(url=SecretStr(url))) == {
        "host": host,
        "user": "u",
        "password": "p",
        "dbname": "db",
        "sslmode": "require",
        "channel_binding": "require",
    }


def test_the_tls_variables_override_the_urls_options() -> None:
    url = SecretStr("postgresql://landfall@db.example/landfall?sslmode=disable&application_name=me")
    arguments = connect_arguments(DatabaseSettings(url=url, sslmode="verify-full", sslrootcert="/etc/ca.pem"))
    assert (arguments["sslmode"], arguments["sslrootcert"]) == ("verify-full", "/etc/ca.pem")
    assert arguments["application_name"] == "me"


def test_an_encoded_password_reaches_the_driver_decoded() -> None:
    url = "postgresql://u:p%40%2F%3A%3F%25%23%20%C3%BC@h/d"
    assert connect_arguments(DatabaseSettings(url=SecretStr(url)))["password"] == "p@/:?%# ü"


SEED = "tell-no-one"


@given(before=st.text("@:/?#%&=[] x", max_size=4), after=st.text("@:/?#%&=[] x", max_size=4))
def test_a_url_that_is_taken_apart_wrongly_does_not_show_its_password(before: str, after: str) -> None:
    """Where a raw password breaks the URL, the rest of it must not stand in the host, which errors show."""
    url = f"postgresql://landfall:{before}{SEED}{after}@db.example/landfall"
    assert SEED not in shown_of(url)


def shown_of(url: str) -> str:
    """What a person sees of a URL: the complaint, or the URL without its password."""
    try:
        return str(DatabaseSettings(url=SecretStr(url)).sqlalchemy_url())
    except ValueError as error:
        return str(error)
