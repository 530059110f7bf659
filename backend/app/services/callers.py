"""Who asks: looked up once for all the requests that wait to know."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import NamedTuple, cast

from sqlalchemy import Connection

from app.db.session import DatabaseSessionManager
from app.db.shares import LOOK_UPS
from app.queries.callers import Caller, fetch_callers
from app.services.auth import Authenticator
from app.services.changes import Actor


class _Question(NamedTuple):
    user_id: uuid.UUID
    with_version: bool
    answer: asyncio.Future[Caller | None]
    context: Context  # the first one's is the look-up's, in a trace


class Callers:
    """Looks up whoever sends requests, all that wait by one statement.

    A look-up begins after the requests that it answers have come, so that a lost role is lost at once. Under load, when
    it matters, dozens share one; a statement each, with its transaction, costs as much as a short request's work.
    """

    def __init__(self, reads: DatabaseSessionManager, authenticator: Authenticator) -> None:
        self.reads = reads
        self._authenticator = authenticator
        self._waiting: list[_Question] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def identify(
        self, token: str | None, *, client: str | None, request_id: str | None, with_version: bool = False
    ) -> tuple[Actor, str | None]:
        """The token's user as they are now, and the version of the sites; raises `TokenInvalidError`.

        The version is None unless asked for, and on SQLite.
        """
        claims = self._authenticator.verify(token)
        loop = asyncio.get_running_loop()
        question = _Question(
            claims.user_id, with_version and self.reads.is_postgresql, loop.create_future(), copy_context()
        )
        self._waiting.append(question)
        if len(self._under_way) < LOOK_UPS:
            self._under_way.add(loop.create_task(self._answer_all()))
        caller = await question.answer
        actor = self._authenticator.admit(caller, claims, client=client, request_id=request_id)
        return actor, caller and caller.sites_version

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, []
                await self._answer(asked)
        finally:
            # In one step with the look at who waits: a callback of the task would come after the next request.
            self._under_way.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _answer(self, asked: Sequence[_Question]) -> None:
        loop, context = asyncio.get_running_loop(), asked[0].context
        try:
            look_up = self.reads.read(partial(_look_up, asked))
            found = await loop.create_task(look_up, context=context)
        except BaseException as error:
            for question in asked:
                if not question.answer.done():
                    question.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for question in asked:
                if not question.answer.done():  # its request was given up
                    question.answer.set_result(found.get(question.user_id))


def _look_up(asked: Sequence[_Question], connection: Connection) -> dict[uuid.UUID, Caller]:
    with_version = any(question.with_version for question in asked)
    return fetch_callers(connection, {question.user_id for question in asked}, with_version=with_version)
