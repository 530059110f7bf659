"""Rows in bulk."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, MetaData, Table, Text, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from app.db.bulk import batcher, load


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_copy_that_fails_raises_what_other_statements_raise(session: Session) -> None:
    with pytest.raises(ProgrammingError, match="nowhere"):
        load(session, Table("nowhere", MetaData(), Column("a", Text)), batcher(session)([("a",)]))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_copy_is_read_as_what_it_is_whatever_the_connection_has_for_other_texts(session: Session) -> None:
    session.execute(text("SET LOCAL client_encoding TO LATIN1"))
    session.execute(text("CREATE TEMPORARY TABLE words (a text) ON COMMIT DROP"))
    load(session, Table("words", MetaData(), Column("a", Text)), batcher(session)([("Müller",)]))
    assert session.scalar(text("SELECT length(a) FROM words")) == len("Müller")
