"""The PostGIS chart: what it makes of values, and which values it refuses."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rendering import SUBCHARTS, ChartError, Object, Values, names, pick, pod_templates, render

CHART = SUBCHARTS / "postgis"
PEER: Values = {"podSelector": {"matchLabels": {"app": "gis"}}}
TLS: Values = {"tls": {"enabled": True, "secretName": "postgis-tls"}}
POOLED: Values = {"pgbouncer": {"enabled": True, "replicas": 2}}
BACKUP: Values = {"backup": {"enabled": True, "bucketSecret": "dumps"}}
EVERYTHING: Values = {
    **TLS,
    **POOLED,
    **BACKUP,
    "config": {"jit": "off", "search_path": "'$user', public"},
    "metrics": {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}},
    "networkPolicy": {"extraIngress": [PEER]},
    "podLabels": {"team": "data"},
    "extraObjects": ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-text'}"],
}

# Values, and words that the refusal must have.
BAD: list[tuple[Values, list[str]]] = [
    ({"replicas": 2}, ["replicas"]),
    ({"fullnameOverride": "DB"}, ["/fullnameOverride", "pattern"]),
    ({"image": {"tag": "17 3"}}, ["/image/tag"]),
    ({"image": {"digest": "sha256:1234"}}, ["/image/digest"]),
    ({"database": "postgres"}, ["/database"]),
    ({"database": "Shop-1"}, ["/database", "pattern"]),
    ({"roles": {"app": "postgres"}}, ["/roles/app"]),
    ({"roles": {"owner": "one", "app": "one"}}, ["roles.owner and roles.app are both one", "two names"]),
    ({"auth": {"app": {"password": "secret"}}}, ["/auth/app", "password"]),
    ({"auth": {"app": {"keys": {"pooledUrl": "pooled"}}}}, ["auth.app.keys.pooledUrl is pooled", "pooled-url"]),
    ({"auth": {"loginGraceSeconds": -1}}, ["/auth/loginGraceSeconds", "minimum"]),
    ({"maxConnections": 10}, ["/maxConnections", "minimum"]),
    ({"maxConnections": 900}, ["maxConnections is 900", "resources.limits.memory is 1Gi", "pgbouncer"]),
    ({"config": {"max_connections": "500"}}, ["config has max_connections", "set maxConnections"]),
    ({"config": {"work_mem": 64}}, ["/config/work_mem", "string"]),
    ({"disk": {"warnPercent": 95}}, ["disk.warnPercent is 95", "disk.readOnlyPercent is 90"]),
    ({"disk": {"ballastMiB": 1}}, ["/disk/ballastMiB", "minimum"]),
    ({"persistence": {"size": "200Mi"}}, ["persistence.size is 200Mi", "disk.ballastMiB is 64"]),
    ({"persistence": {"size": "10 GB"}}, ["/persistence/size"]),
    ({"persistence": {"enabled": False, "existingClaim": "old"}}, ["persistence.existingClaim is old", "enable"]),
    ({"persistence": {"storageClass": "fast", "existingClaim": "old"}}, ["storageClass is fast", "leave one"]),
    ({"persistence": {"medium": "Memory"}}, ["persistence.medium is Memory", "leave one"]),
    ({"tls": {"enabled": True}}, ["tls.secretName is empty", "name the Secret"]),
    ({"tls": {"secretName": "postgis-tls"}}, ["tls.secretName is postgis-tls", "enable TLS"]),
    ({"tls": {"required": True}}, ["tls.required is true", "enable TLS"]),
    ({"tls": TLS["tls"] | {"sslmode": "verify-full"}}, ["tls.sslrootcert is empty"]),
    ({"tls": TLS["tls"] | {"required": True, "sslmode": "prefer"}}, ["tls.sslmode is prefer", "require or better"]),
    ({"tls": TLS["tls"] | {"sslmode": "disable"}}, ["/tls/sslmode", "verify-full"]),
    ({"pgbouncer": {"enabled": True, "replicas": 3, "poolSize": 40}}, ["pgbouncer.poolSize is 40", "lower it"]),
    ({"pgbouncer": {"config": {"pool_mode": "session"}}}, ["pgbouncer.config has pool_mode", "leave it out"]),
    ({"backup": {"enabled": True}}, ["backup.bucketSecret is empty", "name the Secret"]),
    ({"backup": {"schedule": "at night"}}, ["/backup/schedule"]),
    ({"backup": {"keepDays": 0}}, ["/backup/keepDays", "minimum"]),
    ({"resources": {"limits": {"memory": "128Mi"}}}, ["resources.limits.memory is 128Mi", "256Mi"]),
    ({"resources": {"limits": {"memory": None}}}, ["/resources/limits", "memory"]),
    ({"securityContext": {"runAsUser": 0}}, ["/securityContext/runAsUser", "minimum"]),
    (
        {"metrics": {"prometheusRule": {"enabled": True}}, "persistence": {"enabled": False}},
        ["metrics.prometheusRule.enabled is true", "no volume"],
    ),
]


@pytest.mark.parametrize(("values", "words"), BAD, ids=lambda value: re.sub(r"\W+", "-", json.dumps(value))[:50])
def test_bad_values_are_refused_by_name(values: Values, words: list[str]) -> None:
    with pytest.raises(ChartError) as refused:
        render(CHART, values)

    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)


def server(values: Values | None = None) -> Object:
    return pick(render(CHART, values), "StatefulSet", "landfall-postgis")


def file(name: str, values: Values | None = None, *, of: str = "landfall-postgis") -> str:
    found: str = pick(render(CHART, values), "ConfigMap", of)["data"][name]
    return found


def credential(login: str, values: Values | None = None) -> Object:
    found: Object = pick(render(CHART, values), "Credential", f"landfall-postgis-{login}")["spec"]
    return found


def edges(values: Values) -> dict[str, tuple[str, Any, list[int]]]:
    """Of each policy that lets something through: its direction, its peers and ports."""
    found = {}
    for body in render(CHART, values):
        if body["kind"] == "NetworkPolicy":
            for direction, peers in (("ingress", "from"), ("egress", "to")):
                for rule in body["spec"].get(direction, []):
                    ports = sorted({port["port"] for port in rule["ports"]})
                    found[body["metadata"]["name"].removeprefix("landfall-postgis-")] = (direction, rule[peers], ports)
    return found


def test_the_volume_stays_when_the_release_or_the_pod_goes() -> None:
    assert server()["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_each_login_is_named_anew_by_a_rotation() -> None:
    spec = credential("app")
    assert spec["values"]["suffix"] == {"generate": {"length": 16, "alphabet": "Hex"}}
    assert spec["templates"]["username"] == "landfall_app_{{suffix}}"
    assert spec["templates"]["url"] == (
        "postgresql://landfall_app_{{suffix}}:{{password}}@landfall-postgis.shop.svc:5432/landfall"
    )
    assert spec["deletionPolicy"] == "Retain"


def test_with_a_pooler_only_the_application_has_a_pooled_url() -> None:
    pooled = credential("app", POOLED)["templates"]["pooled-url"]
    assert pooled.endswith("@landfall-postgis-pgbouncer.shop.svc:6432/landfall")
    assert "pooled-url" not in credential("app")["templates"]
    assert "pooled-url" not in credential("owner", POOLED)["templates"]


def test_with_tls_the_urls_ask_for_it() -> None:
    trusted = {"tls": TLS["tls"] | {"sslmode": "verify-full", "sslrootcert": "/etc/ca.crt"}}
    assert credential("owner", TLS)["templates"]["url"].endswith("/landfall?sslmode=require")
    assert credential("owner", trusted)["templates"]["url"].endswith("?sslmode=verify-full&sslrootcert=/etc/ca.crt")


def test_where_tls_is_required_only_the_pod_itself_comes_without() -> None:
    hosts = [line.split()[0:4:3] for line in file("pg_hba.conf", TLS).splitlines() if line.startswith("host")]
    assert hosts == [["host", "127.0.0.1/32"], ["host", "all"]] * 2
    required = file("pg_hba.conf", {"tls": TLS["tls"] | {"required": True}})
    assert [line.split()[0] for line in required.splitlines() if " all scram" in line] == ["hostssl", "hostssl"]


def test_an_existing_secret_replaces_a_credential_and_its_keys_may_differ() -> None:
    keys = {"username": "user", "password": "pass", "url": "DATABASE_URL"}
    values: Values = {"auth": {"app": {"existingSecret": "mine", "keys": keys}}}
    objects = render(CHART, values)
    assert "Credential/landfall-postgis-app" not in names(objects)
    volumes = {volume["name"]: volume for volume in server(values)["spec"]["template"]["spec"]["volumes"]}
    assert volumes["app"]["secret"]["secretName"] == "mine"
    assert volumes["app"]["secret"]["items"] == [
        {"key": "user", "path": "username"},
        {"key": "pass", "path": "password"},
    ]
    test = pick(objects, "Pod", "landfall-postgis-test")["spec"]["containers"][0]["env"]
    assert {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "DATABASE_URL"}}} in test


def test_settings_of_one_s_own_stand_after_the_tuned_ones() -> None:
    lines = file("postgresql.conf", {"config": {"work_mem": "64MB", "cluster_name": "it's"}}).splitlines()
    tuned = lines.index("include '/var/run/postgresql/tuned.conf'")
    assert lines[tuned + 1 : tuned + 3] == ["cluster_name = 'it''s'", "work_mem = '64MB'"]


def test_the_pools_of_all_replicas_leave_connections_for_others() -> None:
    text = file("pgbouncer.ini", POOLED | {"maxConnections": 120}, of="landfall-postgis-pgbouncer")
    assert "default_pool_size = 33" in text
    assert "max_db_connections = 33" in text


def test_a_pooler_of_several_pods_has_a_disruption_budget() -> None:
    budget = "PodDisruptionBudget/landfall-postgis-pgbouncer"
    assert budget in names(render(CHART, POOLED))
    assert budget not in names(render(CHART, {"pgbouncer": {"enabled": True}}))


def test_restores_are_never_begun_by_themselves() -> None:
    assert pick(render(CHART, BACKUP), "CronJob", "landfall-postgis-restore")["spec"]["suspend"] is True


def test_each_edge_is_one_policy_in_one_direction() -> None:
    client = {"podSelector": {"matchLabels": {"landfall-postgis-client": "true"}}}
    pooled = {"podSelector": {"matchLabels": {"landfall-postgis-pgbouncer-client": "true"}}}
    found = edges(EVERYTHING)
    assert found["clients"] == ("ingress", [client, PEER], [5432])
    assert found["pool-clients"] == ("ingress", [pooled, PEER], [6432])
    assert found["to-dns"][::2] == ("egress", [53, 5353])
    assert found["to-store"] == ("egress", [], [443, 9000])
    assert set(found) == {"clients", "pool-clients", "to-server", "to-dns", "to-store", "test-to-pool"}


def test_a_pod_that_reaches_the_server_has_the_client_s_label() -> None:
    labelled = {
        name
        for name, pod in pod_templates(render(CHART, EVERYTHING)).items()
        if pod["metadata"]["labels"].get("landfall-postgis-client") == "true"
    }
    assert {name.split("/")[1].removeprefix("landfall-postgis-") for name in labelled} == {
        "backup",
        "restore",
        "pgbouncer",
        "test",
    }


def test_a_changed_script_or_setting_restarts_the_server() -> None:
    def checksum(values: Values) -> str:
        found: str = server(values)["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum({}) != checksum({"config": {"jit": "off"}})


def test_a_new_chart_version_alone_does_not_restart_the_server() -> None:
    pod = server()["spec"]["template"]["metadata"]
    assert "helm.sh/chart" not in pod["labels"]
    assert "app.kubernetes.io/version" not in pod["labels"]


def test_cron_jobs_keep_the_52_characters_that_they_may_have() -> None:
    jobs = [body for body in render(CHART, EVERYTHING, release="a" * 53) if body["kind"] == "CronJob"]
    assert [len(body["metadata"]["name"]) <= 52 for body in jobs] == [True, True]


@pytest.mark.parametrize("script", sorted((CHART / "files").glob("*.sh")), ids=lambda script: script.name)
def test_a_script_is_read_by_a_plain_shell(script: Path) -> None:
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
