"""Who asks: one look-up for all that wait, none that is older than a request."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import event, text, update

from app.db.session import DatabaseSessionManager
from app.db.shares import LOOK_UPS
from app.errors import DatabaseUnavailableError, TokenInvalidError
from app.models import User, UserRole
from app.services.auth import Authenticator
from app.services.callers import Callers
from app.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(settings: Settings) -> Iterator[DatabaseSessionManager]:
    with DatabaseSessionManager(settings.database) as database:
        yield database


class LookUps:
    """The look-ups that reach the database: how many, and a gate that holds those to come."""

    def __init__(self, database: DatabaseSessionManager) -> None:
        self.begun = 0
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        event.listen(database.engine, "before_cursor_execute", self._note)

    def _note(self, _: object, __: object, statement: str, *___: object) -> None:
        if "password_hash" in statement and statement.startswith("SELECT"):
            self.begun += 1
            self.gate.wait(10)
            if self.fault is not None:
                raise self.fault

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(5):
            while self.begun < count:  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(0.01)


class Yard:
    def __init__(self, database: DatabaseSessionManager, settings: Settings, *, users: int) -> None:
        authenticator = Authenticator(settings.auth)
        self.database = database
        self.callers = Callers(database, authenticator)
        self.ids = [uuid.uuid4() for _ in range(users)]
        with database.session() as session, session.begin():
            for user_id in self.ids:
                session.add(
                    User(id=user_id, email=f"{user_id}@example.com", role="editor", locale="en", password_hash="h")
                )
        self.tokens = [authenticator.issue(user_id, password_hash="h").text for user_id in self.ids]
        self.look_ups = LookUps(database)

    def ask(self, number: int = 0) -> asyncio.Task[UserRole]:
        return asyncio.create_task(self.ask_here(number))

    async def ask_here(self, number: int = 0) -> UserRole:
        token = self.tokens[number]
        actor, _ = await self.callers.identify(token, client=None, request_id=None)
        assert actor.id == self.ids[self.tokens.index(token)]
        return actor.role

    def change(self, number: int, role: str) -> None:
        with self.database.session() as session, session.begin():
            session.execute(update(User).where(User.id == self.ids[number]).values(role=role))


async def test_all_that_wait_are_looked_up_at_once_and_each_gets_their_own(
    database: DatabaseSessionManager, settings: Settings
) -> None:
    yard = Yard(database, settings, users=3)
    yard.change(1, "viewer")
    yard.change(2, "admin")
    roles = await asyncio.gather(*(yard.ask(number % 3) for number in range(60)))
    assert roles == ["editor", "viewer", "admin"] * 20
    assert yard.look_ups.begun == 1


async def test_a_request_is_answered_by_no_look_up_that_began_before_it(
    database: DatabaseSessionManager, settings: Settings
) -> None:
    yard = Yard(database, settings, users=1)
    yard.look_ups.gate.clear()
    early = []
    for begun in range(1, LOOK_UPS + 1):
        early.append(yard.ask())
        await yard.look_ups.reach(begun)
    late = [yard.ask() for _ in range(20)]
    await asyncio.sleep(0)
    assert yard.look_ups.begun == LOOK_UPS  # so many may hang, and no more connections are taken
    yard.look_ups.gate.set()
    await asyncio.gather(*early, *late)
    assert yard.look_ups.begun == LOOK_UPS + 1


async def test_a_request_that_comes_while_look_ups_end_is_answered_too(
    database: DatabaseSessionManager, settings: Settings
) -> None:
    """All look-ups end in one turn of the loop, and whom the first one answered asks again before it is forgotten."""
    yard = Yard(database, settings, users=1)

    async def twice() -> None:
        await yard.ask_here()
        await yard.ask_here()

    yard.look_ups.gate.clear()
    first = asyncio.create_task(twice())
    await yard.look_ups.reach(1)
    others = []
    for begun in range(2, LOOK_UPS + 1):
        others.append(yard.ask())
        await yard.look_ups.reach(begun)
    yard.look_ups.gate.set()
    time.sleep(0.5)  # the loop stands still until the threads are done  # noqa: ASYNC251
    async with asyncio.timeout(5):
        await asyncio.gather(first, *others)


async def test_who_was_deleted_or_has_another_password_is_refused_beside_others(
    database: DatabaseSessionManager, settings: Settings
) -> None:
    yard = Yard(database, settings, users=3)
    with database.session() as session, session.begin():
        session.execute(text("DELETE FROM users WHERE email = :email"), {"email": f"{yard.ids[0]}@example.com"})
        session.execute(update(User).where(User.id == yard.ids[1]).values(password_hash="another"))
    results = await asyncio.gather(*(yard.ask(number) for number in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [TokenInvalidError, TokenInvalidError, UserRole]


async def test_a_look_up_that_fails_fails_those_that_waited_for_it_and_no_other(
    database: DatabaseSessionManager, settings: Settings
) -> None:
    yard = Yard(database, settings, users=2)
    yard.look_ups.fault = DatabaseUnavailableError()
    results = await asyncio.gather(yard.ask(0), yard.ask(1), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailableError] * 2
    yard.look_ups.fault = None
    assert await yard.ask(0) == "editor"


async def test_a_request_that_is_given_up_takes_nobody_along(
    database: DatabaseSessionManager, settings: Settings
) -> None:
    yard = Yard(database, settings, users=2)
    yard.look_ups.gate.clear()
    given_up, patient = yard.ask(0), yard.ask(1)
    await yard.look_ups.reach(1)
    given_up.cancel()
    yard.look_ups.gate.set()
    assert await patient == "editor"
    assert given_up.cancelled()
