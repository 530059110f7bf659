"""Images are built once a run, and each test has a namespace with an operator and a PostgreSQL of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import ROOT, ClusterError, Namespace, refuse_remote, run, secret, until

HERE = Path(__file__).parent
POSTGIS_IMAGE = os.environ.get("LANDFALL_E2E_POSTGIS_IMAGE", "postgis/postgis:15-3.4")
KIND_CLUSTER = os.environ.get("LANDFALL_E2E_KIND_CLUSTER", "landfall")
PASSWORD = "e2e-seeded-password"


@pytest.fixture(scope="session", autouse=True)
def local_cluster() -> None:
    try:
        refuse_remote()
    except (ClusterError, OSError) as error:
        pytest.exit(f"make e2e: {error}", returncode=2)


def build(tag: str, *, dockerfile: Path, context: Path, **arguments: str) -> str:
    options = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    run(
        "docker",
        "build",
        "-q",
        "--network",
        "host",
        "-f",
        str(dockerfile),
        "-t",
        tag,
        *options,
        str(context),
        timeout=900,
    )
    run("kind", "load", "docker-image", tag, "--name", KIND_CLUSTER, timeout=300)
    return tag


@pytest.fixture(scope="session")
def release() -> str:
    """A tag of this run's own: a node keeps an old image of a tag that it has."""
    return uuid.uuid4().hex[:8]


@pytest.fixture(scope="session")
def operator_image(local_cluster: None, release: str) -> str:
    return build(f"landfall-operator:{release}", dockerfile=ROOT / "k8s/operator/Dockerfile", context=ROOT)


@pytest.fixture(scope="session")
def app_image(local_cluster: None, release: str) -> str:
    return build(f"landfall-e2e-app:{release}", dockerfile=HERE / "apps/Dockerfile", context=HERE / "apps")


@pytest.fixture(scope="session")
def newer_app_image(app_image: str, release: str) -> str:
    """The same applications as another image, as a new release is."""
    return build(
        f"landfall-e2e-app:{release}-2", dockerfile=HERE / "apps/Dockerfile", context=HERE / "apps", RELEASE="2"
    )


@pytest.fixture(scope="session")
def crds(local_cluster: None) -> None:
    directory = ROOT / "charts/landfall/charts/operator/crds"
    run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(directory))
    run("kubectl", "wait", "--for=condition=Established", "-f", str(directory), "--timeout=30s")


@pytest.fixture
def namespace(crds: None) -> Iterator[Namespace]:
    here = Namespace(f"landfall-e2e-{uuid.uuid4().hex[:6]}")
    run("kubectl", "create", "namespace", here.name)
    run("kubectl", "label", "namespace", here.name, "pod-security.kubernetes.io/enforce=baseline")
    yield here
    run("kubectl", "delete", "namespace", here.name, "--wait=false")


@pytest.fixture
def operator(namespace: Namespace, operator_image: str) -> Namespace:
    """The namespace with an operator that is up."""
    text = (ROOT / "k8s/operator/install.yaml").read_text().replace("landfall-operator:dev", operator_image)
    namespace.kubectl("apply", "--server-side", "-f", "-", text=text)
    namespace.kubectl("rollout", "status", "deployment/landfall-operator", "--timeout=60s")
    return namespace


@pytest.fixture
def postgres(namespace: Namespace) -> Namespace:
    """The namespace with a PostgreSQL behind the Service `pg`, a database `app` and the Secret `db` for it."""
    bodies = list(yaml.safe_load_all((HERE / "postgres.yaml").read_text().replace("POSTGIS_IMAGE", POSTGIS_IMAGE)))
    namespace.apply(*bodies)
    namespace.kubectl("rollout", "status", "deployment/pg", "--timeout=120s")
    until(
        lambda: namespace.kubectl("exec", "deploy/pg", "--", "pg_isready", "-h", "/tmp", check=False),
        seconds=30,
        what="PostgreSQL answers",
    )
    namespace.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'", database="postgres")
    namespace.sql("CREATE DATABASE app OWNER app", database="postgres")
    namespace.apply(secret("db", f"postgresql://app:{PASSWORD}@pg/app"))
    return namespace


@pytest.fixture
def stage(operator: Namespace, postgres: Namespace) -> Namespace:
    """Everything that a Migration needs."""
    return operator
