"""German for the templates of `app.services.geometry`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GEOMETRY: Final[Mapping[str, str]] = {
    "A geometry is an object with a type, not {got}.": "Eine Geometrie ist ein Objekt mit einem type, nicht {got}.",
    "GeoJSON is always in WGS 84 (RFC 7946, section 4). Leave crs out; give longitude and latitude in degrees.": (
        "GeoJSON ist immer in WGS 84 (RFC 7946, Abschnitt 4). Lass crs weg; gib Länge und Breite in Grad an."
    ),
    "{got} is not a type of geometry. Use one of: {allowed}.": (
        "{got} ist kein Geometrietyp. Möglich sind: {allowed}."
    ),
    "A {type} needs the member {member}.": "{type} braucht das Feld {member}.",
    "This must be an array, not {got}. How deep arrays are nested is in RFC 7946, section 3.1.": (
        "Hier muss ein Array stehen, nicht {got}. Wie tief Arrays verschachtelt sind, steht in RFC 7946, Abschnitt 3.1."
    ),
    "This is empty; a geometry has at least one position.": (
        "Dies ist leer; eine Geometrie hat mindestens eine Position."
    ),
    "A coordinate is a number, not {got}.": "Eine Koordinate ist eine Zahl, nicht {got}.",
    "A coordinate is a finite number; NaN, Infinity and numbers that a double cannot hold are not stored.": (
        "Eine Koordinate ist eine endliche Zahl; NaN, Infinity und Zahlen jenseits der doppelten Genauigkeit "
        "werden nicht gespeichert."
    ),
    "A position has two numbers, longitude and latitude; this one has {count}.": (
        "Eine Position besteht aus zwei Zahlen, Länge und Breite; diese hat {count}."
    ),
    "A position has two numbers, longitude and latitude; this one has {count}. Leave altitudes out.": (
        "Eine Position besteht aus zwei Zahlen, Länge und Breite; diese hat {count}. Lass Höhen weg."
    ),
    "The position {lon}, {lat} is out of range: longitude is within ±180 degrees, latitude within ±90.": (
        "Die Position {lon}, {lat} liegt außerhalb des Bereichs: die Länge liegt innerhalb von ±180 Grad, "
        "die Breite innerhalb von ±90."
    ),
    "The position {lon}, {lat} is out of range: longitude comes first. Are the two swapped?": (
        "Die Position {lon}, {lat} liegt außerhalb des Bereichs: die Länge kommt zuerst. Sind beide vertauscht?"
    ),
    (
        "The longitude {lon} is out of range. Cut what crosses the antimeridian in two at ±180 (RFC 7946, "
        "section 3.1.9)."
    ): (
        "Die Länge {lon} liegt außerhalb des Bereichs. Teile, was den Antimeridian kreuzt, bei ±180 in zwei "
        "(RFC 7946, Abschnitt 3.1.9)."
    ),
    "The position {lon}, {lat} is opposite to the one before it, {first_lon}, {first_lat}, on the Earth: "
    "the line between them could go any way. Put a position between them.": (
        "Die Position {lon}, {lat} liegt der vorigen, {first_lon}, {first_lat}, auf der Erde gegenüber: "
        "die Linie dazwischen könnte überall verlaufen. Setze eine Position dazwischen."
    ),
    "A line has at least 2 positions; this one has {count}.": (
        "Eine Linie hat mindestens 2 Positionen; diese hat {count}."
    ),
    "A line has at least 2 different positions; this one stays at {lon}, {lat}.": (
        "Eine Linie hat mindestens 2 verschiedene Positionen; diese bleibt bei {lon}, {lat}."
    ),
    "A ring has at least 4 positions, of which the last repeats the first; this one has {count}.": (
        "Ein Ring hat mindestens 4 Positionen, von denen die letzte die erste wiederholt; dieser hat {count}."
    ),
    (
        "The ring is not closed: it starts at {first_lon}, {first_lat} and ends at {lon}, {lat}. Repeat the "
        "first position at the end."
    ): (
        "Der Ring ist nicht geschlossen: er beginnt bei {first_lon}, {first_lat} und endet bei {lon}, {lat}. "
        "Wiederhole am Ende die erste Position."
    ),
    "The ring encloses no area: all its positions are on one line.": (
        "Der Ring umschließt keine Fläche: alle seine Positionen liegen auf einer Linie."
    ),
    "The same ring is there twice.": "Derselbe Ring ist zweimal vorhanden.",
    "The boundary crosses itself, or runs along itself, at {lon}, {lat}.": (
        "Die Grenze kreuzt sich bei {lon}, {lat} selbst oder läuft dort an sich entlang."
    ),
    "The ring touches itself at {lon}, {lat}. Make the part that it cuts off a hole or a polygon.": (
        "Der Ring berührt sich bei {lon}, {lat} selbst. Mach aus dem Teil, den er abtrennt, ein Loch oder ein Polygon."
    ),
    "The hole is outside its polygon's outer ring at {lon}, {lat}.": (
        "Das Loch liegt bei {lon}, {lat} außerhalb des äußeren Rings seines Polygons."
    ),
    "The hole is inside another hole at {lon}, {lat}.": "Das Loch liegt bei {lon}, {lat} in einem anderen Loch.",
    "The polygon is inside another polygon of the same geometry at {lon}, {lat}.": (
        "Das Polygon liegt bei {lon}, {lat} in einem anderen Polygon derselben Geometrie."
    ),
    "Holes cut the polygon in two at {lon}, {lat}. Make it two polygons.": (
        "Löcher teilen das Polygon bei {lon}, {lat} in zwei. Mach zwei Polygone daraus."
    ),
    "The geometry is not valid at {lon}, {lat}.": "Die Geometrie ist bei {lon}, {lat} ungültig.",
    "GeometryCollections may be nested {limit} deep at most.": (
        "GeometryCollections dürfen höchstens {limit} tief verschachtelt sein."
    ),
    "A geometry may have {limit} positions at most.": "Eine Geometrie darf höchstens {limit} Positionen haben.",
    "bbox is four numbers in degrees: west,south,east,north.": (
        "bbox besteht aus vier Zahlen in Grad: west,south,east,north."
    ),
    "bbox is out of range: west and east are within ±180 degrees, south and north within ±90.": (
        "bbox liegt außerhalb des Bereichs: west und east liegen innerhalb von ±180 Grad, south und north "
        "innerhalb von ±90."
    ),
    "bbox has its south {south} above its north {north}. The order is west,south,east,north.": (
        "In bbox liegt south {south} über north {north}. Die Reihenfolge ist west,south,east,north."
    ),
    "bbox encloses no area: west and east, and south and north, have to differ.": (
        "bbox umschließt keine Fläche: west und east sowie south und north müssen sich unterscheiden."
    ),
    "near is three numbers, degrees and metres: lon,lat,metres.": (
        "near besteht aus drei Zahlen, Grad und Meter: lon,lat,metres."
    ),
    "near is out of range: lon is within ±180 degrees, lat within ±90.": (
        "near liegt außerhalb des Bereichs: lon liegt innerhalb von ±180 Grad, lat innerhalb von ±90."
    ),
    "near has a distance of {metres} m; it must be above 0 and at most {limit} m.": (
        "near hat einen Abstand von {metres} m; er muss über 0 und darf höchstens {limit} m sein."
    ),
}
