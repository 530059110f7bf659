"""What holds for each of the charts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import (
    CHARTS,
    SUBCHARTS,
    UMBRELLA,
    ChartError,
    Object,
    Values,
    find_helm,
    names,
    pod_templates,
    render,
    template,
)
from write_values import inline, read, written

ALONE = [SUBCHARTS / name for name in ("operator", "postgis", "minio")]
ALL = [UMBRELLA, *ALONE]
PROFILES = sorted((UMBRELLA / "profiles").glob("*.yaml"))
# All that may be switched on, so that no template goes unread.
EVERYTHING: Values = {
    "settings": {"LISTEN_TRUSTED_PROXIES": "10.0.0.0/8"},
    "api": {
        "autoscaling": {"enabled": True},
        "ingress": {"enabled": True, "hosts": ["api.example"]},
        "route": {"enabled": True, "parentRefs": [{"name": "public"}]},
        "serviceMonitor": {"enabled": True},
    },
    "operator": {
        "metrics": {
            "serviceMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True},
            "dashboard": {"enabled": True},
        },
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
    },
    "postgis": {
        "pgbouncer": {"enabled": True},
        "backup": {"enabled": True, "bucketSecret": "backups"},
        "tls": {"enabled": True, "secretName": "tls"},
    },
    "minio": {"console": {"enabled": True}},
    "networkPolicy": {"extraEgress": [{"ports": [{"port": 4318}]}]},
}


@cache
def everything() -> list[Object]:
    return render(UMBRELLA, EVERYTHING)


@pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.name)
@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_a_chart_renders_alone_and_the_same_each_time(chart: Path, helm: str) -> None:
    first = template(chart, helm=helm)
    assert template(chart, helm=helm) == first


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.stem)
def test_a_profile_is_the_same_to_both_helms(profile: Path) -> None:
    assert render(UMBRELLA, files=[profile]) == render(UMBRELLA, files=[profile], helm="helm3")


@pytest.mark.parametrize("path", [path.relative_to(CHARTS) for path in written()], ids=str)
def test_what_follows_from_the_schemas_is_up_to_date(path: Path) -> None:
    assert (CHARTS / path).read_text() == written()[CHARTS / path], "run: make reference"


@pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.name)
def test_every_value_has_a_description_and_a_default(chart: Path) -> None:
    schema, values = inline(read(chart)), yaml.safe_load((chart / "values.yaml").read_text())
    skipped = {"global", "enabled"} | ({path.name for path in ALONE} if chart == UMBRELLA else set())
    assert list(undescribed(schema, values, skipped)) == []


def undescribed(schema: Object, values: Any, skipped: set[str], path: str = "") -> Iterator[str]:
    for name, sub in schema["properties"].items():
        if not path and name in skipped:
            continue
        if not sub.get("description"):
            yield f"{path}{name} has no description"
        if not isinstance(values, dict) or name not in values:
            if "resources" not in path.lower() and "Probe" not in path:
                yield f"{path}{name} has no default in values.yaml"
        elif sub.get("properties") and "resources" not in name.lower():
            yield from undescribed(sub, values[name], skipped, f"{path}{name}.")


def test_every_pod_is_restricted() -> None:
    for name, made in pod_templates(everything()).items():
        pod = made["spec"]
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert isinstance(security["runAsUser"], int), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is (name in WITH_TOKEN), name
        assert pod["enableServiceLinks"] is False, name
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name


WITH_TOKEN = {"Deployment/landfall-operator"}


def test_every_pod_is_denied_by_default_and_given_its_edges() -> None:
    objects = everything()
    policies = [body["spec"] for body in objects if body["kind"] == "NetworkPolicy"]
    for name, pod in pod_templates(objects).items():
        labels = pod["metadata"]["labels"]
        denied = [
            policy
            for policy in policies
            if policy["policyTypes"] == ["Ingress", "Egress"]
            and not policy.get("ingress")
            and not policy.get("egress")
            and policy["podSelector"]["matchLabels"].items() <= labels.items()
        ]
        assert denied, f"{name} is denied nothing"


def test_names_may_be_asked_of_a_cache_on_each_node_too() -> None:
    peers = [{"podSelector": {}}, {"ipBlock": {"cidr": "169.254.20.10/32"}}]
    to = {"networkPolicy": {"dnsTo": peers}}
    objects = render(UMBRELLA, to | {part.name: to for part in ALONE})
    found = [body["spec"]["egress"][0]["to"] for body in objects if body["metadata"]["name"].endswith("-to-dns")]
    assert found == [peers] * 3


def test_there_are_no_hooks_but_tests() -> None:
    hooks = {
        body["metadata"]["annotations"]["helm.sh/hook"]
        for body in everything()
        if "helm.sh/hook" in body["metadata"].get("annotations", {})
    }
    assert hooks == {"test"}


def test_nothing_secret_is_rendered_and_nothing_depends_on_the_cluster() -> None:
    assert not [name for name in names(everything()) if name.startswith("Secret/")]
    for path in UMBRELLA.rglob("templates/**/*"):
        if path.is_file():
            assert not re.search(r"\blookup\b|\brand(Alpha|Ascii|Numeric|Int|Bytes)|genPrivateKey", path.read_text()), (
                path
            )


def test_a_mirror_and_pull_secrets_reach_every_pod() -> None:
    changed = EVERYTHING | {"global": {"imageRegistry": "mirror.example", "imagePullSecrets": [{"name": "login"}]}}
    for name, pod in pod_templates(render(UMBRELLA, changed)).items():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "login"}], name
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
            assert container["image"].startswith("mirror.example/"), name


def test_names_stay_within_kubernetes_limits_for_the_longest_release() -> None:
    for body in render(UMBRELLA, EVERYTHING, release="a" * 36):
        limit = 52 if body["kind"] in {"CronJob", "StatefulSet"} else 63
        assert len(body["metadata"]["name"]) <= limit, body["metadata"]["name"]
    with pytest.raises(ChartError, match="take 36 at most"):
        render(UMBRELLA, release="a" * 37)


def test_no_object_is_made_twice() -> None:
    found = names(everything())
    assert len(found) == len(set(found))


@pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.name)
def test_helm_lint_finds_nothing(chart: Path) -> None:
    done = subprocess.run([find_helm(), "lint", "--strict", str(chart)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
