"""Buckets in the examples and in the how-to: they do what is said there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import ROOT, Namespace, condition, run
from stores import Store, keys
from test_howtos import Shell, commands

EXAMPLES = ROOT / "k8s/examples"
NAMES = ("media", "documents", "preview", "exports")


@pytest.fixture
def example(stage: Namespace, minio: Store) -> Iterator[Any]:
    """Apply an example as it stands, or on another store; the Bucket when it settled."""
    minio.share(stage, "minio-root")

    def apply(file: str, **store: Any) -> dict[str, Any]:
        body = yaml.safe_load((EXAMPLES / file).read_text())
        body["spec"]["store"] |= store
        if store:
            del body["spec"]["store"]["caBundleRef"]
        stage.apply(body)
        return stage.settled(body["metadata"]["name"], kind="bucket")

    yield apply
    stage.kubectl("delete", "bucket", "--ignore-not-found", *NAMES)


def lacks(body: dict[str, Any]) -> list[str]:
    assert condition(body, "Ready")["status"] == "True"
    found: list[str] = body["status"]["unsupported"]
    return found


def test_the_features_and_the_preview_are_ready_with_all_that_they_ask_for(example: Any) -> None:
    assert lacks(example("bucket-features.yaml")) == []
    assert lacks(example("bucket-throwaway.yaml")) == []


def test_the_shared_one_gives_the_stores_keys_and_its_public_address(
    stage: Namespace, versitygw: Store, example: Any
) -> None:
    versitygw.share(stage, "s3-keys", id=versitygw.key, secret=versitygw.secret_key)
    assert lacks(example("bucket-shared.yaml", endpoint=versitygw.endpoint)) == []
    found = keys(stage, "exports-api")
    assert (found["AWS_ACCESS_KEY_ID"], found["PUBLIC_ENDPOINT_URL_S3"]) == (versitygw.key, "https://files.example.com")


def test_the_how_to_s_commands_do_what_it_says(stage: Namespace, minio: Store, example: Any, tmp_path: Path) -> None:
    kubeconfig = str(shutil.copy(os.environ["KUBECONFIG"], tmp_path / "kubeconfig"))
    run("kubectl", "--kubeconfig", kubeconfig, "config", "set-context", "--current", "--namespace", stage.name)
    shell, steps = Shell(kubeconfig, ROOT, "api"), iter(commands("use-buckets.md"))
    given = {"AWS_ACCESS_KEY_ID=…": f"AWS_ACCESS_KEY_ID={minio.key}"}
    given["AWS_SECRET_ACCESS_KEY=…"] = f"AWS_SECRET_ACCESS_KEY={minio.secret_key}"
    stage.kubectl("delete", "secret", "minio-root")
    shell(next(steps), **given)
    shell(next(steps))
    assert "is ready" in shell(next(steps))
    tried = shell(next(steps))
    assert "refused" in tried
    assert "WRONG" not in tried
    shell(next(steps))
    with minio.forward() as address:
        shown = shell(next(steps), **given, **{"https://s3.example.com": f"http://{address}"})
    assert "versioning" in shown
    before = keys(stage, "media-api")["AWS_ACCESS_KEY_ID"]
    shell(next(steps))
    shell(next(steps))
    assert keys(stage, "media-api")["AWS_ACCESS_KEY_ID"] != before
    shell(next(steps))
    assert stage.get("bucket", "media")["spec"]["deletionPolicy"] == "Retain"
    assert next(steps, None) is None
