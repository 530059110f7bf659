"""Clients are kept and shared, and know nothing but what a Bucket gives them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from s3.servers import SECRET_KEY, connection, free_port
from s3.wrong_ends import answering, certificate

from landfall_operator.s3.connection import Connection, Seal, Stores
from landfall_operator.s3.errors import StoreError

NO_BUCKETS = "<?xml version='1.0'?><ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"
HERE = "http://127.0.0.1:9"


def test_equal_connections_share_a_client(stores: Stores) -> None:
    assert stores.client(connection(HERE)) is stores.client(connection(HERE))


@pytest.mark.parametrize("other", [{"secret_key": "x"}, {"access_key": "x"}, {"region": "eu-west-7"}])
def test_other_keys_or_another_region_get_a_client_of_their_own(stores: Stores, other: dict[str, str]) -> None:
    assert stores.client(connection(HERE)) is not stores.client(connection(HERE, **other))


def test_the_client_that_was_used_last_longest_ago_goes_first() -> None:
    stores = Stores(kept=2)
    first, second = (stores.client(connection(HERE, access_key=name)) for name in ("first", "second"))
    stores.client(connection(HERE, access_key="first"))
    stores.client(connection(HERE, access_key="third"))
    assert stores.client(connection(HERE, access_key="first")) is first
    assert stores.client(connection(HERE, access_key="second")) is not second
    stores.close()


def test_threads_that_ask_at_once_get_one_client(stores: Stores) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(stores.client(connection(HERE)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert len(found) == 8


def test_a_client_takes_nothing_from_the_environment(
    stores: Stores, gateway: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    broken = tmp_path / "config"
    broken.write_text("no [ini file")
    for name, value in {
        "AWS_PROFILE": "nonesuch",
        "AWS_CONFIG_FILE": str(broken),
        "AWS_SHARED_CREDENTIALS_FILE": str(broken),
        "AWS_ACCESS_KEY_ID": "another",
        "AWS_SESSION_TOKEN": "another",
        "AWS_ENDPOINT_URL": nowhere,
        "AWS_CA_BUNDLE": str(broken),
        "HTTP_PROXY": nowhere,
        "http_proxy": nowhere,
    }.items():
        monkeypatch.setenv(name, value)
    stores.client(gateway).list_buckets()


def test_a_store_with_a_ca_of_its_own_is_reached(stores: Stores, tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with answering(NO_BUCKETS, tls=made.server) as port:
        store = connection(f"https://localhost:{port}", ca_bundle=made.pem)
        assert stores.client(store).list_buckets()["Buckets"] == []


def test_a_ca_that_is_no_certificate_is_told(stores: Stores) -> None:
    with pytest.raises(StoreError, match="is no PEM certificate") as caught:
        stores.client(connection("https://localhost:9", ca_bundle="nothing of the kind"))
    assert caught.value.reason == "CertificateInvalid"


def test_a_connection_does_not_show_its_secret() -> None:
    assert SECRET_KEY not in repr(connection(HERE))


def test_a_server_that_is_waited_for_holds_up_no_other_sealed_call() -> None:
    seal, order = Seal(), list[str]()

    def other() -> None:
        with seal.closed():
            order.append("other")

    with seal.closed():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.05)
        order.append("sealed")
        with seal.opened():
            thread.join(5)
        order.append("answered")
    assert order == ["sealed", "other", "answered"]
