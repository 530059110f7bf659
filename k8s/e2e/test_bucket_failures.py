"""What a Bucket says when something is wrong: a reason, and what to do about it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from cluster import Namespace, condition, until
from conftest import delete_buckets
from stores import ROOT_SECRET, Store, bucket

STRANGER, STRANGERS_SECRET = "e2e-stranger", "e2e-strangers-secret"
CREATE_USER = (
    "ADMIN_ENDPOINT_URL=http://127.0.0.1:9000 ADMIN_REGION=eu-central-1 ADMIN_ACCESS_KEY=$ROOT_ACCESS_KEY "
    "ADMIN_SECRET_KEY=$ROOT_SECRET_KEY "
    f"versitygw admin create-user --access {STRANGER} --secret {STRANGERS_SECRET} --role userplus"
)
# The reason, whether the operator goes on by itself, and a part of what is told.
TOLD = {
    "closed-port": ("StoreUnreachable", True, "nothing listens at"),
    "unknown-host": ("StoreUnreachable", True, "no such host as"),
    "http-to-tls": ("TlsMismatch", False, "Write https:// in spec.store.endpoint"),
    "https-to-plain": ("TlsMismatch", False, "Write http:// in spec.store.endpoint"),
    "console": ("NotS3", False, "Does spec.store.endpoint name its S3 port?"),
    "no-store": ("NotS3", False, "Does spec.store.endpoint name its S3 port?"),
    "unknown-ca": ("CertificateInvalid", False, "Name the CA that signed it in spec.store.caBundleRef"),
    "other-ca": ("CertificateInvalid", False, "Put the CA that signed it into what spec.store.caBundleRef names"),
    "other-name": ("CertificateInvalid", False, "Write the name that it was made for in spec.store.endpoint"),
    "no-ca": ("SecretMissing", True, "There is no ConfigMap nowhere"),
    "broken-ca": ("CertificateInvalid", False, "is no PEM certificate"),
    "wrong-key": ("WrongKeys", False, "does not know the access key"),
    "wrong-secret": ("WrongKeys", False, "but the secret key is another"),
    "no-right": (
        "AccessDenied",
        False,
        "Give the account of the Secret",
    ),
    "no-secret": ("SecretMissing", True, "There is no Secret nowhere"),
    "no-key": ("SecretMissing", True, "has nothing under the key OTHER"),
    "wrong-region": ("WrongRegion", False, "Set spec.store.region to eu-central-1"),
    "foreign": ("BucketForeign", False, "Set spec.adopt to IfExists"),
    "taken": ("BucketTaken", False, "another account of the store has that name"),
    "twice": ("BucketForeign", False, "belongs to the Bucket"),
}
WELL = ("trusted", "owner")


@dataclass(frozen=True)
class Around:
    """Where the Buckets look, and the beginning of their names."""

    stage: Namespace
    minio: Store
    versitygw: Store
    tls: Store
    prefix: str

    def bodies(self) -> list[dict[str, Any]]:
        minio, gateway, tls = self.minio, self.versitygw, self.tls
        ca: dict[str, Any] = {"caBundleRef": {"name": tls.name}}

        def at(case: str, on: Store, *, secret: str = "", bucket_name: str = "", **store: Any) -> dict[str, Any]:
            spec = {"bucketName": bucket_name} if bucket_name else {}
            return bucket(f"{self.prefix}{case}", on, secret=secret, store=store, **spec)

        def host(on: Store, port: int, scheme: str = "http") -> str:
            return f"{scheme}://{on.host}:{port}"

        return [
            at("closed-port", minio, endpoint=host(gateway, 9001)),
            at("unknown-host", minio, endpoint=f"http://nowhere.{self.stage.name}.svc:9000"),
            at("http-to-tls", tls, endpoint=host(tls, 9000)),
            at("https-to-plain", minio, endpoint=host(minio, 9000, "https")),
            at("console", minio, endpoint=host(minio, 9001)),
            at("no-store", minio, endpoint=f"http://landfall-metrics.{self.stage.name}.svc:8080"),
            at("unknown-ca", tls),
            at("other-ca", tls, caBundleRef={"name": tls.name, "key": "other.crt"}),
            at("other-name", tls, endpoint=f"https://{tls.host}.cluster.local:9000", **ca),
            at("no-ca", tls, caBundleRef={"name": "nowhere"}),
            at("broken-ca", tls, caBundleRef={"name": tls.name, "key": "broken.crt"}),
            at("trusted", tls, **ca),
            at("wrong-key", minio, secret=f"{self.prefix}wrong-key"),
            at("wrong-secret", minio, secret=f"{self.prefix}wrong-secret"),
            at("no-right", minio, secret=f"{self.prefix}stranger"),
            at("no-secret", minio, secret="nowhere"),
            at("no-key", minio, credentialsSecretRef={"name": minio.name, "accessKeyIdKey": "OTHER"}),
            at("wrong-region", gateway, region="eu-west-9"),
            at("foreign", minio, bucket_name=f"{self.prefix}theirs"),
            at("taken", gateway, secret=f"{self.prefix}stranger", bucket_name=f"{self.prefix}theirs"),
            at("twice", minio, bucket_name=f"{self.prefix}owner"),
        ]

    def prepare(self) -> None:
        """Make what the Buckets come upon."""
        minio, stage, prefix = self.minio, self.stage, self.prefix
        minio.share(stage, f"{prefix}wrong-key", AWS_ACCESS_KEY_ID="nobody")
        minio.share(stage, f"{prefix}wrong-secret", AWS_SECRET_ACCESS_KEY="wrong")
        stranger = {"AWS_ACCESS_KEY_ID": STRANGER, "AWS_SECRET_ACCESS_KEY": STRANGERS_SECRET}
        minio.share(stage, f"{prefix}stranger", **stranger)
        self.versitygw.exec(CREATE_USER)
        with minio.admin() as admin:
            admin.user_add(STRANGER, STRANGERS_SECRET)
        for on in (minio, self.versitygw):
            with on.client() as client:
                client.create_bucket(Bucket=f"{prefix}theirs")
        stage.apply(operator_service(), bucket(f"{prefix}owner", minio))
        stage.told(f"{prefix}owner", "Ready")


def operator_service() -> dict[str, Any]:
    """Something that speaks HTTP, and not S3."""
    spec = {"selector": {"app.kubernetes.io/name": "landfall-operator"}, "ports": [{"port": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "landfall-metrics"}, "spec": spec}


@pytest.fixture(scope="module")
def told(stage: Namespace, minio: Store, versitygw: Store, tls_minio: Store) -> Iterator[dict[str, dict[str, Any]]]:
    """What each case's Bucket says, by the case, when all say what they should, or have had their time."""
    prefix = f"f{uuid.uuid4().hex[:5]}-"
    around = Around(stage, minio, versitygw, tls_minio, prefix)
    around.prepare()
    stage.apply(*around.bodies())
    reasons = {case: reason for case, (reason, _, _) in TOLD.items()} | dict.fromkeys(WELL, "Ready")

    def bodies() -> dict[str, dict[str, Any]]:
        found = {body["metadata"]["name"].removeprefix(prefix): body for body in stage.list("bucket")}
        return {case: found[case] for case in reasons}

    def is_told() -> bool:
        return {case: condition(body, "Ready")["reason"] for case, body in bodies().items()} == reasons

    with suppress(AssertionError):  # each case's test says it better; a Service may take a moment to route
        until(is_told, seconds=30, what="all Buckets say what they should")
    yield bodies()
    delete_buckets(stage, prefix)
    with minio.admin() as admin:
        admin.user_remove(STRANGER)


@pytest.mark.parametrize("case", TOLD)
def test_a_mistake_is_told_with_its_remedy(told: dict[str, dict[str, Any]], case: str) -> None:
    reason, goes_on, remedy = TOLD[case]
    body = told[case]
    ready = condition(body, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason), ready["message"]
    assert remedy in ready["message"]
    states = {kind: condition(body, kind).get("status") for kind in ("Reconciling", "Stalled")}
    assert states == {"Reconciling": str(goes_on), "Stalled": str(not goes_on)}
    assert not any(secret in ready["message"] for secret in (ROOT_SECRET, STRANGERS_SECRET, "nobody"))


@pytest.mark.parametrize("case", WELL)
def test_what_is_right_among_them_is_ready(told: dict[str, dict[str, Any]], case: str) -> None:
    assert condition(told[case], "Ready")["status"] == "True", condition(told[case], "Ready")["message"]
