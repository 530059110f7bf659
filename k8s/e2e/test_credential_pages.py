"""Credentials in the examples and in the how-to: they do what is said there."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from cluster import ROOT, Namespace, run, until
from credentials import KIND, OWNER, digest, hashes, held, ready, retried
from test_howtos import PAGES, Shell, commands

EXAMPLES = sorted((ROOT / "k8s/examples").glob("credential*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_ready_with_the_keys_that_it_names(stage: Namespace, unique: str, file: Path) -> None:
    body = yaml.safe_load(file.read_text())
    body["metadata"]["name"] = body["spec"]["secretName"] = unique
    stage.apply(body)
    ready(stage, unique)
    assert hashes(stage, unique).keys() == body["spec"]["values"].keys() | body["spec"].get("templates", {}).keys()


def test_the_how_to_s_commands_do_what_it_says(stage: Namespace, unique: str, tmp_path: Path) -> None:
    kubeconfig = str(shutil.copy(os.environ["KUBECONFIG"], tmp_path / "kubeconfig"))
    run("kubectl", "--kubeconfig", kubeconfig, "config", "set-context", "--current", "--namespace", stage.name)
    shell, steps = Shell(kubeconfig, tmp_path, unique), iter(commands("keep-credentials.md"))
    name = f"{unique}-db"

    def step(beginning: str) -> str:
        text = next(steps)
        assert text.startswith(beginning)
        return shell(text)

    page = re.findall(r"^```yaml\n(.*?)^```$", (PAGES / "keep-credentials.md").read_text(), re.MULTILINE | re.DOTALL)
    body = yaml.safe_load(page[0])
    body["metadata"]["name"] = body["spec"]["secretName"] = name
    stage.apply(body)
    step("kubectl landfall wait")
    shown = digest(step("kubectl get secret"))
    assert shown == hashes(stage, name)["password"]

    step("kubectl landfall rotate")
    step("kubectl landfall wait")
    assert hashes(stage, name)["password.previous"] == shown
    step("kubectl patch secret")
    step("kubectl landfall retry")
    until(lambda: "chosen%20by%20hand" in held(stage, name)["DATABASE_URL"], seconds=20, what="templates follow")

    stage.kubectl("annotate", "secret", name, f"{OWNER}-")
    retried(stage, name, "SecretForeign")
    step("kubectl annotate --overwrite secret")
    step("kubectl landfall retry")
    ready(stage, name)

    stage.kubectl("delete", "secret", name)
    stage.told(name, "SecretLost", kind=KIND, seconds=20)
    step("kubectl patch credential")
    step("kubectl landfall wait")
    step("kubectl patch credential")
    assert next(steps, None) is None
    assert hashes(stage, name).keys() == {"DATABASE_URL", "password", "user"}
    stage.kubectl("delete", KIND, name)
