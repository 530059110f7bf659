"""German for exports; a part of `app.messages_de`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXPORTS: Final[Mapping[str, str]] = {
    "export": "Export",
    "The format is not available": "Das Format ist nicht verfügbar",
    "This installation cannot write {format}. Install landfall-backend[export], or an image that was built with it.": (
        "Diese Installation kann {format} nicht schreiben. Installiere landfall-backend[export] oder ein Image, das "
        "damit gebaut wurde."
    ),
    "Too many exports": "Zu viele Exporte",
    "You have {limit} exports that are not finished. Wait for them, or delete some.": (
        "Du hast {limit} Exporte, die nicht fertig sind. Warte auf sie oder lösche welche."
    ),
}
