from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import bindparam, null, select

from app.db.prepared import PREPARED
from app.db.types import Database, Guids, is_among
from app.models import User
from app.queries.site_versions import VERSION

_USERS = User.__table__.c
_CALLERS = select(_USERS.id, _USERS.role, _USERS.password_hash, null().label("version"))
_VERSIONED = select(_USERS.id, _USERS.role, _USERS.password_hash, VERSION.label("version"))
_ASKED = is_among(_USERS.id, bindparam("ids", type_=Guids))
# Built once: one of them is the first statement of every request.
CALLERS, VERSIONED = (some.where(_ASKED).execution_options(**{PREPARED: True}) for some in (_CALLERS, _VERSIONED))
# For a statement that reads something else by the way.
VERSIONED_CALLER = _VERSIONED.where(_USERS.id == bindparam("caller_id"))


class Caller(NamedTuple):
    """A user as a request has to know them, and which version the sites are of where that was asked."""

    id: uuid.UUID
    role: str
    password_hash: str
    sites_version: str | None


def fetch_callers(
    database: Database, ids: Collection[uuid.UUID], *, with_version: bool = False
) -> dict[uuid.UUID, Caller]:
    """Those that there are, by their ids; all of one moment."""
    rows = database.execute(VERSIONED if with_version else CALLERS, {"ids": ids})
    return {row.id: Caller(*row) for row in rows}
