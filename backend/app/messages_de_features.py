"""German for the pages of OGC API - Features, and for what is wrong with their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FEATURES: Final[Mapping[str, str]] = {
    "The box's lower corner is not below its upper one. Mind the order of the system's axes.": (
        "Die untere Ecke des Rahmens liegt nicht unter der oberen. Achte auf die Reihenfolge der Achsen des Systems."
    ),
    "The box's west is not west of its east, and only boxes in degrees may cross the antimeridian.": (
        "Der Westen des Rahmens liegt nicht westlich seines Ostens, und nur Rahmen in Grad dürfen über den "
        "180. Längengrad reichen."
    ),
    "Coordinates are taken as longitude and latitude: leave the header out, or say {known}.": (
        "Koordinaten werden als Länge und Breite genommen: Lass den Header weg, oder nenne {known}."
    ),
    "coordinates in projected systems": "Koordinaten in projizierten Systemen",
    "Sites of field operations by OGC API - Features.": "Standorte im Außendienst nach OGC API - Features.",
    "Places of work, with any type of geometry. The time of a site is its last change, updated_at.": (
        "Arbeitsorte mit Geometrien jeder Art. Die Zeit eines Standorts ist seine letzte Änderung, updated_at."
    ),
    "Where you are": "Wo du bist",
    "Links": "Verweise",
    "Collections": "Sammlungen",
    "Conformance": "Konformität",
    "The operations": "Die Operationen",
    "The service passes these conformance classes:": "Der Dienst erfüllt diese Konformitätsklassen:",
    "Coordinate reference systems": "Koordinatenreferenzsysteme",
    "Sites": "Standorte",
    "The sites (needs a token)": "Die Standorte (nur mit Token)",
    "What filters may name": "Was Filter nennen dürfen",
    "Type": "Typ",
    "Extent": "Ausdehnung",
    "Stored in": "Gespeichert in",
    "Matches": "Treffer",
    "One page of sites": "Eine Seite mit Standorten",
    "Name": "Name",
    "Kind": "Art",
    "Geometry": "Geometrie",
    "Changed": "Geändert",
    "No site matches.": "Kein Standort passt.",
    "Pages": "Seiten",
    "The next page": "Die nächste Seite",
    "The page before": "Die Seite davor",
    "Properties": "Eigenschaften",
    "Needs a token.": "Nur mit Token.",
    "Parameters": "Parameter",
    "Answers": "Antworten",
}
