"""What the operator's chart makes of its values. On a cluster: k8s/e2e/test_chart_operator.py."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import CHARTS, SUBCHARTS, ChartError, Object, Values, find_helm, names, pick, pod_templates, render
from rendering import template as printed

CHART = SUBCHARTS / "operator"
DOCS = CHARTS.parent / "docs"
REFERENCE = DOCS / "reference/operator"
RUNBOOK = DOCS / "how-to/charts/alerts.md"
NAME = "landfall-operator"
PROMETHEUS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
MONITORED: Values = {
    "metrics": {part: {"enabled": True} for part in ("serviceMonitor", "prometheusRule", "dashboard")},
    "networkPolicy": {"metricsFrom": PROMETHEUS},
}
DRAINED: Values = {"drain": {"buckets": ["media", "backups"], "timeoutSeconds": 90}}
MONITORING = {
    f"{kind}/{name}"
    for kind, name in (
        ("Service", f"{NAME}-metrics"),
        ("ServiceMonitor", NAME),
        ("PrometheusRule", NAME),
        ("ConfigMap", f"{NAME}-dashboard"),
        ("NetworkPolicy", f"{NAME}-from-metrics"),
    )
}
CONTROLLED = {"LANDFALL_SCOPE", "LANDFALL_NAMESPACE", "LANDFALL_RUNNER_IMAGE"}  # which are no settings of the chart's


def container(objects: list[Object]) -> dict[str, Any]:
    found: dict[str, Any] = pod_templates(objects)[f"Deployment/{NAME}"]["spec"]["containers"][0]
    return found


def environment(objects: list[Object]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container(objects)["env"]}


def documented(page: str) -> dict[str, str]:
    """The first two columns of a reference page's settings or metrics."""
    rows = re.compile(r"^\| `(landfall_\w+)` \| `?([^|`]*)`? \|", re.MULTILINE | re.IGNORECASE)
    return dict(rows.findall((REFERENCE / page).read_text()))


# What there is


def test_the_same_values_give_the_same_bytes() -> None:
    values = {**MONITORED, **DRAINED}
    assert printed(CHART, values) == printed(CHART, values)


def test_helm_3_makes_the_same_of_it() -> None:
    find_helm("helm3")
    values = {**MONITORED, **DRAINED}
    assert render(CHART, values, helm="helm3") == render(CHART, values)


@pytest.mark.parametrize(
    ("release", "override", "name"),
    [
        ("landfall", "", "landfall-operator"),
        ("my-operator", "", "my-operator"),
        ("landfall", "op", "op"),
        ("r" * 49, "", "r" * 49),
    ],
)
def test_everything_has_the_releases_name(release: str, override: str, name: str) -> None:
    made = names(render(CHART, {"fullnameOverride": override}, release=release))
    assert {f"Deployment/{name}", f"ServiceAccount/{name}", f"Role/{name}", f"RoleBinding/{name}"} <= set(made)


def test_one_namespace_is_watched_by_a_role() -> None:
    objects = render(CHART)
    assert environment(objects)["LANDFALL_SCOPE"] == "namespace"
    assert {body["kind"] for body in objects} & {"ClusterRole", "ClusterRoleBinding"} == set()


def test_the_cluster_is_watched_by_a_cluster_role_of_the_same_rules() -> None:
    objects = render(CHART, {"scope": "cluster"})
    assert environment(objects)["LANDFALL_SCOPE"] == "cluster"
    assert pick(objects, "ClusterRole", NAME)["rules"] == pick(render(CHART), "Role", NAME)["rules"]
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": "shop"}
    assert pick(objects, "ClusterRoleBinding", NAME)["subjects"] == [subject]
    assert {body["kind"] for body in objects} & {"Role", "RoleBinding"} == set()


def test_no_right_has_a_wildcard_and_secrets_are_not_listed() -> None:
    rules = pick(render(CHART), "Role", NAME)["rules"]
    assert "*" not in json.dumps(rules)
    assert [rule["verbs"] for rule in rules if "secrets" in rule["resources"]] == [["get", "create", "patch", "delete"]]


@pytest.mark.parametrize(
    ("gates", "narrowed"), [([], {}), (["{{ .Release.Name }}", "worker"], {"resourceNames": ["landfall", "worker"]})]
)
def test_gates_narrow_the_right_to_mark_deployments(gates: list[str], narrowed: dict[str, Any]) -> None:
    rules = pick(render(CHART, {"gates": gates}), "Role", NAME)["rules"]
    wanted = {"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["patch"]}
    assert [rule for rule in rules if "deployments/status" in rule["resources"]] == [wanted | narrowed]


# The operator's pod


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "landfall-operator:0.1.0"),
        ({"image": {"tag": "dev"}}, "landfall-operator:dev"),
        ({"image": {"tag": "1", "digest": f"sha256:{'a' * 64}"}}, f"landfall-operator@sha256:{'a' * 64}"),
        ({"global": {"imageRegistry": "mirror.example/x"}}, "mirror.example/x/landfall-operator:0.1.0"),
    ],
)
def test_jobs_copy_the_runner_from_the_operators_own_image(values: Values, image: str) -> None:
    objects = render(CHART, values | DRAINED)
    assert environment(objects)["LANDFALL_RUNNER_IMAGE"] == image
    assert {pod["spec"]["containers"][0]["image"] for pod in pod_templates(objects).values()} == {image}


def test_every_setting_of_the_operator_is_a_value_with_its_default() -> None:
    settings = {name: value for name, value in documented("configuration.md").items() if name not in CONTROLLED}
    known = environment(render(CHART))
    assert {name: known.get(name) for name in settings} == settings
    assert set(known) == set(settings) | CONTROLLED | {"POD_ID"}


def test_a_setting_reaches_the_operator() -> None:
    settings = {"workers": 2, "logLevel": "DEBUG", "httpPort": 9090, "resyncSeconds": 86400}
    objects = render(CHART, {"settings": settings})
    wanted = {
        "LANDFALL_WORKERS": "2",
        "LANDFALL_LOG_LEVEL": "DEBUG",
        "LANDFALL_HTTP_PORT": "9090",
        "LANDFALL_RESYNC_SECONDS": "86400",
    }
    assert wanted.items() <= environment(objects).items()
    assert container(objects)["ports"] == [{"name": "http", "containerPort": 9090}]


@pytest.mark.parametrize("pod", [f"Deployment/{NAME}", f"Job/{NAME}-drain"])
def test_pods_are_restricted(pod: str) -> None:
    spec = pod_templates(render(CHART, DRAINED))[pod]["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["enableServiceLinks"] is False
    resources = spec["containers"][0]["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


def test_a_pod_takes_what_its_values_add() -> None:
    values: Values = {
        "podLabels": {"{{ .Release.Name }}-minio-client": "true"},
        "podAnnotations": {"a": "b"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "own"}],
        "global": {"imagePullSecrets": [{"name": "shared"}]},
    }
    objects = render(CHART, values)
    pod = pod_templates(objects)[f"Deployment/{NAME}"]
    assert pod["metadata"]["labels"]["landfall-minio-client"] == "true"
    assert pod["metadata"]["annotations"] == {"a": "b"}
    assert environment(objects)["HTTPS_PROXY"] == "http://proxy:3128"
    assert pod["spec"]["volumes"][-1] == values["extraVolumes"][0]
    assert container(objects)["volumeMounts"][-1] == values["extraVolumeMounts"][0]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "shared"}, {"name": "own"}]
    same = ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName")
    assert {key: pod["spec"][key] for key in same} == {key: values[key] for key in same}


def test_texts_in_extra_objects_are_templates() -> None:
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}
    assert "ConfigMap/landfall-more" in names(render(CHART, {"extraObjects": [extra]}))


# The network


def test_every_pod_is_denied_all_that_no_edge_allows() -> None:
    objects = render(CHART, DRAINED)
    spec = pick(objects, "NetworkPolicy", f"{NAME}-default-deny")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert set(spec) == {"podSelector", "policyTypes"}
    for pod in pod_templates(objects).values():
        assert spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_each_edge_has_its_policy() -> None:
    objects = render(CHART, {"networkPolicy": {"metricsFrom": PROMETHEUS}})
    edges = {name.removeprefix(f"NetworkPolicy/{NAME}-") for name in names(objects) if name.startswith("NetworkPolicy")}
    assert edges == {"default-deny", "to-dns", "to-api-server", "to-s3", "from-metrics"}


@pytest.mark.parametrize(
    ("edge", "values", "rule"),
    [
        (
            "to-api-server",
            {"apiServer": {"cidr": "10.0.0.1/32", "ports": [6443]}},
            {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"protocol": "TCP", "port": 6443}]},
        ),
        ("to-s3", {}, {"ports": [{"protocol": "TCP", "port": 9000}, {"protocol": "TCP", "port": 443}]}),
        (
            "to-s3",
            {"egress": {"s3": {"to": [{"podSelector": {}}], "ports": [9000]}}},
            {"to": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 9000}]},
        ),
    ],
)
def test_an_edge_is_as_wide_as_its_values(edge: str, values: Values, rule: Object) -> None:
    objects = render(CHART, {"networkPolicy": values})
    assert pick(objects, "NetworkPolicy", f"{NAME}-{edge}")["spec"]["egress"] == [rule]


def test_network_policies_can_be_left_to_others() -> None:
    objects = render(CHART, {"networkPolicy": {"enabled": False, "metricsFrom": PROMETHEUS}})
    assert "NetworkPolicy" not in {body["kind"] for body in objects}


# The drain


def test_nothing_is_drained_unless_buckets_are_named() -> None:
    assert not [body for body in render(CHART) if "annotations" in body["metadata"]]


def test_the_drain_comes_before_a_deletion_and_ends_what_it_was_told_to() -> None:
    objects = [body for body in render(CHART, DRAINED) if body["metadata"]["name"] == f"{NAME}-drain"]
    assert names(objects) == [f"{kind}/{NAME}-drain" for kind in ("Job", "Role", "RoleBinding", "ServiceAccount")]
    assert {body["metadata"]["annotations"]["helm.sh/hook"] for body in objects} == {"pre-delete"}
    weights = {body["kind"]: int(body["metadata"]["annotations"]["helm.sh/hook-weight"]) for body in objects}
    assert weights.pop("Job") > max(weights.values())
    job = pod_templates(objects)[f"Job/{NAME}-drain"]["spec"]["containers"][0]
    assert job["args"] == ["drain", "shop", "media", "backups", "--timeout", "90"]


def test_the_drain_may_touch_its_own_buckets_only() -> None:
    (rule,) = pick(render(CHART, DRAINED), "Role", f"{NAME}-drain")["rules"]
    assert rule["resourceNames"] == ["media", "backups"]
    assert rule["verbs"] == ["get", "patch", "delete"]


# Metrics


def test_nothing_is_made_for_prometheus_or_grafana_unless_it_is_switched_on() -> None:
    assert set(names(render(CHART))) & MONITORING == set()
    assert set(names(render(CHART, MONITORED))) >= MONITORING


def test_the_service_monitor_finds_the_service_and_the_service_the_pod() -> None:
    objects = render(CHART, MONITORED)
    monitor, service = pick(objects, "ServiceMonitor", NAME), pick(objects, "Service", f"{NAME}-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,), (port,) = monitor["spec"]["endpoints"], service["spec"]["ports"]
    assert (endpoint["port"], port["targetPort"]) == (port["name"], container(objects)["ports"][0]["name"])
    pod = pod_templates(objects)[f"Deployment/{NAME}"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


@cache
def rules(scope: str = "namespace") -> list[dict[str, Any]]:
    objects = render(CHART, MONITORED | {"scope": scope})
    (group,) = pick(objects, "PrometheusRule", NAME)["spec"]["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    config_map = pick(render(CHART, MONITORED), "ConfigMap", f"{NAME}-dashboard")
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    found: dict[str, Any] = json.loads(config_map["data"][f"{NAME}.json"])
    return found


def queries() -> list[str]:
    """The dashboard's, with what Grafana puts in for its variables."""
    texts = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [text.replace("$__rate_interval", "5m").replace("$namespace", ".*") for text in texts]


def test_alerts_and_dashboard_read_metrics_that_the_operator_has() -> None:
    kinds = documented("metrics.md")
    parts = {"histogram": ("_bucket", "_sum", "_count")}
    known = {name + part for name, kind in kinds.items() for part in parts.get(kind, ("",))}
    read = {name for text in (*(r["expr"] for r in rules()), *queries()) for name in re.findall(r"landfall_\w+", text)}
    assert read - known == set()
    assert read


def test_an_alert_says_what_it_is_and_where_to_read_on() -> None:
    for rule in rules():
        assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page.endswith(str(RUNBOOK.relative_to(DOCS.parent).with_suffix("")))
        assert anchor == rule["alert"].lower()


def test_the_runbook_has_every_alert_and_no_other() -> None:
    assert re.findall(r"^## (Landfall\w+)$", RUNBOOK.read_text(), re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_an_operator_of_one_namespace_has_alerts_for_that_one_only() -> None:
    assert [rule["alert"] for rule in rules() if '{namespace="shop"}' not in rule["expr"]] == []


def test_an_operator_of_the_cluster_has_alerts_for_resources_in_any_namespace() -> None:
    by_name = {rule["alert"]: rule["expr"] for rule in rules("cluster")}
    assert by_name["LandfallMigrationStalled"] == "landfall_migration_stalled == 1"
    assert by_name["LandfallOperatorAbsent"] == 'absent(landfall_crd_outdated{namespace="shop"})'


def promtool(directory: Path, tests: dict[str, Any] | None = None, **groups: Any) -> None:
    """Have Prometheus itself check rules, and play its tests of them."""
    tool = shutil.which("promtool")
    if not tool:
        missing = "promtool, which comes with Prometheus (Debian: apt-get install prometheus), is not on PATH"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    (directory / "rules.yaml").write_text(yaml.safe_dump(groups))
    (directory / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], **(tests or {"tests": []})}))
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]):
        done = subprocess.run([tool, *command], cwd=directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    recorded = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(queries())]
    promtool(tmp_path, groups=[{"name": "dashboard", "rules": recorded}])


ALERTS: list[tuple[str, dict[str, str], str, int]] = [
    # alert, values a minute of each metric, at what time, how many are given
    ("LandfallMigrationStalled", {"landfall_migration_stalled": "0 1x20"}, "2m", 1),
    ("LandfallMigrationStalled", {"landfall_migration_stalled": "0x20"}, "10m", 0),
    ("LandfallMigrationStalled", {"landfall_migration_stalled{namespace='other'}": "1x20"}, "10m", 0),
    ("LandfallMigrationNotReady", {"landfall_migration_ready": "0x20"}, "11m", 1),
    ("LandfallMigrationNotReady", {"landfall_migration_ready": "0x8 1 0x8"}, "15m", 0),
    ("LandfallMigrationNotReady", {"landfall_migration_ready": "0x20", "landfall_migration_stalled": "1x20"}, "15m", 0),
    ("LandfallBucketNotReady", {"landfall_bucket_ready": "0x20"}, "11m", 1),
    ("LandfallBucketNotReady", {"landfall_bucket_ready": "0x5 1x20"}, "11m", 0),
    ("LandfallCredentialNotReady", {"landfall_credential_ready": "0x20"}, "11m", 1),
    ("LandfallOperatorAbsent", {"landfall_crd_outdated": "0x2 stale"}, "15m", 1),
    ("LandfallOperatorAbsent", {"landfall_crd_outdated": "0x20"}, "15m", 0),
    ("LandfallOperatorAbsent", {"landfall_crd_outdated{namespace='other'}": "0x20"}, "15m", 1),
    ("LandfallCrdOutdated", {"landfall_crd_outdated": "1x20"}, "6m", 1),
    ("LandfallReconcileErrors", {"landfall_reconcile_errors_total": "0+1x30"}, "25m", 1),
    ("LandfallReconcileErrors", {"landfall_reconcile_errors_total": "0 1x30"}, "25m", 0),
]


@pytest.mark.parametrize(("alert", "series", "at", "count"), ALERTS)
def test_an_alert_comes_when_it_should(alert: str, series: dict[str, str], at: str, count: int, tmp_path: Path) -> None:
    rule = next(rule for rule in rules() if rule["alert"] == alert)
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    inputs = {name if "{" in name else f"{name}{{namespace='shop',name='api'}}": text for name, text in series.items()}
    played = {
        "interval": "1m",
        "input_series": [{"series": name, "values": text} for name, text in inputs.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": at, "exp_samples": [{"labels": "{}", "value": count}]}],
    }
    tests = {"evaluation_interval": "1m", "tests": [played]}
    promtool(tmp_path, tests, groups=[{"name": "operator", "rules": [rule]}])


# Values that are wrong

BAD: list[tuple[Values, str]] = [
    ({"nope": 1}, "additional properties 'nope' not allowed"),
    ({"scope": "all"}, "value must be one of 'namespace', 'cluster'"),
    ({"fullnameOverride": "Not_A_Name"}, "fullnameOverride"),
    ({"fullnameOverride": "x" * 51}, "maxLength: got 51, want 50"),
    ({"image": {"digest": "sha256:short"}}, "/image/digest"),
    ({"image": {"repository": "registry.example/x:1 "}}, "/image/repository"),
    ({"image": {"tag": "a b"}}, "/image/tag"),
    ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    ({"imagePullSecrets": ["name"]}, "/imagePullSecrets/0"),
    ({"settings": {"workers": 0}}, "/settings/workers': minimum: got 0, want 1"),
    ({"settings": {"httpPort": 80}}, "/settings/httpPort': minimum: got 80, want 1,024"),
    ({"settings": {"resyncSeconds": 1}}, "/settings/resyncSeconds': minimum: got 1, want 10"),
    ({"settings": {"logLevel": "info"}}, "value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
    ({"settings": {"bucketCheckSeconds": "10m"}}, "/settings/bucketCheckSeconds': got string, want integer"),
    ({"gates": ["api", "api"]}, "/gates': items at 0 and 1 are equal"),
    ({"drain": {"buckets": ["Media"]}}, "/drain/buckets/0"),
    ({"drain": {"timeoutSeconds": 0}}, "/drain/timeoutSeconds': minimum: got 0, want 1"),
    ({"runAsUser": 0}, "/runAsUser': minimum: got 0, want 1"),
    ({"networkPolicy": {"apiServer": {"cidr": "10.0.0.1"}}}, "/networkPolicy/apiServer/cidr"),
    ({"networkPolicy": {"apiServer": {"ports": []}}}, "minItems: got 0, want 1"),
    ({"networkPolicy": {"egress": {"s3": {"ports": [70000]}}}}, "maximum: got 70,000, want 65,535"),
    ({"metrics": {"serviceMonitor": {"interval": "30"}}}, "/metrics/serviceMonitor/interval"),
    ({"metrics": {"prometheusRule": {"runbookUrl": "alerts.md"}}}, "/metrics/prometheusRule/runbookUrl"),
    ({"metrics": {"serviceMonitor": {"enabled": True}}}, "name its pods in networkPolicy.metricsFrom"),
    (
        {"extraEnv": [{"name": "LANDFALL_WORKERS", "value": "1"}]},
        "extraEnv sets LANDFALL_WORKERS, which the chart sets",
    ),
    ({"extraEnv": [{"value": "1"}]}, "missing property 'name'"),
    ({"extraObjects": [{"kind": "ConfigMap"}]}, "missing properties 'apiVersion', 'metadata'"),
]


@pytest.mark.parametrize(("values", "words"), BAD, ids=[json.dumps(values)[:60] for values, _ in BAD])
def test_a_wrong_value_is_refused_by_its_name(values: Values, words: str) -> None:
    with pytest.raises(ChartError) as refused:
        render(CHART, values)
    assert words in str(refused.value)
