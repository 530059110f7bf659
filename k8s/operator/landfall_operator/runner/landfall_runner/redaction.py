"""No credential leaves the container: not in the log, not in the report."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import List
from urllib.parse import parse_qs, quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
USER_INFO = re.compile(r"(://[^:/@\s]*:)\S+@")
PASSWORD = re.compile(r"((?:password|passwd|pwd)['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s&,;)}]+)", re.IGNORECASE)


class Redactor:
    """Takes a URL's password out of texts, in each of the spellings that a log shows it in."""

    def __init__(self, url: str, *others: str) -> None:
        spellings = {form for secret in [*_passwords(url), *others] for form in _forms(secret)}
        self._secrets = sorted(filter(None, spellings), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return PASSWORD.sub(r"\1" + HIDDEN, USER_INFO.sub(r"\1" + HIDDEN + "@", text))


def _passwords(url: str) -> List[str]:
    rest = url.partition("://")[2]
    # As SQLAlchemy reads it: up to the last @ before the path, which a password may hold unescaped.
    match = re.match(r"[^:/@]*:(?P<password>.*)@[^@]*$", rest.partition("?")[0])
    found = [match.group("password")] if match else []
    with suppress(ValueError):
        found += parse_qs(urlsplit(url).query).get("password", [])
    return found


def _forms(secret: str) -> List[str]:
    plain = unquote(secret)
    return [secret, plain, quote(plain, safe=""), quote(plain), quote_plus(plain), repr(plain)[1:-1]]
