"""What goes wrong at a store is told by its reason and with what to do, and never with a secret."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from s3.servers import ACCESS_KEY, SECRET_KEY, connection, free_port
from s3.wrong_ends import answering, certificate, hanging, s3_error

from landfall_operator.s3.accounts import verify
from landfall_operator.s3.connection import READ_SECONDS, Connection, Stores, minio_admin
from landfall_operator.s3.errors import StoreError, UnsupportedError, explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HTML = "<html><body>Welcome<br></body></html>"


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    with closing(Stores(read_seconds=getattr(request, "param", READ_SECONDS))) as stores:
        yield stores


Fail = Callable[..., StoreError]


@pytest.fixture
def fail(stores: Stores) -> Fail:
    """The error of one call, which is to fail."""

    def fail(
        store: Connection, call: Callable[[S3Client], object] = lambda client: client.list_buckets()
    ) -> StoreError:
        with pytest.raises(StoreError) as caught, explained(store, "read the tags of the bucket photos"):
            call(stores.client(store))
        error = caught.value
        assert error.message.startswith("Could not read the tags of the bucket photos: ")
        assert SECRET_KEY not in f"{error!r} {error} {error.__cause__!r}"
        return error

    return fail


def get_tags(client: S3Client) -> object:
    return client.get_bucket_tagging(Bucket="photos")


def test_http_to_a_tls_port_says_to_write_https(fail: Fail, tmp_path: Path) -> None:
    with answering(tls=certificate(tmp_path).server) as port:
        error = fail(connection(f"http://localhost:{port}"))
    assert (error.reason, error.transient) == ("TlsMismatch", False)
    assert "https://" in error.message


def test_http_to_a_tls_port_that_answers_in_words_says_the_same(fail: Fail, tmp_path: Path) -> None:
    words = "Client sent an HTTP request to an HTTPS server."
    with answering(words, status=400, tls=certificate(tmp_path).server, plain_too=True) as port:
        error = fail(connection(f"http://localhost:{port}"))
    assert error.reason == "TlsMismatch"
    assert "https://" in error.message


def test_https_to_a_plain_port_says_to_write_http(fail: Fail) -> None:
    with answering() as port:
        error = fail(connection(f"https://localhost:{port}"))
    assert (error.reason, error.transient) == ("TlsMismatch", False)
    assert "http://" in error.message


def test_a_handshake_that_fails_is_not_called_a_plain_port(fail: Fail, tmp_path: Path) -> None:
    made = certificate(tmp_path)
    made.server.maximum_version = ssl.TLSVersion.TLSv1_2
    made.server.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # which the certificate's key cannot do
    with answering(tls=made.server) as port:
        error = fail(connection(f"https://localhost:{port}", ca_bundle=made.pem))
    assert error.reason == "TlsMismatch"
    assert "another TLS version" in error.message
    assert "http://" not in error.message


@pytest.mark.parametrize(
    ("host", "days", "trusted", "says"),
    [
        ("localhost", 1, False, "Name the CA that signed it in spec.store.caBundleRef"),
        ("store.example", 1, True, "Write the name that it was made for"),
        ("localhost", -1, True, "Renew it"),
    ],
)
def test_a_certificate_that_is_not_trusted_says_what_to_do(
    fail: Fail, tmp_path: Path, host: str, days: int, says: str, *, trusted: bool
) -> None:
    made = certificate(tmp_path, host, days=days)
    with answering(tls=made.server) as port:
        ca = {"ca_bundle": made.pem} if trusted else {}
        error = fail(connection(f"https://localhost:{port}", **ca))
    assert (error.reason, error.transient) == ("CertificateInvalid", False)
    assert says in error.message


def test_a_ca_that_signed_another_server_is_told_apart_from_no_ca(fail: Fail, tmp_path: Path) -> None:
    with answering(tls=certificate(tmp_path).server) as port:
        error = fail(connection(f"https://localhost:{port}", ca_bundle=certificate(tmp_path).pem))
    assert "Put the CA that signed it into what spec.store.caBundleRef names" in error.message


def test_a_closed_port_is_unreachable_for_now(fail: Fail) -> None:
    error = fail(connection(f"http://127.0.0.1:{free_port()}"))
    assert (error.reason, error.transient) == ("StoreUnreachable", True)
    assert "nothing listens" in error.message


def test_an_unknown_host_is_named(fail: Fail) -> None:
    error = fail(connection("http://nonesuch.invalid:9000"))
    assert (error.reason, error.transient) == ("StoreUnreachable", True)
    assert "no such host as nonesuch.invalid" in error.message


@pytest.mark.parametrize("stores", [0.3], indirect=True)
def test_a_store_that_hangs_is_a_timeout(fail: Fail) -> None:
    with hanging() as port:
        error = fail(connection(f"http://127.0.0.1:{port}"))
    assert (error.reason, error.transient) == ("StoreTimeout", True)


@pytest.mark.parametrize("status", [200, 404])
def test_a_web_page_is_no_s3_server(fail: Fail, status: int) -> None:
    with answering(HTML, status=status) as port:
        error = fail(connection(f"http://127.0.0.1:{port}"), get_tags)
    assert error.reason == "NotS3"
    assert HTML not in error.message


def test_a_web_page_for_the_admin_api_is_no_s3_server() -> None:
    with answering(HTML) as port, pytest.raises(StoreError) as caught:
        verify(connection(f"http://127.0.0.1:{port}"), ACCESS_KEY, SECRET_KEY)
    assert caught.value.reason == "NotS3"


def test_a_proxy_before_a_store_that_is_down_is_tried_again(fail: Fail) -> None:
    with answering(HTML, status=503) as port:
        error = fail(connection(f"http://127.0.0.1:{port}"), get_tags)
    assert (error.reason, error.transient) == ("StoreFailing", True)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"access_key": "nonesuch"}, "does not know the access key"),
        ({"secret_key": "another-secret"}, "the secret key is another"),
    ],
)
def test_wrong_keys_name_the_secret_to_correct(
    fail: Fail, gateway: Connection, wrong: dict[str, str], says: str
) -> None:
    error = fail(connection(gateway.endpoint, **wrong), get_tags)
    assert (error.reason, error.transient) == ("WrongKeys", False)
    assert says in error.message
    assert "the Secret of spec.store.credentialsSecretRef" in error.message
    assert ACCESS_KEY not in error.message


@pytest.mark.parametrize("call", [get_tags, lambda client: client.list_buckets()])
def test_a_wrong_region_fails_and_the_right_one_is_named(
    fail: Fail, gateway: Connection, call: Callable[[S3Client], object]
) -> None:
    error = fail(connection(gateway.endpoint, region="eu-west-7"), call)
    assert (error.reason, error.transient) == ("WrongRegion", False)
    assert "its region is us-east-1, not eu-west-7" in error.message


def test_clocks_that_differ_are_both_told(fail: Fail) -> None:
    date = "Sat, 01 Jan 2000 00:00:00 GMT"
    with answering(s3_error("RequestTimeTooSkewed"), status=403, headers={"date": date}) as port:
        error = fail(connection(f"http://127.0.0.1:{port}"))
    assert (error.reason, error.transient) == ("ClockSkew", True)
    assert re.search(rf"its clock says {date}, ours \w+, \d+ \w+ 20[2-9]\d", error.message)


@pytest.mark.parametrize(
    ("status", "body", "reason", "transient", "says"),
    [
        (403, s3_error("AccessDenied"), "AccessDenied", False, "the right s3:GetBucketTagging"),
        (409, s3_error("BucketAlreadyExists"), "BucketTaken", False, "another account"),
        (409, s3_error("BucketNotEmpty"), "BucketNotEmpty", False, "versions or unfinished uploads"),
        (400, s3_error("ObjectLocked"), "ObjectLocked", False, "retention"),
        (403, s3_error("AccessDenied", "protected by object lock"), "ObjectLocked", False, "retention"),
        (503, s3_error("SlowDown"), "StoreFailing", True, "tried again"),
        (503, s3_error("XMinioServerNotInitialized"), "StoreFailing", True, "tried again"),
        (500, s3_error("InternalError"), "StoreFailing", True, "tried again"),
        (409, s3_error("OperationAborted"), "StoreFailing", True, "tried again"),
        (400, s3_error("InvalidArgument", "Days is too big"), "InvalidByStore", False, "Days is too big"),
        (400, s3_error("InvalidArgument", "S3 API Requests must be made to API port."), "NotS3", False, "console"),
        (
            301,
            s3_error("PermanentRedirect", more="<Region>eu-west-7</Region>"),
            "WrongRegion",
            False,
            "Set spec.store.region to eu-west-7",
        ),
    ],
)
def test_a_refusal_has_a_reason_and_a_remedy(
    fail: Fail, status: int, body: str, reason: str, says: str, *, transient: bool
) -> None:
    with answering(body, status=status) as port:
        error = fail(connection(f"http://127.0.0.1:{port}"), get_tags)
    assert (error.reason, error.transient) == (reason, transient)
    assert says in error.message


@pytest.mark.parametrize(
    ("status", "code"), [(501, "NotImplemented"), (501, "VersioningNotConfigured"), (405, "MethodNotAllowed")]
)
def test_what_a_server_lacks_is_told_apart(fail: Fail, status: int, code: str) -> None:
    with answering(s3_error(code), status=status) as port:
        error = fail(connection(f"http://127.0.0.1:{port}"), get_tags)
    assert isinstance(error, UnsupportedError)
    assert error.code == code


def test_a_server_without_the_admin_api_is_told_apart_from_one_that_refuses(gateway: Connection) -> None:
    with pytest.raises(UnsupportedError) as caught, explained(gateway, "read"), minio_admin(gateway) as admin:
        admin.user_info("anybody")
    assert caught.value.reason == "AccountsUnsupported"
    assert "Set spec.store.accounts to Shared" in caught.value.message


def test_keys_without_the_right_to_make_accounts_are_told_what_right() -> None:
    body = '{"Code": "AccessDenied", "Message": "Access Denied."}'
    with answering(body, status=403) as port:
        store = connection(f"http://127.0.0.1:{port}")
        with pytest.raises(StoreError) as caught, explained(store, "read"), minio_admin(store) as admin:
            admin.user_info("anybody")
    assert caught.value.reason == "AccessDenied"
    assert "consoleAdmin" in caught.value.message


def test_a_servers_words_are_quoted_as_one_short_line(fail: Fail) -> None:
    with answering(s3_error("InvalidArgument", "line\n" * 1000), status=400) as port:
        error = fail(connection(f"http://127.0.0.1:{port}"))
    assert "line line" in error.message
    assert "\n" not in error.message
    assert len(error.message) < 500
