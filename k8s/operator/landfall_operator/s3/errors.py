"""What went wrong at a store, and what to do about it: botocore's, minio's and urllib3's errors in our words."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from minio.error import MinioAdminException
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_match_hostname import CertificateError

if TYPE_CHECKING:
    from landfall_operator.s3.connection import Connection

PROBE_SECONDS = 2.0
QUOTED_CHARACTERS = 300
CHAIN_LENGTH = 10

WRONG_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "XAdminUserNotFound"}
WRONG_REGION = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "InvalidLocationConstraint",
    "InvalidRegion",
    "PermanentRedirect",
    "301",
}
CLOCK_SKEW = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
UNSUPPORTED = {"MethodNotAllowed", "NotImplemented", "NotSupported", "UnsupportedOperation", "VersioningNotConfigured"}
# Refusals that another try may well pass.
BUSY = {"OperationAborted", "RequestTimeout", "SlowDown", "Throttling", "TooManyRequests"}
# OpenSSL's names for an answer that is no TLS.
NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}
# Of what stands before a store that is down.
PROXY_FAILURES = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
# Where a right is not called as its operation.
RIGHTS = {
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
}
LOCKED = re.compile(r"ObjectLocked|WORM|object lock", re.IGNORECASE)
REACH = "Is the store up, the address right, and do the NetworkPolicies let the operator through?"
KEYS = "the Secret of spec.store.credentialsSecretRef"


class StoreError(Exception):
    """`reason` is a condition's; `transient`: it may pass by itself; `code` is S3's own name for it, or empty."""

    def __init__(self, *, reason: str, message: str, transient: bool = False, code: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.transient = transient
        self.code = code


class UnsupportedError(StoreError):
    """The server has no such thing."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A server's refusal, whichever way it was asked."""

    status: int
    code: str  # empty where the body is no S3 error
    text: str
    region: str = ""
    right: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    no_admin: bool = False  # MinIO's admin API was asked, which answers in JSON, and something else answered


@contextmanager
def explained(connection: Connection, what: str) -> Iterator[None]:
    """Raise `StoreError` for whatever fails inside; `what` is an order, such as "create the bucket x"."""
    try:
        yield
    except StoreError:
        raise
    except (BotoCoreError, ClientError, MinioAdminException, HTTPError, OSError, ValueError) as error:
        # Without the original: its text and its request may hold what is nobody's business.
        raise explain(connection, what, error) from None


def explain(connection: Connection, what: str, error: Exception) -> StoreError:
    if isinstance(error, ClientError):
        answer = _s3_answer(error)
    elif isinstance(error, MinioAdminException):
        answer = _admin_answer(error)
    else:
        return _network(connection, what, error)
    if not answer.code and _is_tls(connection):
        return _tls_on_http(connection, what)
    return _lack(connection, what, answer) or _refusal(connection, what, answer)


def _s3_answer(error: ClientError) -> Answer:
    response: Mapping[str, Any] = error.response
    metadata, said = response.get("ResponseMetadata", {}), response.get("Error", {})
    headers = metadata.get("HTTPHeaders", {})
    status, code = int(metadata.get("HTTPStatusCode", 0)), str(said.get("Code", ""))
    return Answer(
        status=status,
        # botocore has a status for a code where the body says nothing, as it never does after HEAD.
        code="" if code == str(status) and error.operation_name != "HeadBucket" else code,
        text=_quoted(said.get("Message", "")),
        region=str(said.get("Region") or headers.get("x-amz-bucket-region") or ""),
        right=f"s3:{RIGHTS.get(error.operation_name, error.operation_name)}",
        headers=headers,
    )


def _admin_answer(error: MinioAdminException) -> Answer:
    status, body = error._code, error._body  # noqa: SLF001 - it has no public names for them
    try:
        said = json.loads(body)
        api = True
    except ValueError:
        found = re.search(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*))?", str(body))
        said = {"Code": found[1], "Message": found[2]} if found else {}
        api = False
    said = said if isinstance(said, dict) else {}
    return Answer(
        status=int(status),
        code=str(said.get("Code", "")),
        text=_quoted(said.get("Message", "")),
        region=str(said.get("Region", "")),
        right="admin:* (MinIO's policy consoleAdmin)",
        no_admin=not api,
    )


def _lack(connection: Connection, what: str, answer: Answer) -> UnsupportedError | None:
    code, where = answer.code, connection.endpoint
    if code in UNSUPPORTED or (code and answer.status in {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}):
        text = f"Could not {what}: {where} has no such function ({answer.status} {code})."
        return UnsupportedError(reason="InvalidByStore", message=text, code=code)
    if answer.no_admin and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and code not in WRONG_KEYS:
        text = f"{where} has no MinIO admin API ({answer.status} {code}). Set spec.store.accounts to Shared."
        return UnsupportedError(reason="AccountsUnsupported", message=f"Could not {what}: {text}", code=code)
    return None


def _refusal(connection: Connection, what: str, answer: Answer) -> StoreError:
    code, status, where = answer.code, answer.status, connection.endpoint
    failing = code in BUSY or status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    no_s3 = not (code or status in PROXY_FAILURES) or "API port" in answer.text
    said = f"{where} answers {' '.join(dict.fromkeys(filter(None, (str(status), code))))}"
    said += f" ({answer.text})" if answer.text else ""
    locked = LOCKED.search(f"{code} {answer.text}") is not None
    denied = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    reason, text = next(
        (reason, text)
        for reason, holds, text in (
            ("WrongKeys", code in WRONG_KEYS, f"{where} {_key_trouble(code)}. Correct {KEYS}."),
            ("ClockSkew", code in CLOCK_SKEW, _skew(where, answer.headers.get("date", ""))),
            ("WrongRegion", code in WRONG_REGION, _region(connection, answer)),
            ("NotS3", no_s3, _no_s3(said)),
            ("StoreFailing", failing, f"{said}. Look into the store's log; it is tried again."),
            ("BucketTaken", code == "BucketAlreadyExists", "another account of the store has that name. Take another."),
            ("BucketNotEmpty", code == "BucketNotEmpty", "objects, versions or unfinished uploads are in it."),
            ("ObjectLocked", locked, f"{said}. Wait until its retention is over."),
            ("AccessDenied", denied, f"{said}. Give the account of {KEYS} the right {answer.right}."),
            ("InvalidByStore", True, f"{said}. Correct what it refuses."),
        )
        if holds
    )
    transient = failing or reason == "ClockSkew"
    return StoreError(reason=reason, message=f"Could not {what}: {text}", transient=transient, code=code)


def _key_trouble(code: str) -> str:
    if code == "SignatureDoesNotMatch":
        return "knows the access key, but the secret key is another"
    return "does not know the access key, or it is disabled there"


def _skew(where: str, server: str) -> str:
    ours = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    clocks = f"its clock says {server}, ours {ours}" if server else f"ours says {ours}"
    return f"the clocks of {where} and of the operator's node differ by too much ({clocks}). Set them by NTP."


def _region(connection: Connection, answer: Answer) -> str:
    named = re.search(r"expecting ['\"]([^'\"]+)", answer.text)
    right = answer.region or (named[1] if named else "")
    if right and right != connection.region:
        return f"its region is {right}, not {connection.region}. Set spec.store.region to {right}."
    return (
        f"{connection.endpoint} refuses the region {connection.region} ({answer.text or answer.code}). "
        "Set spec.store.region, and for AWS the endpoint, to the bucket's."
    )


def _no_s3(said: str) -> str:
    return (
        f"{said}, which is no answer of an S3 server. Does spec.store.endpoint name its S3 port? "
        "MinIO's is 9000, its console has another."
    )


def _network(connection: Connection, what: str, error: Exception) -> StoreError:
    causes, where, host = list(_causes(error)), connection.endpoint, urlsplit(connection.endpoint).hostname
    certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError | CertificateError)), None)
    tls = next((c for c in causes if isinstance(c, ssl.SSLError) and not isinstance(c, ssl.SSLEOFError)), None)
    names = " ".join(type(c).__name__ for c in causes)

    def any_is(kind: type[BaseException]) -> bool:
        return any(isinstance(c, kind) for c in causes)

    reason, text = next(
        (reason, text)
        for reason, holds, text in (
            ("CertificateInvalid", certificate is not None, _certificate(connection, certificate)),
            ("TlsMismatch", tls is not None, _handshake(where, tls)),
            ("StoreUnreachable", any_is(socket.gaierror), _no_host(connection, host or "")),
            ("StoreTimeout", any_is(TimeoutError) or "Timeout" in names, f"{where} does not answer in time. {REACH}"),
            ("StoreUnreachable", any_is(ConnectionRefusedError), f"nothing listens at {where}. {REACH}"),
            ("", True, f"the connection to {where} broke ({type(causes[-1]).__name__}). {REACH}"),
        )
        if holds
    )
    if not reason and _is_tls(connection):
        return _tls_on_http(connection, what)
    if not reason and ("Parser" in names or any_is(ValueError)):
        reason, text = "NotS3", _no_s3(f"{where} answers something else")
    transient = reason not in {"CertificateInvalid", "TlsMismatch"}
    return StoreError(reason=reason or "StoreUnreachable", message=f"Could not {what}: {text}", transient=transient)


def _no_host(connection: Connection, host: str) -> str:
    if connection.path_style:
        return f"no such host as {host}. Correct spec.store.endpoint."
    return (
        f"no such host as the bucket's at {host}. Set spec.store.forcePathStyle to true, "
        "unless the store has a host name for each bucket; or correct spec.store.endpoint."
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what is behind it; botocore and urllib3 each keep that in a place of their own."""
    for _ in range(CHAIN_LENGTH):
        yield error
        kept = [*getattr(error, "kwargs", {}).values(), getattr(error, "reason", None), *error.args]
        behind = next((one for one in kept if isinstance(one, BaseException)), error.__cause__ or error.__context__)
        if behind is None:
            return
        error = behind


def _certificate(connection: Connection, error: Exception | None) -> str:
    why = (getattr(error, "verify_message", "") or str(error)).rstrip(".")
    if connection.ca_bundle:
        remedy = "Put the CA that signed it into what spec.store.caBundleRef names"
    else:
        remedy = "Name the CA that signed it in spec.store.caBundleRef"
    if "match" in why or "not valid for" in why:
        remedy = "Write the name that it was made for in spec.store.endpoint"
    elif "expired" in why or "not yet valid" in why:
        remedy = "Renew it on the store"
    return f"the certificate of {connection.endpoint} is not trusted: {why}. {remedy}."


def _handshake(where: str, error: ssl.SSLError | None) -> str:
    reason = getattr(error, "reason", None) or "no reason given"
    if reason in NO_TLS:
        return f"{where} does not speak TLS. Write http:// in spec.store.endpoint, or name its TLS port."
    return (
        f"the TLS handshake with {where} failed ({reason}). Does it want another TLS version, or a client certificate?"
    )


def _tls_on_http(connection: Connection, what: str) -> StoreError:
    text = f"Could not {what}: {connection.endpoint} speaks TLS. Write https:// in spec.store.endpoint."
    return StoreError(reason="TlsMismatch", message=text)


def _is_tls(connection: Connection) -> bool:
    """Whether TLS answers where http was meant; servers tell in many ways, so it is tried."""
    address = urlsplit(connection.endpoint)
    if address.scheme != "http":
        return False
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    try:
        with (
            socket.create_connection((address.hostname or "", address.port or 80), timeout=PROBE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=address.hostname),
        ):
            return True
    except (OSError, ValueError):
        return False


def _quoted(text: object) -> str:
    """A server's own words as one short line."""
    return " ".join(unescape(str(text or "")).split())[:QUOTED_CHARACTERS].rstrip(". ")
