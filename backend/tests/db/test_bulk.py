"""Rows in bulk."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, MetaData, Table, Text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from app.db.bulk import batcher, load


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_copy_that_fails_raises_what_other_statements_raise(session: Session) -> None:
    with pytest.raises(ProgrammingError, match="nowhere"):
        load(session, Table("nowhere", MetaData(), Column("a", Text)), batcher(session)([("a",)]))
