"""Purging in batches, on either dialect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from app.db.purge import purge
from app.db.session import DatabaseSessionManager
from app.models import LoginAttempt
from app.settings import Settings

NOW = datetime.now(UTC)
EXPIRED = LoginAttempt.occurred_at < NOW - timedelta(minutes=1)


def add(session: Session, *, old: int) -> None:
    ages = {f"old {number}": timedelta(minutes=2) for number in range(old)} | {"fresh": timedelta(0)}
    session.add_all(LoginAttempt(email=name, occurred_at=NOW - age) for name, age in ages.items())


@pytest.mark.parametrize("old", [0, 1, 4, 5])
def test_all_that_has_expired_goes_a_batch_at_a_time(settings: Settings, old: int) -> None:
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        with session.begin():
            add(session, old=old)
        commits: list[Session] = []
        event.listen(session, "after_commit", commits.append)

        assert purge(session, LoginAttempt, EXPIRED, batch_rows=2) == old

        assert len(commits) == old // 2 + 1
        assert session.scalars(select(LoginAttempt.email)).all() == ["fresh"]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_rows_that_somebody_else_holds_are_left_to_them(settings: Settings) -> None:
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        with session.begin():
            add(session, old=2)
        with database.session() as other, other.begin():
            other.scalars(select(LoginAttempt).where(LoginAttempt.email == "old 0").with_for_update()).one()
            assert purge(session, LoginAttempt, EXPIRED) == 1
        assert purge(session, LoginAttempt, EXPIRED) == 1
