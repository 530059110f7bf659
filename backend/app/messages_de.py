"""German, for `app.messages`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.messages_de_exports import EXPORTS
from app.messages_de_features import FEATURES
from app.messages_de_filter import FILTER
from app.messages_de_geometry import GEOMETRY
from app.messages_de_imports import IMPORTS

# Titles, details, field messages and nouns, by their English template; a translation has the same placeholders.
TEMPLATES: Final[Mapping[str, str]] = {
    **GEOMETRY,
    **FILTER,
    **IMPORTS,
    **EXPORTS,
    **FEATURES,
    "Internal error": "Interner Fehler",
    "Something went wrong here. Quote the request id when you report it.": (
        "Hier ist etwas schiefgegangen. Nenne bei einer Meldung bitte die Anfragenummer (request_id)."
    ),
    "Not found": "Nicht gefunden",
    "There is no {noun} with the id {id}.": "Nicht vorhanden: {noun} mit der Kennung {id}.",
    "There is nothing at this address.": "Unter dieser Adresse gibt es nichts.",
    "Method not allowed": "Methode nicht erlaubt",
    "This address does not take this method: see the header Allow.": (
        "Diese Adresse nimmt diese Methode nicht an: siehe die Kopfzeile Allow."
    ),
    "The request cannot be read": "Die Anfrage ist nicht lesbar",
    "The request's body cannot be read as what its Content-Type says.": (
        "Der Inhalt der Anfrage lässt sich nicht als das lesen, was Content-Type nennt."
    ),
    "The request is not valid": "Die Anfrage ist ungültig",
    "Some of the request's fields are wrong: see errors.": "Einige Felder der Anfrage sind falsch: siehe errors.",
    "A parameter is not valid": "Ein Parameter ist ungültig",
    "Some of the request's parameters are unknown or wrong: see errors.": (
        "Einige Parameter der Anfrage sind unbekannt oder falsch: siehe errors."
    ),
    "Outside of the reference system": "Außerhalb des Bezugssystems",
    "Some of these sites are where {crs} is not defined. Ask for another system, or for a smaller area.": (
        "Einige dieser Standorte liegen, wo {crs} nicht definiert ist. "
        "Verlange ein anderes System oder ein kleineres Gebiet."
    ),
    "No acceptable representation": "Keine annehmbare Darstellung",
    "This is served as {offered}. Name one of them in the header Accept, or use f=json or f=html.": (
        "Dies gibt es als {offered}. Nenne eines davon in der Kopfzeile Accept, oder nimm f=json oder f=html."
    ),
    "The geometry is not valid": "Die Geometrie ist ungültig",
    "The geometry cannot be stored: see errors.": "Die Geometrie kann nicht gespeichert werden: siehe errors.",
    "value is not a valid email address": "Ist keine gültige E-Mail-Adresse",
    "The cursor is not valid": "Der Cursor ist ungültig",
    "The cursor is not one that this list gave for this sort order. Start again without it.": (
        "Diesen Cursor hat diese Liste für diese Sortierung nicht vergeben. Beginne ohne ihn von vorn."
    ),
    "Conflict": "Konflikt",
    "Another {noun} already has this {field}.": "Bereits vergeben: {field} ({noun}).",
    "The change contradicts what is stored: its key is taken, or something that it refers to is gone.": (
        "Die Änderung widerspricht dem Bestand: Ihr Schlüssel ist vergeben, oder etwas, worauf sie verweist, fehlt."
    ),
    "Changed at the same time": "Gleichzeitig geändert",
    "Another request changed the same thing at the same time. Read it again, then repeat the change.": (
        "Eine andere Anfrage hat zur selben Zeit dasselbe geändert. Lies es neu und wiederhole die Änderung."
    ),
    "The version does not match": "Die Version stimmt nicht überein",
    "The {noun} has changed: its version is now {version}. Read it again, then repeat the change.": (
        "Inzwischen geändert: {noun} hat jetzt die Version {version}. Lies neu und wiederhole die Änderung."
    ),
    "There is no version to match": "Es gibt keine Version, die passen könnte",
    "There is no {noun} with the id {id}, so If-Match cannot match. Look for it, or make a new one.": (
        "Nicht vorhanden: {noun} mit der Kennung {id}, daher passt kein If-Match. Suche danach, oder lege neu an."
    ),
    "The idempotency key was used before": "Der Idempotency-Key wurde schon benutzt",
    "This Idempotency-Key came with another request before. Use a new key for a new request.": (
        "Dieser Idempotency-Key kam schon mit einer anderen Anfrage. Nimm für eine neue Anfrage einen neuen."
    ),
    "Login failed": "Anmeldung fehlgeschlagen",
    "The e-mail address or the password is wrong.": "E-Mail-Adresse oder Passwort ist falsch.",
    "The password is wrong": "Das Passwort ist falsch",
    "A new password needs the current one, and current_password is not it.": (
        "Ein neues Passwort braucht das bisherige, und current_password ist nicht dieses."
    ),
    "Not logged in": "Nicht angemeldet",
    "This needs a valid access token. Get one at /api/v1/auth/token.": (
        "Dafür ist ein gültiges Zugangstoken nötig. Hole eines unter /api/v1/auth/token."
    ),
    "Permission denied": "Keine Berechtigung",
    "This needs the role {role}; yours is {own_role}.": "Dafür ist die Rolle {role} nötig; deine ist {own_role}.",
    "Too many attempts": "Zu viele Versuche",
    "Too many failed logins. Try again in {seconds} seconds.": (
        "Zu viele fehlgeschlagene Anmeldungen. Versuche es in {seconds} Sekunden wieder."
    ),
    "The body is too large": "Der Inhalt ist zu groß",
    "An import may have {limit} bytes at most, compressed and not. Send it in parts.": (
        "Ein Import darf höchstens {limit} Bytes haben, gepackt wie entpackt. Sende ihn in Teilen."
    ),
    "The request body may have {limit} bytes at most.": "Der Inhalt der Anfrage darf höchstens {limit} Bytes haben.",
    "Unsupported media type": "Medientyp nicht unterstützt",
    "The body must be {expected}.": "Der Inhalt muss {expected} sein.",
    "Temporarily unavailable": "Vorübergehend nicht verfügbar",
    "The service cannot answer right now. Try again in {seconds} seconds.": (
        "Der Dienst kann gerade nicht antworten. Versuche es in {seconds} Sekunden wieder."
    ),
    "The database is away": "Die Datenbank ist nicht erreichbar",
    "The database does not answer. Try again in {seconds} seconds.": (
        "Die Datenbank antwortet nicht. Versuche es in {seconds} Sekunden wieder."
    ),
    "The artifact store is away": "Der Dateispeicher ist nicht erreichbar",
    "The artifact store does not answer. Try again in {seconds} seconds.": (
        "Der Dateispeicher antwortet nicht. Versuche es in {seconds} Sekunden wieder."
    ),
    "Too busy": "Überlastet",
    "Too many requests at once. Try again in {seconds} seconds.": (
        "Zu viele Anfragen auf einmal. Versuche es in {seconds} Sekunden wieder."
    ),
    "The request took too long": "Die Anfrage hat zu lange gedauert",
    "The request took too long and was given up. Try again in {seconds} seconds, or ask for less.": (
        "Die Anfrage hat zu lange gedauert und wurde aufgegeben. "
        "Versuche es in {seconds} Sekunden wieder, oder verlange weniger."
    ),
    "The artifact is in another state": "Die Datei ist in einem anderen Zustand",
    "The artifact is {state}; this needs {expected}.": "Die Datei ist im Zustand {state}; nötig ist {expected}.",
    "The upload is not there": "Die hochgeladenen Daten fehlen",
    "The artifact's bytes have not arrived: {reason}. Upload them, then complete it again.": (
        "Die Daten der Datei sind nicht angekommen: {reason}. Lade sie hoch und schließe dann erneut ab."
    ),
    "The upload is not what was announced": "Die hochgeladenen Daten sind nicht die angekündigten",
    "The uploaded {what} is {actual}, announced was {expected}. Upload it again.": (
        "Hochgeladen wurde {what} = {actual}, angekündigt war {expected}. Lade die Datei erneut hoch."
    ),
    "A reference is not valid": "Ein Verweis ist ungültig",
    "The {noun} refers to something that does not exist, or something still refers to it.": (
        "Ungültiger Verweis ({noun}): Das Ziel gibt es nicht, oder etwas anderes verweist noch darauf."
    ),
    "The URL is not valid": "Die URL ist ungültig",
    "This URL was changed or was not signed here. Ask the artifact for a new one.": (
        "Diese URL wurde verändert oder nicht hier signiert. Hole bei der Datei eine neue."
    ),
    "The URL has expired": "Die URL ist abgelaufen",
    "This URL has expired. Ask the artifact for a new one.": (
        "Diese URL ist abgelaufen. Hole bei der Datei eine neue."
    ),
    "The artifact is too large": "Die Datei ist zu groß",
    "An artifact may have {limit} bytes at most.": "Eine Datei darf höchstens {limit} Bytes haben.",
    "There is no such part": "Diesen Teil gibt es nicht",
    "This upload has the parts 1 to {count}.": "Dieser Upload hat die Teile 1 bis {count}.",
    "The user is in use": "Der Benutzer wird noch gebraucht",
    "Sites or artifacts belong to this user. Delete them first.": (
        "Diesem Benutzer gehören Standorte oder Dateien. Lösche sie zuerst."
    ),
    "The last administrator stays": "Der letzte Administrator bleibt",
    "Without this user there would be no administrator. Make another user one first.": (
        "Ohne diesen Benutzer gäbe es keinen Administrator. Mache zuerst einen anderen dazu."
    ),
    "The JSON does not parse at character {position}: {reason}.": (
        "Das JSON ist bei Zeichen {position} nicht lesbar: {reason}."
    ),
    "Must be one of: {expected}.": "Muss eines von diesen sein: {expected}.",
    "user": "Benutzer",
    "site": "Standort",
    "tile": "Kachel",
    "vector tiles": "Vektorkacheln",
    "spatial functions of CQL2 other than s_intersects with a BBOX": (
        "räumliche Funktionen von CQL2 außer s_intersects mit einer BBOX"
    ),
    "Not available on SQLite": "Mit SQLite nicht verfügbar",
    "This service runs on SQLite, which cannot do this: {what}. Set DATABASE_URL to a PostgreSQL with PostGIS.": (
        "Dieser Dienst läuft mit SQLite, das dies nicht kann: {what}. Setze DATABASE_URL auf PostgreSQL mit PostGIS."
    ),
    "task": "Aufgabe",
    "artifact": "Datei",
}

# By pydantic's error type, with its context as placeholders.
FIELD_MESSAGES: Final[Mapping[str, str]] = {
    "missing": "Pflichtfeld",
    "extra_forbidden": "Dieses Feld gibt es nicht",
    "none_required": "Muss leer (null) sein",
    "model_type": "Muss ein Objekt sein",
    "model_attributes_type": "Muss ein Objekt sein",
    "dataclass_type": "Muss ein Objekt sein",
    "dict_type": "Muss ein Objekt sein",
    "mapping_type": "Muss ein Objekt sein",
    "list_type": "Muss eine Liste sein",
    "tuple_type": "Muss eine Liste sein",
    "set_type": "Muss eine Liste sein",
    "frozen_set_type": "Muss eine Liste sein",
    "iterable_type": "Muss eine Liste sein",
    "too_short": "Braucht mindestens {min_length} Einträge, hat aber {actual_length}",
    "too_long": "Darf höchstens {max_length} Einträge haben",
    "string_type": "Muss ein Text sein",
    "string_too_short": "Braucht mindestens {min_length} Zeichen",
    "string_too_long": "Darf höchstens {max_length} Zeichen haben",
    "string_pattern_mismatch": "Muss dem Muster „{pattern}“ entsprechen",
    "string_unicode": "Enthält ungültige Unicode-Zeichen",
    "string_not_ascii": "Darf nur ASCII-Zeichen enthalten",
    "enum": "Muss {expected} sein",
    "literal_error": "Muss {expected} sein",
    "bool_type": "Muss wahr oder falsch (true, false) sein",
    "bool_parsing": "Muss wahr oder falsch (true, false) sein",
    "int_type": "Muss eine ganze Zahl sein",
    "int_parsing": "Muss eine ganze Zahl sein",
    "int_parsing_size": "Die Zahl ist zu groß",
    "int_from_float": "Muss eine ganze Zahl ohne Nachkommastellen sein",
    "float_type": "Muss eine Zahl sein",
    "float_parsing": "Muss eine Zahl sein",
    "finite_number": "Muss eine endliche Zahl sein",
    "decimal_type": "Muss eine Dezimalzahl sein",
    "decimal_parsing": "Muss eine Dezimalzahl sein",
    "greater_than": "Muss größer als {gt} sein",
    "greater_than_equal": "Muss mindestens {ge} sein",
    "less_than": "Muss kleiner als {lt} sein",
    "less_than_equal": "Darf höchstens {le} sein",
    "multiple_of": "Muss ein Vielfaches von {multiple_of} sein",
    "date_type": "Muss ein Datum sein",
    "date_parsing": "Muss ein Datum wie 2025-01-31 sein",
    "date_from_datetime_parsing": "Muss ein Datum wie 2025-01-31 sein",
    "date_from_datetime_inexact": "Muss ein Datum ohne Uhrzeit sein",
    "time_type": "Muss eine Uhrzeit sein",
    "time_parsing": "Muss eine Uhrzeit wie 08:30:00 sein",
    "datetime_type": "Muss ein Zeitpunkt sein",
    "datetime_parsing": "Muss ein Zeitpunkt wie 2025-01-31T08:30:00Z sein",
    "datetime_from_date_parsing": "Muss ein Zeitpunkt wie 2025-01-31T08:30:00Z sein",
    "datetime_object_invalid": "Ist kein gültiger Zeitpunkt",
    "datetime_past": "Muss in der Vergangenheit liegen",
    "datetime_future": "Muss in der Zukunft liegen",
    "timezone_aware": "Braucht eine Zeitzone",
    "timezone_naive": "Darf keine Zeitzone haben",
    "time_delta_type": "Muss eine Dauer sein",
    "time_delta_parsing": "Muss eine Dauer sein",
    "uuid_type": "Muss eine UUID sein",
    "uuid_parsing": "Muss eine UUID sein",
    "uuid_version": "Muss eine UUID der Version {expected_version} sein",
    "url_type": "Muss eine URL sein",
    "url_parsing": "Muss eine URL sein",
    "url_too_long": "Die URL darf höchstens {max_length} Zeichen haben",
    "url_scheme": "Das Schema der URL muss {expected_schemes} sein",
    "union_tag_not_found": "Das Feld {discriminator} fehlt, das die Art angibt",
    "json_type": "Muss JSON sein",
    "bytes_type": "Muss aus Bytes bestehen",
    "assertion_error": "Ist ungültig",
    "recursion_loop": "Verweist auf sich selbst",
    # Our own, raised by the schemas.
    "json_too_large": "Das Objekt darf höchstens {values} Werte und {depth} Ebenen haben",
    "json_not_finite": "NaN und Infinity sind kein JSON",
    "json_text": "Texte dürfen weder NUL noch ein halbes Surrogatpaar enthalten",
    "datetime_iso": "Muss ein Zeitpunkt nach ISO 8601 sein, etwa 2026-11-30T08:00:00Z",
    "crs_unknown": "Muss eines dieser Systeme sein: {known}",
    "bbox_form": "Muss aus vier Zahlen bestehen, mit Höhen aus sechs: erst die untere Ecke, dann die obere",
    "interval_form": "Muss ein Zeitpunkt nach RFC 3339 sein, oder zwei mit Schrägstrich, davon einer womöglich '..'",
    "interval_order": "Der Zeitraum endet, bevor er beginnt",
    "datetime_range": "Die Zeit muss zwischen den Jahren 1900 und 9000 liegen",
    "property_unknown": "Unbekannte Eigenschaft: {name}. Es gibt {known}",
    "password_too_short": "Das Passwort braucht mindestens {limit} Zeichen",
    "password_too_long": "Das Passwort darf höchstens {limit} Bytes haben und weder NUL noch ein halbes Surrogatpaar",
}
