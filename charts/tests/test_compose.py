"""compose.yaml and the chart with profiles/local.yaml give the same; every difference stands here, with its reason."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from rendering import CHARTS, UMBRELLA, Object, names, pick, render

ROOT = CHARTS.parent
LOCAL = UMBRELLA / "profiles/local.yaml"
WORKLOADS = {"Deployment", "StatefulSet", "CronJob", "Migration", "Bucket"}

COUNTERPARTS = {
    "api": "Deployment/landfall-api",
    "migrate": "Migration/landfall",
    "bucket": "Bucket/landfall",
    "reaper": "CronJob/landfall-reaper",
    "database": "StatefulSet/landfall-postgis",
    "s3": "StatefulSet/landfall-minio",
}
ONLY_IN_THE_CHART = {"Deployment/landfall-operator": "Compose runs the migration and makes the bucket itself"}

OTHER_SETTINGS = {
    "ARTIFACTS_ACCESS_KEY": "generated, against a public one",
    "ARTIFACTS_ENDPOINT_URL": "the server's address there",
    "ARTIFACTS_REGION": "the Bucket's Secret has it, as the service would assume it",
    "ARTIFACTS_SECRET_KEY": "generated, against a public one",
    "AUTH_SIGNING_KEYS": "a Credential, against one of the process's own",
    "DATABASE_MAX_OVERFLOW": "the budget of connections is shared out among pods",
    "DATABASE_POOL_SIZE": "the budget of connections is shared out among pods",
    "DATABASE_URL": "the server's address there, and a generated password",
    "LISTEN_HOST": "the image's own setting, told again",
    "LISTEN_PORT": "the service's own, told again so that .env cannot change it",
    "LOG_FORMAT": "Compose writes for people where it writes to a terminal",
}
# Of another server: MinIO's console, and what Compose has no need of.
OTHER_PORTS = {"9001": "MinIO's console", "8080": "the operator's metrics"}


@pytest.fixture(scope="module")
def compose() -> Any:
    """compose.yaml with its own defaults in place of variables."""
    text = (ROOT / "backend/compose.yaml").read_text()
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return render(UMBRELLA, files=[LOCAL])


def test_each_service_has_its_counterpart_in_the_chart(compose: Any, objects: list[Object]) -> None:
    assert set(compose["services"]) == set(COUNTERPARTS)
    made = {name for name in names(objects) if name.split("/")[0] in WORKLOADS}
    assert made == set(COUNTERPARTS.values()) | set(ONLY_IN_THE_CHART)


def test_the_service_has_the_same_settings(compose: Any, objects: list[Object]) -> None:
    there = compose["services"]["api"]["environment"]
    here = settings_of(objects)
    differing = {name for name in {*there, *here} if there.get(name) != here.get(name)}
    assert differing == set(OTHER_SETTINGS)


def test_every_job_of_the_service_has_the_api_s_settings(compose: Any, objects: list[Object]) -> None:
    there = {name: compose["services"][name]["environment"] for name in ("migrate", "reaper", "bucket")}
    assert all(found == compose["services"]["api"]["environment"] for found in there.values())
    reaper = pick(objects, "CronJob", "landfall-reaper")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    api = pick(objects, "Deployment", "landfall-api")["spec"]["template"]["spec"]
    assert all(reaper["containers"][0][key] == api["containers"][0][key] for key in ("env", "envFrom"))


def test_the_database_s_image_is_of_the_same_make(compose: Any, objects: list[Object]) -> None:
    """Its version is not: Compose keeps the one that is oldest among those supported."""
    server = pick(objects, "StatefulSet", "landfall-postgis")["spec"]["template"]["spec"]["containers"][0]
    assert repository(server["image"]) == repository(compose["services"]["database"]["image"])


def test_what_is_reached_from_outside_has_the_same_address(compose: Any) -> None:
    there = {port.split(":")[1] for service in compose["services"].values() for port in service.get("ports", [])}
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    assert {str(forward["localPort"]) for forward in skaffold["portForward"]} == there | set(OTHER_PORTS)


def test_tilt_forwards_the_ports_that_skaffold_forwards() -> None:
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    tilt = re.findall(r"port_forward\((\d+)", (ROOT / "Tiltfile").read_text())
    assert sorted(tilt) == sorted(str(forward["localPort"]) for forward in skaffold["portForward"])


def repository(image: str) -> str:
    return image.rpartition(":")[0]


def settings_of(objects: list[Object]) -> dict[str, str]:
    """The API's settings; those that a Bucket's Secret will hold, as the Bucket says."""
    bucket = pick(objects, "Bucket", "landfall")["spec"]
    known = {"BUCKET_NAME": bucket["bucketName"], "PUBLIC_ENDPOINT_URL_S3": bucket["store"]["publicEndpoint"]}
    container = pick(objects, "Deployment", "landfall-api")["spec"]["template"]["spec"]["containers"][0]
    references = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"]}
    secrets = {
        name: known.get(reference["key"], f"{reference['name']}/{reference['key']}")
        for name, reference in references.items()
    }
    return {**pick(objects, "ConfigMap", "landfall-api")["data"], **secrets}
