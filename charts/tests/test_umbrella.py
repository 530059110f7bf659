"""The API's part of the umbrella chart."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from rendering import CHARTS, UMBRELLA, ChartError, Object, Values, names, pick, render

API = ("Deployment", "landfall-api")
EXTERNAL: Values = {
    "postgis": {"enabled": False},
    "minio": {"enabled": False},
    "database": {"existingSecret": "db"},
    "bucket": {"enabled": False},
    "storage": {"existingSecret": "files"},
}
# What the chart gives by other values, or by the image, or what has no use in a cluster.
GIVEN_OTHERWISE = {
    "ENVIRONMENT": "environment",
    "DATABASE_URL": "database.existingSecret",
    "DATABASE_POOL_SIZE": "database.poolSize",
    "DATABASE_MAX_OVERFLOW": "database.maxOverflow",
    "DATABASE_SQLITE_PATH": "PostgreSQL only",
    "ARTIFACTS_BUCKET": "storage.bucketKey",
    "ARTIFACTS_ENDPOINT_URL": "storage.endpointKey",
    "ARTIFACTS_PUBLIC_ENDPOINT_URL": "storage.publicEndpointKey",
    "ARTIFACTS_REGION": "storage.regionKey",
    "ARTIFACTS_ACCESS_KEY": "storage.accessKeyIdKey",
    "ARTIFACTS_SECRET_KEY": "storage.secretAccessKeyKey",
    "ARTIFACTS_DIRECTORY": "a bucket only",
    "AUTH_SIGNING_KEYS": "auth.existingSecret",
    "LISTEN_HOST": "the image",
    "LISTEN_PORT": "the Service leads to 8000",
}


def api_pod(objects: list[Object]) -> Object:
    pod: Object = pick(objects, *API)["spec"]["template"]["spec"]
    return pod


def environment(objects: list[Object]) -> dict[str, Any]:
    """Where each variable of the API's container comes from: `secret/key`, or its value."""
    container = api_pod(objects)["containers"][0]
    config = pick(objects, "ConfigMap", "landfall-api")["data"]
    for variable in container["env"]:
        source = variable.get("valueFrom", {}).get("secretKeyRef")
        config[variable["name"]] = f"{source['name']}/{source['key']}" if source else variable["value"]
    found: dict[str, Any] = config
    return found


def test_bundled_stores_give_their_own_secrets() -> None:
    found = environment(render(UMBRELLA))
    assert found["DATABASE_URL"] == "landfall-postgis-app/url"
    assert found["AUTH_SIGNING_KEYS"] == "landfall-auth/signing-keys"
    assert found["ARTIFACTS_BUCKET"] == "landfall-bucket/BUCKET_NAME"
    assert found["ARTIFACTS_SECRET_KEY"] == "landfall-bucket/AWS_SECRET_ACCESS_KEY"


def test_a_migration_is_the_owner_s_past_the_pooler_with_the_api_s_image() -> None:
    objects = render(UMBRELLA, {"postgis": {"pgbouncer": {"enabled": True}}})
    spec = pick(objects, "Migration", "landfall")["spec"]
    assert spec["database"]["urlFrom"] == {"secretKeyRef": {"name": "landfall-postgis-owner", "key": "url"}}
    assert spec["image"] == api_pod(objects)["containers"][0]["image"]
    assert spec["gates"] == [{"deployment": "landfall-api"}]
    assert environment(objects)["DATABASE_URL"] == "landfall-postgis-app/pooled-url"


def test_existing_secrets_are_read_by_the_keys_that_are_named() -> None:
    values = EXTERNAL | {
        "database": {
            "existingSecret": "db",
            "urlKey": "pooled",
            "migrationSecret": "db-owner",
            "migrationUrlKey": "direct",
        },
        "storage": {"existingSecret": "files", "bucketKey": "name", "accessKeyIdKey": "id", "secretAccessKeyKey": "k"},
        "auth": {"existingSecret": "tokens", "signingKeysKey": "keys"},
    }
    objects = render(UMBRELLA, values)
    found = environment(objects)
    assert found["DATABASE_URL"] == "db/pooled"
    assert found["AUTH_SIGNING_KEYS"] == "tokens/keys"
    assert (found["ARTIFACTS_BUCKET"], found["ARTIFACTS_ACCESS_KEY"]) == ("files/name", "files/id")
    assert pick(objects, "Migration", "landfall")["spec"]["database"]["urlFrom"] == {
        "secretKeyRef": {"name": "db-owner", "key": "direct"}
    }
    assert not [name for name in names(objects) if name.startswith(("Bucket/", "Credential/", "StatefulSet/"))]


def test_an_external_store_gets_a_bucket_with_its_own_keys() -> None:
    values: Values = {
        "minio": {"enabled": False},
        "bucket": {
            "endpoint": "https://s3.example",
            "credentialsSecret": "aws",
            "accessKeyIdKey": "id",
            "accounts": "Shared",
            "name": "landfall-files",
        },
    }
    spec = pick(render(UMBRELLA, values), "Bucket", "landfall")["spec"]
    assert spec["bucketName"] == "landfall-files"
    assert spec["store"]["endpoint"] == "https://s3.example"
    assert spec["store"]["credentialsSecretRef"]["name"] == "aws"
    assert spec["store"]["credentialsSecretRef"]["accessKeyIdKey"] == "id"


@pytest.mark.parametrize("release", ["landfall", "shop"])
def test_the_operator_may_mark_the_api_s_deployment_alone(release: str) -> None:
    objects = render(UMBRELLA, release=release)
    deployment = next(body["metadata"]["name"] for body in objects if body["kind"] == "Deployment" and is_api(body))
    rules = pick(objects, "Role", f"{release}-operator")["rules"]
    assert [rule["resourceNames"] for rule in rules if rule["resources"] == ["deployments/status"]] == [[deployment]]


def is_api(body: Object) -> bool:
    return bool(body["metadata"]["labels"].get("app.kubernetes.io/component") == "api")


@pytest.mark.parametrize(("policy", "jobs"), [("Retain", 0), ("Delete", 1), ("Purge", 1)])
def test_a_bucket_that_goes_with_the_release_goes_before_the_operator(policy: str, jobs: int) -> None:
    objects = render(UMBRELLA, {"bucket": {"deletionPolicy": policy}})
    drains = [body for body in objects if body["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-delete"]
    assert [body["kind"] for body in drains].count("Job") == jobs


def test_dumps_get_a_bucket_of_their_own_that_only_their_pods_reach() -> None:
    assert "Bucket/landfall-backups" not in names(render(UMBRELLA))
    objects = render(UMBRELLA, {"postgis": {"backup": {"enabled": True}}})
    spec = pick(objects, "Bucket", "landfall-backups")["spec"]
    assert spec["bucketName"] == "landfall-backups"
    assert spec["access"][0]["secretName"] == "landfall-backups"
    assert "NetworkPolicy/landfall-backup-to-minio" in names(objects)


@pytest.mark.parametrize(
    ("values", "pool"),
    [
        pytest.param({}, (5, 5), id="85 connections for 5 pods and a rollout"),
        pytest.param({"api": {"replicas": 5}}, (5, 5), id="as many as were foreseen"),
        pytest.param({"database": {"forPods": 1}, "api": {"replicas": 1}}, (5, 10), id="as the service's own"),
        pytest.param({"api": {"replicas": 9}}, (5, 0), id="85 connections for 11 pods"),
        pytest.param({"api": {"replicas": 20}}, (1, 0), id="85 connections for 22 pods"),
        pytest.param({"api": {"replicas": 9}, "postgis": {"maxConnections": 200}}, (5, 9), id="a larger server"),
        pytest.param({"database": {"connectionBudget": 21}}, (1, 0), id="a budget that is told"),
        pytest.param({"api": {"autoscaling": {"enabled": True, "maxReplicas": 9}}}, (5, 0), id="autoscaling's most"),
        pytest.param({"api": {"replicas": 50}, "postgis": {"pgbouncer": {"enabled": True}}}, (5, 10), id="a pooler"),
        pytest.param({"database": {"poolSize": 3, "maxOverflow": 2}}, (3, 2), id="told"),
    ],
)
def test_all_pods_of_a_rollout_together_stay_within_the_connection_budget(
    values: Values, pool: tuple[int, int]
) -> None:
    found = environment(render(UMBRELLA, values))
    assert (int(found["DATABASE_POOL_SIZE"]), int(found["DATABASE_MAX_OVERFLOW"])) == pool


def test_autoscaling_leaves_the_replicas_to_the_autoscaler() -> None:
    assert pick(render(UMBRELLA), *API)["spec"]["replicas"] == 2
    objects = render(UMBRELLA, {"api": {"autoscaling": {"enabled": True}}})
    assert "replicas" not in pick(objects, *API)["spec"]
    assert pick(objects, "HorizontalPodAutoscaler", "landfall-api")["spec"]["maxReplicas"] == 5


@pytest.mark.parametrize(("values", "seconds"), [({}, 900), ({"migration": {"deadlineSeconds": 7200}}, 7260)])
def test_a_rollout_is_given_the_time_that_a_migration_may_take(values: Values, seconds: int) -> None:
    assert pick(render(UMBRELLA, values), *API)["spec"]["progressDeadlineSeconds"] == seconds


def test_a_rollout_takes_no_pod_away_before_another_is_ready() -> None:
    strategy = pick(render(UMBRELLA), *API)["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


@pytest.mark.parametrize(("replicas", "budgets"), [(1, 0), (2, 1)])
def test_a_disruption_budget_needs_two_pods(replicas: int, budgets: int) -> None:
    objects = render(UMBRELLA, {"api": {"replicas": replicas}})
    assert names(objects).count("PodDisruptionBudget/landfall-api") == budgets


def test_a_changed_setting_rolls_the_pods() -> None:
    def checksum(values: Values) -> str:
        template = pick(render(UMBRELLA, values), *API)["spec"]["template"]
        found: str = template["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum({"settings": {"LOG_LEVEL": "DEBUG"}}) != checksum({})


def test_a_setting_reaches_the_container_as_it_was_written() -> None:
    settings = {
        "ARTIFACTS_MAX_SIZE_BYTES": 53687091200,
        "ADMISSION_WAIT_SECONDS": 0.3,
        "ADMISSION_ENABLED": False,
        "LISTEN_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    found = environment(render(UMBRELLA, {"settings": settings}))
    assert {name: found[name] for name in settings} == {
        "ARTIFACTS_MAX_SIZE_BYTES": "53687091200",
        "ADMISSION_WAIT_SECONDS": "0.3",
        "ADMISSION_ENABLED": "false",
        "LISTEN_TRUSTED_PROXIES": "10.0.0.0/8",
    }


def test_every_setting_of_the_service_has_a_value() -> None:
    text = (CHARTS.parent / "backend/.env.example").read_text().partition("## Only for compose.yaml")[0]
    settings = set(re.findall(r"^#([A-Z_]+)=", text, re.MULTILINE)) - set(GIVEN_OTHERWISE)
    schema = json.loads((UMBRELLA / "values.schema.json").read_text())
    assert set(schema["properties"]["settings"]["properties"]) == settings


def test_ingress_and_route_lead_to_the_service() -> None:
    values: Values = {
        "settings": {"LISTEN_TRUSTED_PROXIES": "10.0.0.0/8"},
        "api": {
            "publicPaths": ["/api"],
            "ingress": {"enabled": True, "hosts": ["api.example"], "tlsSecretName": "tls"},
            "route": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["api.example"]},
            "serviceMonitor": {"enabled": True},
        },
    }
    objects = render(UMBRELLA, values)
    ingress = pick(objects, "Ingress", "landfall-api")["spec"]
    assert ingress["tls"] == [{"secretName": "tls", "hosts": ["api.example"]}]
    assert [path["path"] for path in ingress["rules"][0]["http"]["paths"]] == ["/api"]
    assert pick(objects, "HTTPRoute", "landfall-api")["spec"]["rules"] == [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
            "backendRefs": [{"name": "landfall-api", "port": 80}],
        }
    ]
    assert pick(objects, "ServiceMonitor", "landfall-api")["spec"]["endpoints"][0]["path"] == "/metrics"


def test_extra_objects_are_templates() -> None:
    values: Values = {
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-text}\n",
        ]
    }
    assert {"ConfigMap/landfall-more", "ConfigMap/landfall-text"} <= set(names(render(UMBRELLA, values)))


def external(**changes: Any) -> Values:
    return EXTERNAL | changes


BAD: list[tuple[Values, str]] = [
    ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    ({"api": {"replicas": "three"}}, "at '/api/replicas': got string, want integer"),
    ({"api": {"replicas": -1}}, "at '/api/replicas': minimum: got -1, want 0"),
    ({"api": {"replica": 2}}, "at '/api': additional properties 'replica' not allowed"),
    ({"api": {"image": "shop/api:1"}}, "at '/api/image': got string, want object"),
    ({"api": {"image": {"tag": 1.4}}}, "at '/api/image/tag': got number, want string"),
    ({"api": {"image": {"digest": "sha256:abc"}}}, "at '/api/image/digest'"),
    ({"api": {"image": {"pullPolicy": "Sometimes"}}}, "at '/api/image/pullPolicy'"),
    ({"api": {"image": {"repository": "Shop/API"}}}, "at '/api/image/repository'"),
    ({"api": {"resources": {"limits": {"memory": "512 MB"}}}}, "at '/api/resources/limits/memory'"),
    ({"api": {"resources": {"limit": {}}}}, "at '/api/resources': additional properties 'limit' not allowed"),
    ({"api": {"service": {"type": "External"}}}, "at '/api/service/type'"),
    ({"api": {"service": {"port": 0}}}, "at '/api/service/port'"),
    ({"api": {"service": {"nodePort": 80, "type": "NodePort"}}}, "at '/api/service/nodePort'"),
    ({"api": {"service": {"nodePort": 30080}}}, "api.service.type ClusterIP has none: set type NodePort"),
    ({"api": {"podDisruptionBudget": {"maxUnavailable": "half"}}}, "at '/api/podDisruptionBudget/maxUnavailable'"),
    ({"api": {"ingress": {"enabled": True}}}, "list them in api.ingress.hosts"),
    ({"api": {"ingress": {"hosts": ["https://api.example"]}}}, "at '/api/ingress/hosts/0'"),
    ({"api": {"route": {"enabled": True}}}, "name it in api.route.parentRefs"),
    ({"api": {"autoscaling": {"enabled": True, "minReplicas": 6}}}, "minReplicas (6) is more than maxReplicas (5)"),
    ({"api": {"autoscaling": {"targetCPUUtilizationPercentage": 0}}}, "at '/api/autoscaling/targetCPUUtil"),
    (
        {"api": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}},
        "api.resources.requests.cpu is not set",
    ),
    (
        {"api": {"terminationGracePeriodSeconds": 20}},
        "5 s of preStopSeconds and 20 s for the requests under way need 27",
    ),
    ({"api": {"preStopSeconds": 0}}, "at '/api/preStopSeconds'"),
    ({"api": {"extraEnv": [{"value": "x"}]}}, "at '/api/extraEnv/0': missing property 'name'"),
    ({"api": {"readinessProbe": {"path": "/"}}}, "at '/api/readinessProbe': additional properties 'path' not allowed"),
    ({"settings": {"DATABASE_POOL": 5}}, "at '/settings': additional properties 'DATABASE_POOL' not allowed"),
    ({"settings": {"LOG_LEVEL": "LOUD"}}, "at '/settings/LOG_LEVEL'"),
    ({"settings": {"DATABASE_SSLMODE": "on"}}, "at '/settings/DATABASE_SSLMODE'"),
    ({"settings": {"AUTH_SIGNING_KEYS": "secret"}}, "additional properties 'AUTH_SIGNING_KEYS' not allowed"),
    ({"environment": "staging"}, "at '/environment': value must be one of 'development', 'test', 'production'"),
    ({"fullnameOverride": "Landfall_1"}, "at '/fullnameOverride'"),
    ({"global": {"imagePullSecrets": ["login"]}}, "at '/global/imagePullSecrets/0': got string, want object"),
    ({"database": {"existingSecret": "db"}}, "set postgis.enabled=false to use that database"),
    (external(database={}), "name the Secret with its URL in database.existingSecret"),
    ({"database": {"existingSecret": "My Secret"}}, "at '/database/existingSecret'"),
    ({"database": {"migrationSecret": "owner"}}, "the chart's own owner migrates"),
    (external(database={"existingSecret": "db", "migrationUrlKey": "direct"}), "set without database.migrationSecret"),
    ({"database": {"connectionBudget": 8}}, "a budget of 8 connections is too small for 7 pods"),
    ({"database": {"poolSize": 30}}, "may hold 224 connections, and the budget is 85"),
    ({"database": {"poolSize": 0}}, "at '/database/poolSize'"),
    ({"fullnameOverride": "shop"}, "(landfall-api) does not let the operator mark the Deployment shop-api"),
    ({"operator": {"gates": ["other"]}}, "operator.gates (other) does not let the operator mark"),
    ({"api": {"ingress": {"enabled": True, "hosts": ["api.example"]}}}, "set settings.LISTEN_TRUSTED_PROXIES"),
    ({"api": {"publicPaths": ["api"]}}, "at '/api/publicPaths/0'"),
    ({"settings": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}}, "allow it in networkPolicy.extraEgress"),
    ({"database": {"urlKey": "uri"}}, "are for an external database and postgis.enabled is true"),
    ({"storage": {"bucketKey": "name"}}, "storage.bucketKey is for an existing Secret and bucket.enabled is true"),
    (
        {
            "minio": {
                "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["s3.example"]},
                "networkPolicy": {"extraIngress": [{"namespaceSelector": {}}]},
            }
        },
        "presigned URLs would still name its address in the cluster: set bucket.publicEndpoint",
    ),
    ({"minio": {"tls": {"enabled": True, "secretName": "tls"}}}, "name it in bucket.caBundleRef"),
    (
        {"operator": {"enabled": False}, "bucket": {"deletionPolicy": "Purge"}},
        "nothing deletes the bucket before MinIO goes with the release",
    ),
    ({"storage": {"existingSecret": "files"}}, "set bucket.enabled=false to use that bucket"),
    ({"bucket": {"enabled": False}}, "there is no other bucket: name the Secret"),
    ({"bucket": {"enabled": False}, "storage": {"existingSecret": "s"}}, "so nothing would use it"),
    ({"minio": {"enabled": False}}, "set bucket.endpoint and bucket.credentialsSecret"),
    ({"minio": {"enabled": False}, "bucket": {"endpoint": "https://s3.example"}}, "in bucket.credentialsSecret"),
    ({"bucket": {"endpoint": "https://s3.example"}}, "set minio.enabled=false, or leave them empty"),
    ({"bucket": {"endpoint": "s3.example"}, "minio": {"enabled": False}}, "at '/bucket/endpoint'"),
    ({"bucket": {"name": "No"}}, "at '/bucket/name'"),
    ({"bucket": {"deletionPolicy": "Drop"}}, "at '/bucket/deletionPolicy'"),
    ({"bucket": {"quota": "10 GB"}}, "at '/bucket/quota'"),
    ({"migration": {"deadlineSeconds": "14m"}}, "at '/migration/deadlineSeconds': got string, want integer"),
    ({"migration": {"lockTimeout": "1"}}, "at '/migration/lockTimeout'"),
    ({"migration": {"mode": "Manual"}}, "at '/migration/mode'"),
    ({"reaper": {"schedule": "hourly"}}, "at '/reaper/schedule'"),
    ({"networkPolicy": {"databasePorts": ["5432"]}}, "at '/networkPolicy/databasePorts/0'"),
]


@pytest.mark.parametrize(("values", "words"), BAD, ids=[words[:60] for _, words in BAD])
def test_bad_values_are_refused_with_what_to_do(values: Values, words: str) -> None:
    with pytest.raises(ChartError) as caught:
        render(UMBRELLA, values)
    assert words in str(caught.value)
