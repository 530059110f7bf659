"""The operator's tutorial, its commands run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import ROOT, Namespace, run, until
from servers import Server

PAGE = ROOT / "docs/tutorial-operator.md"


def script() -> str:
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture
def shop(server: Server, release: str) -> Iterator[Namespace]:
    """The tutorial's namespace by another name, and the role and database that its PostgreSQL would have."""
    here = Namespace(f"landfall-e2e-shop-{release}")
    # As the official image's initdb has it; psycopg gives bytes for the texts of SQL_ASCII.
    encoding = "ENCODING 'UTF8' TEMPLATE template0"
    server.sql("CREATE ROLE shop LOGIN PASSWORD 'shop'", f"CREATE DATABASE shop OWNER shop {encoding}")
    yield here
    run("kubectl", "delete", "namespace", here.name, "--ignore-not-found", "--wait=false")
    for number in (1, 2, 3):
        run("docker", "image", "rm", f"landfall-e2e-shop:{release}-{number}", check=False)


def adapted(text: str, *, namespace: str, release: str, operator_image: str, host: str) -> str:
    """Names of this run's own instead of the tutorial's, and the suite's PostgreSQL: nothing else is changed."""
    postgres = f"kubectl create service externalname postgres --external-name {host}"
    changes = {
        r"namespace(\s|=)shop\b": rf"namespace\1{namespace}",
        r"\bshop:(\d)": rf"landfall-e2e-shop:{release}-\1",
        r"landfall-operator:dev": operator_image,
        r"apply --server-side -f k8s/operator/install.yaml": "apply --server-side -f $HOME/install.yaml",
        r"kubectl apply -f k8s/examples/postgres.yaml": postgres,
        r"docker build": "docker build --network host",
        r"--name landfall\b": f"--name {os.environ.get('LANDFALL_E2E_KIND_CLUSTER', 'landfall')}",
    }
    for pattern, replacement in changes.items():
        text, count = re.subn(pattern, replacement, text)
        assert count, f"the tutorial has no {pattern} any more"
    return text


def test_the_tutorial_goes_as_it_is_written(
    shop: Namespace, server: Server, release: str, operator_image: str, tmp_path: Path
) -> None:
    install = (ROOT / "k8s/operator/install.yaml").read_text().replace("landfall-operator:dev", operator_image)
    (tmp_path / "install.yaml").write_text(install)
    config = Path(shutil.copy(os.environ["KUBECONFIG"], tmp_path / "kubeconfig"))  # the tutorial sets its namespace
    commands = adapted(
        script(),
        namespace=shop.name,
        release=release,
        operator_image=operator_image,
        host=f"{server.host}.cluster.local",
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    for words in (
        "shop   UpToDate   0001      0001     0         True",
        "ALTER TABLE orders DROP COLUMN customer;",
        "-- waits for an approval",
        "approved as ",
        "it ended with 1",
        'column "customer" does not exist',
    ):
        assert words in output
    until(
        lambda: run("kubectl", "get", "namespace", shop.name, "--ignore-not-found") == "",
        seconds=60,
        what="the tutorial's namespace is gone",
    )
