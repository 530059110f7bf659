"""German for imports; a part of `app.messages_de`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

IMPORTS: Final[Mapping[str, str]] = {
    "The import is not valid": "Der Import ist ungültig",
    "Nothing was imported. Features that are wrong: {total}; see errors, which lists {limit} faults at most.": (
        "Nichts wurde importiert. Falsche Features: {total}; siehe errors, wo höchstens {limit} Fehler stehen."
    ),
    "The JSON does not parse at byte {position}: {reason}. Is it whole?": (
        "Das JSON ist ab Byte {position} falsch: {reason}. Ist es vollständig?"
    ),
    "The JSON cannot be read: it is nested too deep, or a number in it is too long.": (
        "Das JSON ist nicht lesbar: Es ist zu tief verschachtelt, oder eine Zahl darin ist zu lang."
    ),
    "This is not UTF-8. Convert it, or unpack it.": "Das ist kein UTF-8. Wandle es um oder entpacke es.",
    "A feature may have {limit} characters at most.": "Ein Feature darf höchstens {limit} Zeichen haben.",
    "This must be a GeoJSON FeatureCollection: an object with the type and an array of features.": (
        "Das muss eine GeoJSON-FeatureCollection sein: ein Objekt mit diesem type und einem Array features."
    ),
    "The coordinates are in another system than WGS 84 by crs. Transform them to longitude and latitude.": (
        "Nach crs sind die Koordinaten nicht in WGS 84. Transformiere sie in Länge und Breite."
    ),
    "The external_id is that of the feature {earlier} (at byte {earlier_byte}) of this import, too.": (
        "Diese external_id hat in diesem Import auch das Feature {earlier} (ab Byte {earlier_byte})."
    ),
}
