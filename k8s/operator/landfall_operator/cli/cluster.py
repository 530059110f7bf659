"""The cluster as `kubectl landfall` sees it: each call, and what to do where it fails."""

from __future__ import annotations

import base64
import getpass
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx2
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.authentication_v1 import SelfSubjectReview
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret, Service
from lightkube.types import PatchType

from landfall_operator.constants import CONTAINER, GROUP, VERSION
from landfall_operator.resource import Json

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY, SERVER_ERROR = 401, 403, 404, 429, 500
JOB_LABEL = "batch.kubernetes.io/job-name"


class RefusalError(Exception):
    """What was asked cannot be done; the text says why, and what can."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One of the three, by all the names that kubectl knows it by."""

    name: str
    plural: str
    short: str

    @cached_property
    def resource(self) -> Any:
        return create_namespaced_resource(GROUP, VERSION, self.name, self.plural)

    @property
    def names(self) -> set[str]:
        return {self.name.lower(), self.plural, self.short}


MIGRATION = Kind(name="Migration", plural="migrations", short="mig")
BUCKET = Kind(name="Bucket", plural="buckets", short="bkt")
CREDENTIAL = Kind(name="Credential", plural="credentials", short="cred")
KINDS = (MIGRATION, BUCKET, CREDENTIAL)


class Cluster:
    """One namespace of the cluster that a kubeconfig's context names."""

    def __init__(self, *, context: str | None = None, namespace: str | None = None) -> None:
        try:
            config = _config(context)
            self._client = Client(config=config)
        except Exception as error:  # whatever a file can hold, down to what is no YAML
            raise RefusalError(
                f"the kubeconfig cannot be used: {error}. Set KUBECONFIG, or name another --context."
            ) from error
        self.server = config.cluster.server
        self.context = context
        self.namespace: str = namespace or config.namespace or "default"

    def get(self, kind: Kind, name: str) -> Json:
        return _whole(kind, self._client.get(kind.resource, name, namespace=self.namespace).to_dict())

    def list(self, kind: Kind, *, everywhere: bool) -> list[Json]:
        found = self._client.list(kind.resource, namespace="*" if everywhere else self.namespace)
        return [_whole(kind, item.to_dict()) for item in found]

    def image(self, body: Json) -> str | None:
        """The image that a Migration stands for now; from its status where its Deployment may not be read."""
        spec = body["spec"]
        if spec.get("image"):
            return str(spec["image"])
        reference = spec["from"]["deploymentRef"]
        try:
            deployment = self._client.get(Deployment, reference["name"], namespace=self.namespace).to_dict()
        except ApiError:
            image: str | None = (body.get("status") or {}).get("image")
            return image
        wanted = reference.get("container")
        containers = deployment["spec"]["template"]["spec"]["containers"]
        return next((str(c["image"]) for c in containers if wanted in {None, c["name"]}), None)

    def plan(self, config_map: str) -> str | None:
        data = self._client.get(ConfigMap, config_map, namespace=self.namespace).data or {}
        return data.get("plan.sql")

    def secret(self, name: str) -> Mapping[str, str]:
        """A Secret's values; what is no text is left out."""
        data = self._client.get(Secret, name, namespace=self.namespace).data or {}
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}

    def config_map(self, name: str) -> Mapping[str, str]:
        return self._client.get(ConfigMap, name, namespace=self.namespace).data or {}

    def has_service(self, name: str, *, namespace: str) -> bool:
        """Whether a name that may be a Service's is one; one that we may not look at is taken for none."""
        try:
            self._client.get(Service, name, namespace=namespace)
        except ApiError as error:
            if _code(error) in {NOT_FOUND, FORBIDDEN}:
                return False
            raise
        return True

    def annotate(self, kind: Kind, name: str, annotations: Mapping[str, str]) -> None:
        patch = {"metadata": {"annotations": dict(annotations)}}
        self._client.patch(kind.resource, name, patch, namespace=self.namespace, patch_type=PatchType.MERGE)

    def user(self) -> str:
        """Who the cluster takes us for; the machine's user where it does not say."""
        try:
            status = self._client.create(SelfSubjectReview()).status
        except httpx2.HTTPError:
            status = None
        if status and status.userInfo and status.userInfo.username:
            return str(status.userInfo.username)
        try:
            return getpass.getuser()
        except (OSError, KeyError):
            return "unknown"

    def pod(self, job: str) -> tuple[str, bool] | None:
        """A Job's newest pod, and whether its container has begun."""
        pods = [p.to_dict() for p in self._client.list(Pod, namespace=self.namespace, labels={JOB_LABEL: job})]
        if not pods:
            return None
        newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        statuses = (newest.get("status") or {}).get("containerStatuses") or []
        state = next((s.get("state") or {} for s in statuses if s["name"] == CONTAINER), {})
        return str(newest["metadata"]["name"]), bool(state.get("running") or state.get("terminated"))

    def log(self, pod: str, *, follow: bool) -> Iterator[str]:
        yield from self._client.log(pod, namespace=self.namespace, container=CONTAINER, follow=follow)


def _config(context: str | None) -> SingleConfig:
    config = KubeConfig.from_env().get(context_name=context)
    if config is None:
        raise ConfigError("it names no context")
    return config


def _whole(kind: Kind, body: Json) -> Json:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind.name, **{k: v for k, v in body.items() if v is not None}}


def is_missing(error: httpx2.HTTPError) -> bool:
    """Whether there is no such object; a kind that is not there is something else."""
    return isinstance(error, ApiError) and _code(error) == NOT_FOUND


def is_kept_from_us(error: httpx2.HTTPError) -> bool:
    """Whether a whole kind is not installed, or not ours to see."""
    return isinstance(error, httpx2.HTTPStatusError) and (
        _code(error) == FORBIDDEN or (_code(error) == NOT_FOUND and not isinstance(error, ApiError))
    )


def may_pass(error: httpx2.HTTPError) -> bool:
    """Whether the same call may succeed a moment later."""
    if isinstance(error, httpx2.HTTPStatusError):
        code = _code(error)
        return code == TOO_MANY or code >= SERVER_ERROR
    return True


def advice(error: httpx2.HTTPError, *, server: str | None, namespace: str) -> str:
    """One line: what happened, and what to do."""
    if not isinstance(error, httpx2.HTTPStatusError):
        what = str(error) or type(error).__name__
        return f"the API server {server} cannot be reached: {what}. Is the cluster up, and is it the right --context?"
    message = (error.status.message if isinstance(error, ApiError) else None) or f"HTTP {_code(error)}"
    if _code(error) == NOT_FOUND and not isinstance(error, ApiError):
        return (
            "the cluster does not know the kind: Landfall's CRDs are not installed, or not all of them. "
            "Apply them: kubectl apply --server-side -f charts/landfall/charts/operator/crds/"
        )
    if may_pass(error):
        return f"the API server {server} cannot answer now: {message}. Try again."
    remedies = {
        NOT_FOUND: f" in the namespace {namespace}. See what there is: kubectl landfall status -A",
        UNAUTHORIZED: ": the API server does not know you. Log in again, or name another --context.",
        FORBIDDEN: ". Ask for that verb in a Role, or name another --namespace.",
    }
    return message + remedies.get(_code(error), "")


def _code(error: httpx2.HTTPStatusError) -> int:
    if isinstance(error, ApiError) and error.status.code:
        return int(error.status.code)
    return int(error.response.status_code)
