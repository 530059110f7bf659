"""What an error means, whichever driver raised it: a reason, what to do, and whether time may heal it."""

from __future__ import annotations

import os
import traceback
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

import alembic
import sqlalchemy

from . import report
from .report import Stop


class Meaning(NamedTuple):
    reason: str
    advice: str = ""
    transient: bool = False


AWAY = Meaning("DatabaseAway", "", True)
DUPLICATE = ("42P07", "42701", "42710", "42P06")
PASSWORD = Meaning("WrongPassword", "Correct the password in the Secret that spec.database.urlFrom names.")
LOGIN = Meaning("LoginRefused", "Look at the URL's user and its sslmode, and at the server's pg_hba.conf.")
NO_DATABASE = Meaning("DatabaseMissing", "Create the database, or correct its name in the URL.")
TLS = Meaning(
    "TlsMismatch",
    "The URL and the server disagree about TLS: correct sslmode and sslrootcert in the URL, or the server's setting.",
)
HOST = Meaning(
    "HostUnknown",
    "If the host is misspelt, correct it in the URL; if its Service is still to come, this is tried again.",
    True,
)
FULL = Meaning("TooManyConnections", "Free some of the server's connections, or raise its limit.", True)
URL = Meaning("UrlInvalid", "Correct the URL in the Secret that spec.database.urlFrom names.")
DENIED = Meaning(
    "PermissionDenied", "Let the role that owns the schema migrate, or grant its privileges to the URL's user."
)
DATA = Meaning("DataRefused", "Rows that are there break the new rule: mend them in an earlier revision.")
DISK = Meaning("DiskFull", "Make room on the server, then ask for a retry.")
LOCK = Meaning(
    "LockTimeout",
    "Another session held a lock for longer than spec.policy.lockTimeout, in each try: end it, or choose a quiet hour.",
    True,
)
OBJECT_THERE = Meaning(
    "ObjectExists",
    "What the revision makes is there already, so the schema is not what the revisions before left behind: "
    "drop it, or stamp the database (alembic stamp) with the revision that it is really at.",
)

BY_STATE: Dict[str, Meaning] = {
    "08P01": Meaning("ProtocolError", "Something between here and the server does not speak PostgreSQL."),
    "0A000": Meaning("NotSupported", "The server's version or its extensions lack it: upgrade it, or install them."),
    "22P02": DATA,
    "23502": DATA,
    "23503": DATA,
    "23505": DATA,
    "23514": DATA,
    "25006": Meaning(
        "ReadOnlyServer", "The server or the role only reads: give the primary's address, and a role that may write."
    ),
    "28000": LOGIN,
    "28P01": PASSWORD,
    "3D000": NO_DATABASE,
    "3F000": Meaning("SchemaMissing", "Create the schema, in a revision or by hand."),
    "40001": Meaning("SerializationFailure", "", True),
    "40P01": Meaning("Deadlock", "Another session and the migration waited for each other.", True),
    "42501": DENIED,
    "42704": Meaning("StatementFailed", "It may come with an extension that this database lacks."),
    "42883": Meaning("StatementFailed", "It may come with an extension or a newer server than this one."),
    "53100": DISK,
    "53200": Meaning("ServerOutOfMemory", "Give the server more memory, or lower maintenance_work_mem and work_mem."),
    "53300": FULL,
    "54000": Meaning("ServerLimit", "The statement goes past a limit of the server: split it."),
    "55P03": LOCK,
    "57014": Meaning(
        "StatementCanceled",
        "Somebody canceled it, or a statement_timeout of the role or database did: "
        "SET LOCAL statement_timeout = 0 in the revision lifts that.",
    ),
    "58P01": Meaning("ServerFileMissing", "The server lacks a file, such as an extension's: install it there."),
    **dict.fromkeys(DUPLICATE, OBJECT_THERE),
    **dict.fromkeys(["57P01", "57P02", "57P03", "57P05"], AWAY),
    **dict.fromkeys(["08000", "08001", "08003", "08004", "08006"], AWAY),
}
# libpq gives no SQLSTATE for a refused connection, only the server's words.
BY_WORDS: Tuple[Tuple[str, Optional[str], Meaning], ...] = (
    ("password authentication failed", "28P01", PASSWORD),
    ("no password supplied", "28P01", PASSWORD),
    ("SASL authentication failed", "28P01", PASSWORD),
    ("no pg_hba.conf entry", "28000", LOGIN),
    ("server does not support SSL", None, TLS),
    ("certificate", None, TLS),
    ("SSL error", None, TLS),
    ("invalid sslmode", None, URL),
    ("invalid connection option", None, URL),
    ("invalid URI query parameter", None, URL),
    ("invalid port number", None, URL),
    ("could not translate host name", None, HOST),
    ("failed to resolve host", None, HOST),
    ("Name or service not known", None, HOST),
    ("name resolution", None, HOST),
    ("permission denied for database", "42501", DENIED),
    ('role "', "28000", LOGIN),
    ("is not currently accepting connections", "55000", AWAY),
    ('database "', "3D000", NO_DATABASE),
    ("no such user", "28000", LOGIN),
    ("no such database", "3D000", NO_DATABASE),
    ("too many clients", "53300", FULL),
    ("too many connections", "53300", FULL),
    ("remaining connection slots", "53300", FULL),
    ("No space left on device", "53100", DISK),
)
LOST_WORDS = ("closed", "lost", "terminat", "reset by peer", "broken pipe", "EOF", "refused", "timed out", "timeout")


def explain(error: BaseException) -> Optional[Stop]:
    """The end that a database's error stands for: what the server said, and what to do; None for any other error."""
    for cause in _causes(error):
        state = _sqlstate(cause)
        text = str(getattr(cause, "orig", None) or cause).strip()
        meaning = BY_STATE.get(state or "") or (_by_words(cause, text) if state is None else None)
        if meaning is None and state is not None:
            meaning = Meaning("StatementFailed")
        if meaning is None:
            continue
        state = state or next((code for words, code, _ in BY_WORDS if words in text), None)
        message = " ".join(filter(None, [_sentence(text), meaning.advice]))
        return Stop(meaning.reason, message, transient=meaning.transient, again=meaning.transient, sqlstate=state)
    return None


def unexpected(error: BaseException) -> Stop:
    """The end for what no database said: the application's own code, or Alembic's."""
    if isinstance(error, ModuleNotFoundError):
        return Stop(
            "ModuleMissing",
            "The image lacks the Python module %s, which its env.py or a revision imports." % error.name,
        )
    if isinstance(error, SystemExit):
        return Stop("EnvExited", "env.py or a revision ended the process with the code %r." % (error.code,))
    where = traceback.extract_tb(error.__traceback__)
    place = " (%s, line %s)" % (where[-1].filename, where[-1].lineno) if where else ""
    return Stop("RunFailed", "%s: %s%s" % (type(error).__name__, str(error).strip().split("\n")[0], place))


def traced(error: BaseException) -> str:
    """The traceback through the application's own code; the frames of Alembic and ours say little, and are many."""
    inner = tuple(
        os.path.dirname(os.path.abspath(str(module.__file__))) + os.sep for module in (alembic, sqlalchemy, report)
    )
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*inner, "<frozen importlib"))]
    lines = [*traceback.format_list(own), *traceback.format_exception_only(type(error), error)]
    return "".join(["The application's part of the traceback:\n", *lines]).rstrip()


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = set()
    cause: Optional[BaseException] = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _sqlstate(error: BaseException) -> Optional[str]:
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "pgcode", None) or getattr(origin, "sqlstate", None)
    return str(code) if code else None


def _by_words(error: BaseException, text: str) -> Optional[Meaning]:
    name = type(getattr(error, "orig", None) or error).__name__
    if name == "gaierror":
        return HOST
    if isinstance(error, ConnectionError) or getattr(error, "connection_invalidated", False):
        return AWAY
    if name not in {"OperationalError", "InterfaceError", "ProgrammingError"}:
        return None
    found = next((meaning for words, _, meaning in BY_WORDS if words in text), None)
    if found or name == "ProgrammingError":
        return found
    return AWAY if name == "OperationalError" or any(words in text for words in LOST_WORDS) else None


def _sentence(text: str) -> str:
    """The first line, which is the server's own; psycopg 3 puts each address tried on lines of their own."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    return line if line.endswith((".", "?", "!")) else line + "."
