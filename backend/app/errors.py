"""What can go wrong, as the caller is told: each error is one RFC 9457 problem.

`title` and `detail` are English templates; `app.messages` translates and `app.middleware.problems` renders them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


class SettingsError(Exception):
    """The environment is unusable; the text is one line that names the variables and never a value."""


@dataclass(frozen=True, kw_only=True)
class FieldProblem:
    """One thing that is wrong with one part of a request; `loc` is its path, such as `("body", "geometry")`.

    `members` are shown beside these.
    """

    loc: Sequence[str | int]
    type: str
    message: str
    params: dict[str, Any]
    members: Mapping[str, Any] = field(default_factory=dict)


class LandfallError(Exception):
    """Base of everything that becomes a problem response; `params` fill `detail` and are shown as members."""

    type: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    detail: ClassVar[str] = "Something went wrong here. Quote the request id when you report it."

    def __init__(
        self, *, headers: dict[str, str] | None = None, errors: Sequence[FieldProblem] = (), **params: Any
    ) -> None:
        self.headers = headers or {}
        self.errors = tuple(errors)
        self.params = params
        super().__init__(self.detail.format(**params))


class NotFoundError(LandfallError):
    type = "not-found"
    status = 404
    title = "Not found"
    detail = "There is no {noun} with the id {id}."


class RouteMissingError(LandfallError):
    type = "no-such-address"
    status = 404
    title = "Not found"
    detail = "There is nothing at this address."


class MethodNotAllowedError(LandfallError):
    type = "method-not-allowed"
    status = 405
    title = "Method not allowed"
    detail = "This address does not take this method: see the header Allow."


class RequestUnreadableError(LandfallError):
    type = "unreadable-request"
    status = 400
    title = "The request cannot be read"
    detail = "The request's body cannot be read as what its Content-Type says."


class RequestInvalidError(LandfallError):
    type = "invalid-request"
    status = 422
    title = "The request is not valid"
    detail = "Some of the request's fields are wrong: see errors."


class ParameterInvalidError(LandfallError):
    type = "invalid-parameter"
    status = 400
    title = "A parameter is not valid"
    detail = "Some of the request's parameters are unknown or wrong: see errors."


class CrsOutOfRangeError(LandfallError):
    type = "crs-out-of-range"
    status = 400
    title = "Outside of the reference system"
    detail = "Some of these sites are where {crs} is not defined. Ask for another system, or for a smaller area."


class NotAcceptableError(LandfallError):
    type = "not-acceptable"
    status = 406
    title = "No acceptable representation"
    detail = "This is served as {offered}. Name one of them in the header Accept, or use f=json or f=html."


class GeometryInvalidError(RequestInvalidError):
    type = "invalid-geometry"
    title = "The geometry is not valid"
    detail = "The geometry cannot be stored: see errors."


class FilterInvalidError(LandfallError):
    type = "filter-invalid"
    status = 400
    title = "The filter is not valid"
    detail = "The filter cannot be used: see errors."


class CursorInvalidError(RequestInvalidError):
    type = "invalid-cursor"
    title = "The cursor is not valid"
    detail = "The cursor is not one that this list gave for this sort order. Start again without it."


class ImportInvalidError(RequestInvalidError):
    type = "import-invalid"
    title = "The import is not valid"
    detail = "Nothing was imported. Features that are wrong: {total}; see errors, which lists {limit} faults at most."


class ConflictError(LandfallError):
    type = "conflict"
    status = 409
    title = "Conflict"
    detail = "Another {noun} already has this {field}."


class ReferenceInvalidError(LandfallError):
    type = "invalid-reference"
    status = 409
    title = "A reference is not valid"
    detail = "The {noun} refers to something that does not exist, or something still refers to it."


class ReferenceConflictError(ConflictError):
    detail = "The change contradicts what is stored: its key is taken, or something that it refers to is gone."


class ConcurrentChangeError(ConflictError):
    type = "concurrent-change"
    title = "Changed at the same time"
    detail = "Another request changed the same thing at the same time. Read it again, then repeat the change."


class VersionMismatchError(LandfallError):
    type = "version-mismatch"
    status = 412
    title = "The version does not match"
    detail = "The {noun} has changed: its version is now {version}. Read it again, then repeat the change."


class NothingMatchesError(LandfallError):
    type = "nothing-matches"
    status = 412
    title = "There is no version to match"
    detail = "There is no {noun} with the id {id}, so If-Match cannot match. Look for it, or make a new one."


class IdempotencyKeyReusedError(LandfallError):
    type = "idempotency-key-reused"
    status = 422
    title = "The idempotency key was used before"
    detail = "This Idempotency-Key came with another request before. Use a new key for a new request."


class CredentialsInvalidError(LandfallError):
    type = "invalid-credentials"
    status = 401
    title = "Login failed"
    detail = "The e-mail address or the password is wrong."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class PasswordWrongError(LandfallError):
    type = "wrong-password"
    status = 403
    title = "The password is wrong"
    detail = "A new password needs the current one, and current_password is not it."


class TokenInvalidError(LandfallError):
    type = "invalid-token"
    status = 401
    title = "Not logged in"
    detail = "This needs a valid access token. Get one at /api/v1/auth/token."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class PermissionDeniedError(LandfallError):
    type = "permission-denied"
    status = 403
    title = "Permission denied"
    detail = "This needs the role {role}; yours is {own_role}."


class LoginLimitedError(LandfallError):
    type = "too-many-attempts"
    status = 429
    title = "Too many attempts"
    detail = "Too many failed logins. Try again in {seconds} seconds."

    def __init__(self, *, seconds: int) -> None:
        super().__init__(headers={"Retry-After": str(seconds)}, seconds=seconds)


class BodyTooLargeError(LandfallError):
    type = "body-too-large"
    status = 413
    title = "The body is too large"
    detail = "The request body may have {limit} bytes at most."


class ImportTooLargeError(BodyTooLargeError):
    detail = "An import may have {limit} bytes at most, compressed and not. Send it in parts."


class MediaTypeUnsupportedError(LandfallError):
    type = "unsupported-media-type"
    status = 415
    title = "Unsupported media type"
    detail = "The body must be {expected}."


class UnavailableError(LandfallError):
    """Base of what passes by itself: the client is asked to come back."""

    type = "unavailable"
    status = 503
    title = "Temporarily unavailable"
    detail = "The service cannot answer right now. Try again in {seconds} seconds."
    retry_after_seconds: ClassVar[int] = 1

    def __init__(self, **params: Any) -> None:
        super().__init__(
            headers={"Retry-After": str(self.retry_after_seconds)}, seconds=self.retry_after_seconds, **params
        )


class DatabaseUnavailableError(UnavailableError):
    type = "database-unavailable"
    title = "The database is away"
    detail = "The database does not answer. Try again in {seconds} seconds."
    retry_after_seconds = 2


class StorageUnavailableError(UnavailableError):
    type = "storage-unavailable"
    title = "The artifact store is away"
    detail = "The artifact store does not answer. Try again in {seconds} seconds."
    retry_after_seconds = 2


class OverloadedError(UnavailableError):
    type = "overloaded"
    title = "Too busy"
    detail = "Too many requests at once. Try again in {seconds} seconds."


class RequestTimeoutError(UnavailableError):
    type = "timeout"
    title = "The request took too long"
    detail = "The request took too long and was given up. Try again in {seconds} seconds, or ask for less."


class ArtifactStateError(LandfallError):
    type = "artifact-state"
    status = 409
    title = "The artifact is in another state"
    detail = "The artifact is {state}; this needs {expected}."


class UrlInvalidError(LandfallError):
    type = "url-invalid"
    status = 403
    title = "The URL is not valid"
    detail = "This URL was changed or was not signed here. Ask the artifact for a new one."


class UrlExpiredError(UrlInvalidError):
    type = "url-expired"
    title = "The URL has expired"
    detail = "This URL has expired. Ask the artifact for a new one."


class ArtifactTooLargeError(LandfallError):
    type = "artifact-too-large"
    status = 422
    title = "The artifact is too large"
    detail = "An artifact may have {limit} bytes at most."


class PartInvalidError(LandfallError):
    type = "invalid-part"
    status = 422
    title = "There is no such part"
    detail = "This upload has the parts 1 to {count}."


class UserInUseError(LandfallError):
    type = "user-in-use"
    status = 409
    title = "The user is in use"
    detail = "Sites or artifacts belong to this user. Delete them first."


class LastAdminError(LandfallError):
    type = "last-admin"
    status = 409
    title = "The last administrator stays"
    detail = "Without this user there would be no administrator. Make another user one first."


class UploadMissingError(LandfallError):
    type = "upload-missing"
    status = 409
    title = "The upload is not there"
    detail = "The artifact's bytes have not arrived: {reason}. Upload them, then complete it again."


class UploadMismatchError(LandfallError):
    type = "upload-mismatch"
    status = 422
    title = "The upload is not what was announced"
    detail = "The uploaded {what} is {actual}, announced was {expected}. Upload it again."


class FormatUnavailableError(LandfallError):
    type = "format-unavailable"
    status = 501
    title = "The format is not available"
    detail = (
        "This installation cannot write {format}. Install landfall-backend[export], or an image that was built with it."
    )


class TooManyExportsError(LandfallError):
    type = "too-many-exports"
    status = 409
    title = "Too many exports"
    detail = "You have {limit} exports that are not finished. Wait for them, or delete some."


class NotOnSqliteError(LandfallError):
    type = "not-on-sqlite"
    status = 501
    title = "Not available on SQLite"
    detail = "This service runs on SQLite, which cannot do this: {what}. Set DATABASE_URL to a PostgreSQL with PostGIS."
