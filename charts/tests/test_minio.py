"""The MinIO chart: what it makes of values, and which values it refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from rendering import SUBCHARTS, ChartError, Object, Values, names, pick, pod_templates, render, template

CHART = SUBCHARTS / "minio"
PEER: Values = {"podSelector": {"matchLabels": {"app": "gateway"}}}
TLS: Values = {"tls": {"enabled": True, "secretName": "minio-tls"}}
PUBLISHED: Values = {"host": "s3.example.com", "enabled": True}
EVERYTHING: Values = {
    **TLS,
    "global": {"imageRegistry": "mirror.example", "imagePullSecrets": [{"name": "pull"}]},
    "console": {"enabled": True},
    "corsAllowOrigins": ["https://app.example.com", "https://other.example.com"],
    "metrics": {
        "enabled": True,
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "ingress": {**PUBLISHED, "className": "nginx", "annotations": {"a": "b"}, "tlsSecretName": "s3-tls"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["s3.example.com"]},
    "networkPolicy": {"extraIngress": [PEER], "consoleFrom": [PEER], "metricsFrom": [PEER]},
    "podAnnotations": {"note": "1"},
    "podLabels": {"team": "storage"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "storage", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "high",
    "extraEnv": [{"name": "MINIO_SCANNER_SPEED", "value": "slow"}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-object"}},
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-text'}",
    ],
}

# Values, and words that the refusal must have.
BAD: list[tuple[Values, list[str]]] = [
    ({"replicas": 2}, ["replicas"]),
    ({"fullnameOverride": "Store"}, ["fullnameOverride", "pattern"]),
    ({"image": {"tag": "a b"}}, ["/image/tag"]),
    ({"image": {"repository": "pgsty/silo:latest@x"}}, ["/image/repository"]),
    ({"image": {"digest": "635197cb"}}, ["/image/digest"]),
    ({"image": {"pullPolicy": "Sometimes"}}, ["/image/pullPolicy", "IfNotPresent"]),
    ({"command": ""}, ["/command"]),
    ({"region": "EU Central"}, ["/region"]),
    ({"auth": {"rootPassword": "secret"}}, ["/auth", "rootPassword"]),
    ({"auth": {"rootUser": "ab"}}, ["/auth/rootUser"]),
    ({"auth": {"keys": {"secretKey": "password"}}}, ["auth.keys.secretKey is password", "auth.existingSecret"]),
    ({"corsAllowOrigins": ["app.example.com"]}, ["/corsAllowOrigins/0"]),
    ({"tls": {"enabled": True}}, ["tls.secretName is empty", "name the Secret"]),
    ({"tls": {"secretName": "minio-tls"}}, ["tls.secretName is minio-tls", "enable TLS"]),
    ({"metrics": {"serviceMonitor": {"interval": "often"}}}, ["/metrics/serviceMonitor/interval"]),
    (
        {"metrics": {"serviceMonitor": {"enabled": True}}, "networkPolicy": {"metricsFrom": [PEER]}},
        ["metrics.enabled is false", "enable the metrics"],
    ),
    (
        {"metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}},
        ["networkPolicy.metricsFrom is empty", "Prometheus"],
    ),
    (
        {"metrics": {"prometheusRule": {"enabled": True}}, "persistence": {"enabled": False}},
        ["metrics.prometheusRule.enabled", "persistence.enabled is false"],
    ),
    ({"persistence": {"size": "10 GB"}}, ["/persistence/size"]),
    ({"persistence": {"enabled": False, "existingClaim": "old"}}, ["persistence.existingClaim is old", "enable"]),
    ({"persistence": {"storageClass": "fast", "existingClaim": "old"}}, ["storageClass is fast", "leave one"]),
    ({"ingress": {"enabled": True}}, ["ingress.host is empty"]),
    ({"ingress": {"host": "https://s3.example.com"}}, ["/ingress/host"]),
    ({"ingress": PUBLISHED}, ["ingress.enabled", "networkPolicy.extraIngress is empty"]),
    ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]}}, ["httpRoute.hostnames", "Gateway"]),
    (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["s3.example.com"]}},
        ["httpRoute.enabled", "networkPolicy.extraIngress is empty"],
    ),
    ({"networkPolicy": {"extraIngress": [{"matchLabels": {"app": "api"}}]}}, ["/networkPolicy/extraIngress/0"]),
    ({"networkPolicy": {"consoleFrom": [{}]}}, ["/networkPolicy/consoleFrom/0"]),
    ({"securityContext": {"runAsUser": 0}}, ["/securityContext/runAsUser", "minimum"]),
    ({"securityContext": {"privileged": True}}, ["/securityContext", "privileged"]),
    ({"extraEnv": [{"name": "MINIO_ROOT_PASSWORD", "value": "x"}]}, ["MINIO_ROOT_PASSWORD", "auth.existingSecret"]),
    ({"extraEnv": [{"name": "MINIO_BROWSER", "value": "on"}]}, ["MINIO_BROWSER", "console.enabled"]),
    ({"terminationGracePeriodSeconds": 0}, ["/terminationGracePeriodSeconds", "minimum"]),
]


def stateful_set(values: Values | None = None) -> Object:
    return pick(render(CHART, values), "StatefulSet", "landfall-minio")


def container(values: Values | None = None) -> Object:
    found: Object = stateful_set(values)["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(values: Values | None = None) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(values)["env"]}


def volumes(values: Values | None = None) -> dict[str, Object]:
    found = stateful_set(values)["spec"]["template"]["spec"]["volumes"]
    return {volume.pop("name"): volume for volume in found}


def ingress_edges(objects: list[Object]) -> dict[str, tuple[Any, Any]]:
    """Of each policy that lets something in: who, and to which port."""
    policies = [body for body in objects if body["kind"] == "NetworkPolicy" and body["spec"].get("ingress")]
    rules = {body["metadata"]["name"]: body["spec"]["ingress"][0] for body in policies}
    return {name: (rule["from"], rule["ports"][0]["port"]) for name, rule in rules.items()}


@pytest.mark.parametrize(("values", "words"), BAD, ids=lambda value: re.sub(r"\W+", "-", json.dumps(value))[:50])
def test_bad_values_are_refused_by_name(values: Values, words: list[str]) -> None:
    with pytest.raises(ChartError) as refused:
        render(CHART, values)

    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)


@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_both_helms_make_the_same_objects_each_time(helm: str, values: Values) -> None:
    assert template(CHART, values, helm=helm) == template(CHART, values, helm=helm)
    assert render(CHART, values, helm=helm) == render(CHART, values)


def test_a_parent_may_hand_down_what_charts_share() -> None:
    render(CHART, {"enabled": True, "global": {"whatever": {"else": 1}}})


@pytest.mark.parametrize(
    ("release", "override", "name"),
    [
        ("landfall", "", "landfall-minio"),
        ("my-minio", "", "my-minio"),
        ("landfall", "store", "store"),
        ("a-release-with-a-name-that-is-longer-than-most", "", "a-release-with-a-name-that-is-longer-than-most-min"),
        ("a-release-whose-name-and-the-charts-end-in-a-dash", "", "a-release-whose-name-and-the-charts-end-in-a-dash"),
    ],
)
def test_everything_bears_one_name(release: str, override: str, name: str) -> None:
    objects = render(CHART, {"fullnameOverride": override}, release=release)

    assert names(objects) == [
        f"Credential/{name}-root",
        f"NetworkPolicy/{name}-default-deny",
        f"NetworkPolicy/{name}-s3",
        f"NetworkPolicy/{name}-test-dns",
        f"NetworkPolicy/{name}-test-s3",
        f"Pod/{name}-test",
        f"Service/{name}",
        f"StatefulSet/{name}",
    ]


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_pods_keep_to_the_restricted_profile_and_a_read_only_root(values: Values) -> None:
    pods = pod_templates(render(CHART, values))

    assert sorted(pods) == ["Pod/landfall-minio-test", "StatefulSet/landfall-minio"]
    for pod in (body["spec"] for body in pods.values()):
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"], context["runAsGroup"]) == (True, 1000, 1000)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
        assert pod["terminationGracePeriodSeconds"] > 0
        for found in pod["containers"]:
            assert found["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= found["resources"]["requests"].keys()
            assert "memory" in found["resources"]["limits"]


def test_what_schedules_a_pod_holds_for_the_test_pod_too() -> None:
    for pod in pod_templates(render(CHART, EVERYTHING)).values():
        for key in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"):
            assert pod["spec"][key] == EVERYTHING[key]
        assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_the_pod_takes_what_its_values_add() -> None:
    pod = stateful_set(EVERYTHING)["spec"]["template"]

    assert pod["metadata"]["annotations"] == {"note": "1"}
    assert pod["metadata"]["labels"]["team"] == "storage"
    assert environment(EVERYTHING)["MINIO_SCANNER_SPEED"] == "slow"
    assert {"name": "more", "emptyDir": {}} in pod["spec"]["volumes"]
    assert {"name": "more", "mountPath": "/more"} in pod["spec"]["containers"][0]["volumeMounts"]


def test_a_new_version_of_the_chart_alone_restarts_nothing() -> None:
    assert "helm.sh/chart" not in stateful_set()["spec"]["template"]["metadata"]["labels"]


def test_what_cannot_change_in_a_stateful_set_has_no_version_in_it() -> None:
    spec = stateful_set()["spec"]

    fixed = [spec["selector"]["matchLabels"], spec["volumeClaimTemplates"][0]["metadata"]["labels"]]
    assert "RELEASE" not in json.dumps(fixed)


@pytest.mark.parametrize(
    ("image", "registry", "reference"),
    [
        ({}, "", "pgsty/silo:APP"),
        ({"repository": "my/minio", "tag": "1"}, "", "my/minio:1"),
        ({"tag": "1", "digest": f"sha256:{'a' * 64}"}, "", f"pgsty/silo@sha256:{'a' * 64}"),
        ({}, "mirror.example:5000/hub", "mirror.example:5000/hub/pgsty/silo:APP"),
    ],
)
def test_the_image_is_the_one_that_is_named(image: Values, registry: str, reference: str) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]

    found = container({"image": image, "global": {"imageRegistry": registry}})["image"]

    assert found == reference.replace("APP", version)


def test_the_program_is_a_value_since_forks_name_it_otherwise() -> None:
    assert container()["command"] == ["silo"]
    assert container({"command": "minio"})["command"] == ["minio"]


def root_keys(values: Values | None = None) -> tuple[str, dict[str, str]]:
    """The Secret, and which of its keys each of the server's files is."""
    spec = pick(render(CHART, values), "StatefulSet", "landfall-minio")["spec"]["template"]["spec"]
    secret = next(volume["secret"] for volume in spec["volumes"] if volume["name"] == "root-keys")
    files = {item["path"]: item["key"] for item in secret["items"]}
    read = {environment(values)[name] for name in ("MINIO_ROOT_USER_FILE", "MINIO_ROOT_PASSWORD_FILE")}
    assert read == {f"/root-keys/{file}" for file in files}
    return secret["secretName"], files


def test_the_root_keys_come_from_a_credential_that_stays() -> None:
    spec = pick(render(CHART), "Credential", "landfall-minio-root")["spec"]

    assert (spec["secretName"], spec["deletionPolicy"]) == ("landfall-minio-root", "Retain")
    assert spec["values"] == {
        "AWS_ACCESS_KEY_ID": {"value": "landfall-root"},
        "AWS_SECRET_ACCESS_KEY": {"generate": {"length": 40}},
    }
    assert root_keys() == ("landfall-minio-root", {"user": "AWS_ACCESS_KEY_ID", "password": "AWS_SECRET_ACCESS_KEY"})


def test_the_root_keys_may_come_from_a_secret_of_ones_own() -> None:
    values: Values = {"auth": {"existingSecret": "mine", "keys": {"accessKey": "user", "secretKey": "password"}}}
    objects = render(CHART, values)

    assert not [name for name in names(objects) if name.startswith("Credential/")]
    assert root_keys(values) == ("mine", {"user": "user", "password": "password"})
    assert pick(objects, "Pod", "landfall-minio-test")["spec"]["containers"][0]["env"][1] == {
        "name": "AWS_SECRET_ACCESS_KEY",
        "valueFrom": {"secretKeyRef": {"name": "mine", "key": "password"}},
    }


def test_without_its_test_there_are_no_edges_of_it() -> None:
    assert [name for name in names(render(CHART)) if name.startswith(("Pod/", "NetworkPolicy/landfall-minio-test"))]
    objects = render(CHART, {"test": {"enabled": False}})
    assert not [name for name in names(objects) if name.startswith(("Pod/", "NetworkPolicy/landfall-minio-test"))]


def test_it_never_calls_home() -> None:
    assert environment()["MINIO_UPDATE"] == "off"


def test_the_console_and_the_metrics_are_closed_until_they_are_wanted() -> None:
    found = environment()

    assert (found["MINIO_BROWSER"], found["MINIO_PROMETHEUS_AUTH_TYPE"]) == ("off", "jwt")
    assert container()["args"] == ["server", "/data", "--address", ":9000"]
    assert [port["port"] for port in pick(render(CHART), "Service", "landfall-minio")["spec"]["ports"]] == [9000]


def test_the_console_has_a_port_of_its_own() -> None:
    values: Values = {"console": {"enabled": True}}

    assert environment(values)["MINIO_BROWSER"] == "on"
    assert container(values)["args"][-2:] == ["--console-address", ":9001"]
    assert [port["port"] for port in pick(render(CHART, values), "Service", "landfall-minio")["spec"]["ports"]] == [
        9000,
        9001,
    ]


def test_ready_means_that_buckets_and_accounts_are_there() -> None:
    probe = container()["readinessProbe"]["httpGet"]

    assert (probe["path"], probe["scheme"]) == ("/minio/health/cluster", "HTTP")


def test_liveness_waits_two_minutes() -> None:
    probe = container()["livenessProbe"]

    assert probe["httpGet"]["path"] == "/minio/health/live"
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 120


def test_go_is_told_of_the_memory_limit() -> None:
    found = environment()

    assert found["MEMORY_LIMIT_MIB"]["resourceFieldRef"]["resource"] == "limits.memory"
    assert found["GOMEMLIMIT"] == "$(MEMORY_LIMIT_MIB)000000"


def test_origins_are_restricted_on_request() -> None:
    assert "MINIO_API_CORS_ALLOW_ORIGIN" not in environment()
    assert environment(EVERYTHING)["MINIO_API_CORS_ALLOW_ORIGIN"] == "https://app.example.com,https://other.example.com"


def test_tls_reaches_server_probes_test_and_monitor() -> None:
    objects = render(CHART, EVERYTHING)
    server, check = container(TLS), pick(objects, "Pod", "landfall-minio-test")["spec"]["containers"][0]
    monitor = pick(objects, "ServiceMonitor", "landfall-minio")["spec"]["endpoints"][0]

    assert server["args"][-2:] == ["--certs-dir", "/certificates"]
    assert [server[f"{kind}Probe"]["httpGet"]["scheme"] for kind in ("readiness", "liveness")] == ["HTTPS", "HTTPS"]
    assert volumes(TLS)["certificates"]["secret"] == {
        "secretName": "minio-tls",
        "items": [{"key": "tls.crt", "path": "public.crt"}, {"key": "tls.key", "path": "private.key"}],
    }
    assert "--endpoint=https://landfall-minio.shop.svc:9000" in check["args"]
    assert "--ca-file=/certificates/ca.crt" in check["args"]
    assert (monitor["scheme"], monitor["tlsConfig"]["serverName"]) == ("https", "landfall-minio.shop.svc")


def test_a_certificate_of_a_public_authority_needs_no_ca() -> None:
    values: Values = {"tls": {**TLS["tls"], "caKey": ""}}
    pod = pick(render(CHART, values), "Pod", "landfall-minio-test")["spec"]

    assert not [argument for argument in pod["containers"][0]["args"] if "ca-file" in argument]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]


def test_the_volume_outlives_the_release() -> None:
    spec = stateful_set()["spec"]

    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0]["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "10Gi"}},
    }


def test_a_storage_class_is_named_on_request() -> None:
    spec = stateful_set({"persistence": {"storageClass": "fast"}})["spec"]

    assert spec["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"


def test_an_existing_claim_is_used() -> None:
    values: Values = {"persistence": {"existingClaim": "old"}}

    assert volumes(values)["data"] == {"persistentVolumeClaim": {"claimName": "old"}}
    assert "volumeClaimTemplates" not in stateful_set(values)["spec"]


def test_without_persistence_the_pod_has_a_directory() -> None:
    values: Values = {"persistence": {"enabled": False, "size": "1Gi"}}

    assert volumes(values)["data"] == {"emptyDir": {"sizeLimit": "1Gi"}}
    assert "volumeClaimTemplates" not in stateful_set(values)["spec"]


def test_a_pod_that_cannot_start_does_not_hold_the_next_upgrade() -> None:
    assert stateful_set()["spec"]["podManagementPolicy"] == "Parallel"


def test_by_default_pods_with_the_label_alone_get_in() -> None:
    edges = ingress_edges(render(CHART))

    assert edges == {"landfall-minio-s3": ([{"podSelector": {"matchLabels": {"landfall-minio-client": "true"}}}], 9000)}


def test_every_edge_has_a_policy_of_its_own() -> None:
    label: Values = {"podSelector": {"matchLabels": {"landfall-minio-client": "true"}}}

    assert ingress_edges(render(CHART, EVERYTHING)) == {
        "landfall-minio-s3": ([label, PEER], 9000),
        "landfall-minio-console": ([PEER], 9001),
        "landfall-minio-metrics": ([PEER], 9000),
    }


def test_the_edge_of_what_is_off_is_closed() -> None:
    values: Values = {"networkPolicy": {"consoleFrom": [PEER], "metricsFrom": [PEER]}}

    assert ingress_edges(render(CHART, values)).keys() == {"landfall-minio-s3"}


def test_the_default_denies_both_directions_for_this_charts_pods_alone() -> None:
    spec = pick(render(CHART), "NetworkPolicy", "landfall-minio-default-deny")["spec"]

    assert spec == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "minio", "app.kubernetes.io/instance": "landfall"}},
        "policyTypes": ["Ingress", "Egress"],
    }


def test_the_server_may_reach_nothing() -> None:
    policies = [body["spec"] for body in render(CHART, EVERYTHING) if body["kind"] == "NetworkPolicy"]

    outward = [spec["podSelector"]["matchLabels"] for spec in policies if spec.get("egress")]
    assert {labels["app.kubernetes.io/component"] for labels in outward} == {"test"}


def test_no_policies_on_request() -> None:
    assert not [name for name in names(render(CHART, {"networkPolicy": {"enabled": False}})) if "Policy" in name]


def test_the_public_address_leads_to_the_s3_api() -> None:
    objects = render(CHART, EVERYTHING)
    ingress = pick(objects, "Ingress", "landfall-minio")["spec"]
    route = pick(objects, "HTTPRoute", "landfall-minio")["spec"]

    assert ingress["ingressClassName"] == "nginx"
    assert ingress["tls"] == [{"hosts": ["s3.example.com"], "secretName": "s3-tls"}]
    assert ingress["rules"][0]["host"] == "s3.example.com"
    assert ingress["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] == {"name": "s3"}
    assert route["parentRefs"] == [{"name": "gateway"}]
    assert route["hostnames"] == ["s3.example.com"]
    assert route["rules"] == [{"backendRefs": [{"name": "landfall-minio", "port": 9000}]}]


def test_the_monitor_is_found_and_finds_the_service() -> None:
    objects = render(CHART, EVERYTHING)
    monitor = pick(objects, "ServiceMonitor", "landfall-minio")
    service = pick(objects, "Service", "landfall-minio")

    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_prometheus_is_told_which_volume_to_watch() -> None:
    rule = pick(render(CHART, EVERYTHING), "PrometheusRule", "landfall-minio")
    alert = rule["spec"]["groups"][0]["rules"][0]
    claim = 'namespace="shop", persistentvolumeclaim="data-landfall-minio-0"'

    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert f"kubelet_volume_stats_available_bytes{{{claim}}}" in alert["expr"]
    assert "volume data-landfall-minio-0" in alert["annotations"]["summary"]
    assert "{{ $value | humanizePercentage }}" in alert["annotations"]["description"]


def test_prometheus_watches_an_existing_claim() -> None:
    values: Values = {"persistence": {"existingClaim": "old"}, "metrics": {"prometheusRule": {"enabled": True}}}
    rule = pick(render(CHART, values), "PrometheusRule", "landfall-minio")

    assert 'persistentvolumeclaim="old"' in rule["spec"]["groups"][0]["rules"][0]["expr"]


def test_extra_objects_are_templates() -> None:
    found = names(render(CHART, EVERYTHING))

    assert {"ConfigMap/landfall-object", "ConfigMap/landfall-text"} <= set(found)


def test_every_value_is_described() -> None:
    def undescribed(schema: Values, path: str) -> list[str]:
        missing = [path] if path and "description" not in schema else []
        inner = schema.get("properties", {}).items()
        return missing + [found for name, part in inner for found in undescribed(part, f"{path}.{name}")]

    peers = ("podSelector", "namespaceSelector", "ipBlock")
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert [path for path in undescribed(schema, "") if not path.endswith(peers)] == []


def test_every_value_in_the_schema_has_a_default() -> None:
    def paths(schema: Values) -> set[str]:
        inner = schema.get("properties", {})
        return set(inner) | {f"{name}.{deep}" for name, part in inner.items() for deep in paths(part)}

    def given(values: Values) -> set[str]:
        inner = {name: part for name, part in values.items() if isinstance(part, dict)}
        return set(values) | {f"{name}.{deep}" for name, part in inner.items() for deep in given(part)}

    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert paths(schema) - given(values) == {"enabled"}
