"""The S3 servers of a run, what a test does on them behind the operator's back, and Buckets on them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import boto3
import urllib3
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cluster import ClusterError, Namespace, run, until
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT_KEY = "e2e-root"
ROOT_SECRET = "e2e/seeded+root=secret"
MINIO_VARIABLE = "LANDFALL_TEST_MINIO_IMAGE"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw"
VERSITYGW_VERSION = "v1.8.0"
BUILD_SECONDS = 600
ARGUMENTS = {
    "minio": "[server, /data/minio, --address, ':9000', --console-address, ':9001', --certs-dir, /certificates]",
    "versitygw": "[--port, ':9000', --region, eu-central-1, --quiet, --iam-dir, /data/iam, posix, "
    "--sidecar, /data/metadata, --versioning-dir, /data/versions, /data/objects]",
}
REGIONS = {"minio": "us-east-1", "versitygw": "eu-central-1"}
SIGNAL = (
    "for process in /proc/[0-9]*; do read -r name < $process/comm || continue; "
    'case "$name" in minio|versitygw) kill -{} "${{process#/proc/}}" && exit 0;; esac; done; exit 1'
)

Program = Literal["minio", "versitygw"]


@dataclass(frozen=True)
class Store:
    """One S3 server, by the name of its Deployment, Service, volume and the Secret with its root keys."""

    stage: Namespace
    name: str
    program: Program = "minio"
    ca: str = ""  # the file of what signed its certificate, where it speaks TLS
    key: str = ROOT_KEY
    secret_key: str = field(default=ROOT_SECRET, repr=False)

    @property
    def host(self) -> str:
        """As any namespace of the cluster reaches it."""
        return f"{self.name}.{self.stage.name}.svc"

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://{self.host}:9000"

    @property
    def scheme(self) -> str:
        return "https" if self.ca else "http"

    @property
    def region(self) -> str:
        return REGIONS[self.program]

    def install(self, image: str) -> None:
        self.share(self.stage)
        text = (Path(__file__).parent / "store.yaml").read_text().replace("NAME", self.name)
        text = text.replace("IMAGE", image).replace("ARGUMENTS", ARGUMENTS[self.program])
        self.stage.apply(*yaml.safe_load_all(text))

    def uninstall(self) -> None:
        kinds = ("deploy", "svc", "pvc", "secret")
        self.stage.kubectl("delete", "--wait=false", *(f"{kind}/{self.name}" for kind in kinds))

    def prepare(self) -> None:
        """Wait until it answers, also by its Service, which routes a moment after the pod is ready."""
        self.stage.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=120s")
        with self.client() as client:
            until(lambda: answers(client), seconds=30, what=f"the store {self.name} answers")

    def stop(self) -> None:
        self.stage.kubectl("scale", f"deployment/{self.name}", "--replicas=0")
        self.stage.kubectl("wait", "--for=delete", "pod", "-l", f"app={self.name}", "--timeout=30s")

    def start(self) -> None:
        self.stage.kubectl("scale", f"deployment/{self.name}", "--replicas=1")
        self.prepare()

    def hang(self) -> None:
        """Connections are accepted, and nothing is answered."""
        self._signal("STOP")

    def go_on(self) -> None:
        self._signal("CONT")

    def _signal(self, name: str) -> None:
        self.exec(SIGNAL.format(name))

    def exec(self, script: str) -> str:
        """What a shell script in the server's container prints."""
        return self.stage.kubectl("exec", f"deploy/{self.name}", "--", "sh", "-c", script)

    def share(self, namespace: Namespace, name: str = "", **keys: str) -> str:
        """Give a namespace a Secret with the root keys, or with these instead; returns the Secret's name."""
        data = {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret_key} | keys
        metadata = {"name": name or self.name}
        namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        return metadata["name"]

    @contextmanager
    def forward(self) -> Iterator[str]:
        """host:port of this machine, from where the server's pod is reached; it ends when that pod does."""
        command = ("kubectl", "-n", self.stage.name, "port-forward", f"deployment/{self.name}", ":9000")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                assert process.stderr
                found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
                if not found:
                    raise ClusterError(f"port-forward to {self.name}: {process.stderr.readline().strip()}")
                yield found[0]
            finally:
                process.kill()

    @contextmanager
    def client(self) -> Iterator[S3Client]:
        """As root."""
        with self.forward() as address:
            client = connect(f"{self.scheme}://{address}", self.key, self.secret_key, region=self.region, ca=self.ca)
            yield client
            client.close()

    @contextmanager
    def admin(self) -> Iterator[MinioAdmin]:
        """MinIO's admin API, as root."""
        pool = urllib3.PoolManager(timeout=10, retries=False)
        with self.forward() as address, pool:
            provider = StaticProvider(self.key, self.secret_key)
            yield MinioAdmin(endpoint=address, credentials=provider, secure=False, http_client=pool)

    def with_other_root(self) -> Store:
        """The same server, whose root has another name and secret from its next start on."""
        other = replace(self, key="e2e-other-root", secret_key=ROOT_SECRET[::-1])
        other.share(self.stage)
        return other


def connect(
    url: str, access_key: str, secret_key: str, *, region: str = "us-east-1", ca: str | None = None
) -> S3Client:
    """A client that fails at once; the caller closes it."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        verify=ca or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=3,
            read_timeout=10,
            retries={"total_max_attempts": 1},
        ),
    )


def answers(client: S3Client) -> bool:
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def find_minio_image() -> str:
    image = os.environ.get(MINIO_VARIABLE, "")
    if not image or not run("docker", "image", "ls", "-q", image):
        raise ClusterError(f"{MINIO_VARIABLE} names no image that docker has: build or pull one of MinIO, and name it")
    return image


def find_versitygw() -> Path:
    """The program on PATH, or built once per machine and version."""
    if found := shutil.which("versitygw"):
        return Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landfall"
    binary = cache / f"versitygw-{VERSITYGW_VERSION}" / "versitygw"
    if not binary.exists():
        if not shutil.which("go"):
            raise ClusterError("neither versitygw nor go is on PATH: install one of them; Go 1.25 builds versitygw")
        options = (f"GOBIN={binary.parent}", "CGO_ENABLED=0")
        run("env", *options, "go", "install", f"{VERSITYGW}@{VERSITYGW_VERSION}", timeout=BUILD_SECONDS)
    return binary


def bucket(name: str, on: Store, /, *, secret: str = "", **spec: Any) -> dict[str, Any]:
    """A Bucket; the bucket's name is its own, and `accounts` are shared where the server has none."""
    address: dict[str, Any] = {"endpoint": on.endpoint, "region": on.region}
    address |= {"credentialsSecretRef": {"name": secret or on.name}}
    address |= {} if on.program == "minio" else {"accounts": "Shared"}
    metadata = {"name": name, "annotations": spec.pop("annotations", {})}
    spec = {"bucketName": name, **spec, "store": address | spec.pop("store", {})}
    return {"apiVersion": "landfall.dev/v1alpha1", "kind": "Bucket", "metadata": metadata, "spec": spec}


def access(*names: str, prefix: str) -> list[dict[str, str]]:
    """Accesses of the modes that are given, each with a Secret that is named PREFIX-MODE."""
    return [{"name": name.lower(), "mode": name, "secretName": f"{prefix}-{name.lower()}"} for name in names]


def keys(namespace: Namespace, secret: str) -> dict[str, str]:
    """What a Secret holds, in the clear: to log in by, not to compare."""
    data = namespace.get("secret", secret)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def key_id(namespace: Namespace, secret: str) -> str:
    return keys(namespace, secret)["AWS_ACCESS_KEY_ID"]


def marks(namespace: Namespace, secret: str) -> dict[str, str]:
    """What a failed comparison may show of them."""
    return {key: hashlib.sha256(value.encode()).hexdigest()[:12] for key, value in keys(namespace, secret).items()}


def bucket_names(client: S3Client, prefix: str) -> set[str]:
    return {name for found in client.list_buckets()["Buckets"] if (name := found["Name"]).startswith(prefix)}


def held(client: S3Client, name: str) -> set[str]:
    """The keys in a bucket, also of what stands behind them: versions, deletion markers and unfinished uploads."""
    versions = client.list_object_versions(Bucket=name)
    entries = [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]
    uploads = client.list_multipart_uploads(Bucket=name).get("Uploads", [])
    listed = client.list_objects_v2(Bucket=name).get("Contents", [])
    return {entry["Key"] for entry in (*entries, *uploads, *listed)}


def users(on: Store) -> set[str]:
    """The accounts on a server, but for root; one without MinIO's admin API has none."""
    if on.program != "minio":
        return set()
    with on.admin() as admin:
        return set(json.loads(admin.user_list()))


def access_keys(on: Store, bucket_name: str) -> set[str]:
    """The access keys of a bucket's account on MinIO."""
    with on.admin() as admin:
        found = json.loads(admin.list_service_account(f"landfall-{bucket_name}"))
    return {account["accessKey"] for account in found.get("accounts") or []}


def retried(namespace: Namespace, name: str) -> dict[str, Any]:
    """Ask for a full look; the Bucket when it was had."""
    mark = uuid.uuid4().hex[:8]
    namespace.kubectl("annotate", "--overwrite", "bucket", name, f"landfall.dev/retry={mark}")

    def look() -> dict[str, Any] | None:
        body = namespace.get("bucket", name)
        return body if body["status"].get("retriedFor") == mark else None

    return until(look, seconds=60, what=f"Bucket {name} is looked at again")
