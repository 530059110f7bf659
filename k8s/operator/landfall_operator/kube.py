"""The calls that the operator makes, each by the verb that its Role grants."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightkube import AsyncClient, operators
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import ConfigMap, Event, Pod
from lightkube.resources.core_v1 import Secret as SecretResource
from lightkube.types import CascadeType, PatchType

from landfall_operator.constants import (
    ANNOTATION_OWNER,
    CONTAINER,
    FIELD_MANAGER,
    GATE_REASON,
    GROUP,
    LABEL_UID,
    LABEL_WATCHES,
    MANAGED_BY,
    VERSION,
)
from landfall_operator.resource import Json, Resource, stamp

RESOURCES = {
    kind: create_namespaced_resource(GROUP, VERSION, kind, f"{kind.lower()}s")
    for kind in ("Migration", "Bucket", "Credential")
}
BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 400, 403, 404, 409, 422
CA = Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
PAGE = 50
WATCH = "Watch"  # the kind, for the store, of the ConfigMaps that go with Secrets of ours
LISTED: dict[str, tuple[Any, dict[str, Any] | None]] = {
    **{kind: (resource, None) for kind, resource in RESOURCES.items()},
    "Job": (Job, {LABEL_UID: operators.exists()}),
    "Pod": (Pod, {LABEL_UID: operators.exists()}),
    "Deployment": (Deployment, None),
    WATCH: (ConfigMap, {LABEL_WATCHES: operators.exists()}),
}


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A Secret as it was read; `data` is decoded."""

    namespace: str
    name: str
    uid: str
    version: str
    annotations: Mapping[str, str]
    owner_references: tuple[Json, ...]
    data: Mapping[str, str] = field(repr=False)

    @property
    def owner(self) -> str | None:
        """`KIND/NAME` of ours that made it, or that was told to take it over."""
        return self.annotations.get(ANNOTATION_OWNER)


class RefusedError(Exception):
    """The API server does not take an object: its schema, a quota, a policy. The text is its own."""


class Kube:
    """A thin layer over lightkube: what is not there any more is not an error."""

    def __init__(self) -> None:
        self._client = AsyncClient(field_manager=FIELD_MANAGER)
        # For what lightkube has no call: it holds the address, the certificate and the token.
        self._http = self._client._client._client  # noqa: SLF001
        self.cluster = _cluster(str(self._client.config.cluster.server))

    async def list(self, kind: str, *, namespace: str | None) -> tuple[Sequence[Json], str] | None:
        """All there are, in one namespace or everywhere, and the version that the list is of; None: no such kind."""
        resource, labels = LISTED[kind]
        try:
            # By pages, since a whole list at once takes several times the memory that is kept of it.
            listing = self._client.list(resource, namespace=namespace or "*", labels=labels, chunk_size=PAGE)
            bodies = [item.to_dict() async for item in listing]
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return None
            raise
        return bodies, listing.resourceVersion

    async def exists(self, claim: Json) -> bool:
        """Whether the Migration that wrote a claim is there, and not another of its name."""
        try:
            found: Any = await self._client.get(
                RESOURCES["Migration"], str(claim.get("name")), namespace=str(claim.get("namespace"))
            )
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return False
            raise
        return bool(found.metadata.uid == claim.get("uid"))

    async def served_schemas(self) -> dict[str, Json]:
        """Each kind's schema as the API server has it; its OpenAPI document may be read by every account."""
        answer = await self._http.get(f"/openapi/v3/apis/{GROUP}/{VERSION}")
        answer.raise_for_status()
        schemas: dict[str, Json] = answer.json()["components"]["schemas"]
        kinds = {name.rsplit(".", 1)[-1]: schema for name, schema in schemas.items()}
        return {kind: kinds.get(kind, {}) for kind in RESOURCES}

    async def create_job(self, body: dict[str, Any]) -> Json | None:
        """None where it exists: an earlier life of this operator made it."""
        try:
            made: Any = await self._client.create(Job.from_dict(body))
        except ApiError as error:
            if error.status.code == CONFLICT:
                return None
            if error.status.code in {BAD_REQUEST, FORBIDDEN, UNPROCESSABLE} and not is_terminating(error):
                raise RefusedError(error.status.message) from None
            raise
        except (TypeError, ValueError) as error:
            raise RefusedError(str(error)) from None
        return dict(made.to_dict())

    async def delete_job(self, namespace: str, name: str) -> None:
        await self._forgiving(self._client.delete(Job, name, namespace=namespace, cascade=CascadeType.BACKGROUND))

    async def set_status(self, resource: Resource, status: dict[str, Any]) -> Json | None:
        """Replace the status, whole: a patch that merges would leave what is gone from it. None: it was deleted.

        The status is never that of another object of the same name, made since.
        """
        change = {"op": "add", "path": "/status", "value": status}
        return await self._patch(RESOURCES[resource.kind].Status, resource, change)

    async def set_finalizers(self, resource: Resource, finalizers: Sequence[str]) -> Json | None:
        """None: it was deleted, or somebody else changed the finalizers meanwhile."""
        known = resource.finalizers
        test = {"op": "test", "path": "/metadata/finalizers", "value": known or None}
        change = {"op": "add", "path": "/metadata/finalizers", "value": [*finalizers]}
        return await self._patch(RESOURCES[resource.kind], resource, *([test] if known else []), change)

    async def _patch(self, api: Any, resource: Resource, *changes: Json) -> Json | None:
        patch = [{"op": "test", "path": "/metadata/uid", "value": resource.uid}, *changes]
        try:
            made: Any = await self._client.patch(
                api, resource.name, patch, namespace=resource.namespace, patch_type=PatchType.JSON
            )
        except ApiError as error:
            another = error.status.code == UNPROCESSABLE and "test failed" in (error.status.message or "")
            if error.status.code == NOT_FOUND or another:
                return None
            raise
        return dict(made.to_dict())

    async def get_secret(self, namespace: str, name: str) -> Secret | None:
        try:
            return _secret(await self._client.get(SecretResource, name, namespace=namespace))
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return None
            raise

    async def get_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Its data."""
        try:
            found: Any = await self._client.get(ConfigMap, name, namespace=namespace)
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return None
            raise
        return dict(found.data or {})

    async def create_secret(
        self, resource: Resource, name: str, data: Mapping[str, str], *, annotations: Json, owned: bool
    ) -> Secret | None:
        """None where one of that name exists. `owned`: it goes with the resource."""
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": resource.namespace,
            "labels": {MANAGED_BY: FIELD_MANAGER},
            "annotations": {ANNOTATION_OWNER: f"{resource.kind}/{resource.name}", **annotations},
        }
        if owned:
            metadata["ownerReferences"] = [resource.owner_reference]
        body = {"metadata": metadata, "type": "Opaque", "data": {key: _encoded(text) for key, text in data.items()}}
        try:
            return _secret(await self._client.create(SecretResource.from_dict(body)))
        except ApiError as error:
            if error.status.code == CONFLICT:
                return None
            raise _wordless(error) from None

    async def update_secret(
        self,
        secret: Secret,
        *,
        data: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
        owner_references: Sequence[Json] | None = None,
    ) -> Secret | None:
        """Change what is given, None removes a key. None: somebody else was there first, look again.

        A merge patch, since server-side apply makes a Secret anew that was deleted since it was read.
        """
        metadata: dict[str, Any] = {"uid": secret.uid, "resourceVersion": secret.version}
        if annotations is not None:
            metadata["annotations"] = dict(annotations)
        if owner_references is not None:
            metadata["ownerReferences"] = [dict(owner) for owner in owner_references]
        patch: dict[str, Any] = {"metadata": metadata}
        if data is not None:
            patch["data"] = {key: None if text is None else _encoded(text) for key, text in data.items()}
        try:
            made = await self._client.patch(
                SecretResource, secret.name, patch, namespace=secret.namespace, patch_type=PatchType.MERGE
            )
        except ApiError as error:
            if error.status.code in {CONFLICT, NOT_FOUND}:
                return None
            raise _wordless(error) from None
        return _secret(made)

    async def delete_secret(self, secret: Secret) -> None:
        """Not another one of its name."""
        options = {"preconditions": {"uid": secret.uid}}
        answer = await self._http.request(
            "DELETE", f"/api/v1/namespaces/{secret.namespace}/secrets/{secret.name}", json=options
        )
        if answer.status_code not in {NOT_FOUND, CONFLICT}:
            answer.raise_for_status()

    async def watch_secret(self, secret: Secret) -> Json:
        """A ConfigMap that the garbage collector deletes with the Secret: Secrets themselves may not be watched."""
        body = {
            "metadata": {
                "name": f"{secret.name}-landfall-watch",
                "namespace": secret.namespace,
                "labels": {LABEL_WATCHES: "secret", MANAGED_BY: FIELD_MANAGER},
                "annotations": {ANNOTATION_OWNER: secret.owner},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Secret", "name": secret.name, "uid": secret.uid}],
            }
        }
        try:
            made: Any = await self._client.apply(ConfigMap.from_dict(body), force=True)
        except ApiError as error:
            if error.status.code in {FORBIDDEN, UNPROCESSABLE} and not is_terminating(error):
                raise RefusedError(f"the ConfigMap beside the Secret is refused: {error.status.message}") from None
            raise
        return dict(made.to_dict())

    async def is_ending(self, namespace: str) -> bool:
        """Whether a namespace is being deleted: then nothing new may be made in it, not even for show."""
        event = {"metadata": {"generateName": "landfall."}, "involvedObject": {"namespace": namespace}}
        path = f"/api/v1/namespaces/{namespace}/events"
        answer = await self._http.post(path, params={"dryRun": "All"}, json=event)
        return answer.status_code == NOT_FOUND or (
            answer.status_code == FORBIDDEN and "being terminated" in str(answer.text)
        )

    async def keep_plan(self, body: dict[str, Any]) -> None:
        await self._client.apply(ConfigMap.from_dict(body), force=True)  # type: ignore[call-overload]

    async def log(self, namespace: str, pod: str, *, tail: int | None = None) -> bytes:
        """A run's log, or its last lines; empty where the pod has gone or has not begun."""
        # lightkube cuts a log into lines at any kind of line end, and a plan's SQL must come as it is.
        query = {"container": CONTAINER} | ({"tailLines": str(tail)} if tail else {})
        answer = await self._http.get(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", params=query)
        if answer.status_code in {BAD_REQUEST, NOT_FOUND}:
            return b""
        answer.raise_for_status()
        return bytes(answer.content)

    async def why_no_pod(self, namespace: str, job: str) -> str | None:
        """What the Job controller said last of a Pod that it could not make; None where it did not try yet."""
        fields: dict[str, Any] = {"involvedObject.name": job, "reason": "FailedCreate"}
        events = [event async for event in self._client.list(Event, namespace=namespace, fields=fields)]
        return str(events[-1].message) if events else None

    async def mark_gate(self, namespace: str, deployment: str, *, message: str | None) -> None:
        """Put `Stalled` into a Deployment's status, which kstatus reads on any kind; without a message take it away."""
        now = stamp(datetime.now(UTC))
        condition: dict[str, Any] = {"type": "Stalled"}
        if message is None:
            condition["$patch"] = "delete"
        else:
            condition |= {
                "status": "True",
                "reason": GATE_REASON,
                "message": message,
                "lastUpdateTime": now,
                "lastTransitionTime": now,
            }
        patch = {"status": {"conditions": [condition]}}
        await self._forgiving(
            self._client.patch(
                Deployment.Status, deployment, patch, namespace=namespace, patch_type=PatchType.STRATEGIC
            )
        )

    async def tell(self, resource: Resource, *, warning: bool, reason: str, message: str) -> None:
        now = datetime.now(UTC)
        event = Event(
            metadata=ObjectMeta(generateName=f"{resource.name[:200]}.", namespace=resource.namespace),
            involvedObject=ObjectReference(
                apiVersion=f"{GROUP}/{VERSION}",
                kind=resource.kind,
                name=resource.name,
                namespace=resource.namespace,
                uid=resource.uid,
            ),
            type="Warning" if warning else "Normal",
            reason=reason,
            message=message[:1000],
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
            source=EventSource(component=FIELD_MANAGER),
            reportingComponent=FIELD_MANAGER,
        )
        await self._forgiving(self._client.create(event))

    async def _forgiving(self, call: Any) -> None:
        """What has gone meanwhile, or goes with its namespace, needs nothing more."""
        try:
            await call
        except ApiError as error:
            if error.status.code != NOT_FOUND and not is_terminating(error):
                raise


def _cluster(server: str) -> str:
    """What tells this cluster from others on the same store: its CA, which every pod is given."""
    told = CA.read_bytes() if CA.exists() else server.encode()
    return hashlib.sha256(told).hexdigest()[:16]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode(errors="surrogateescape")).decode()


def _secret(body: Any) -> Secret:
    metadata = body.metadata
    return Secret(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        version=metadata.resourceVersion,
        annotations=metadata.annotations or {},
        owner_references=tuple(owner.to_dict() for owner in metadata.ownerReferences or []),
        data={key: base64.b64decode(text).decode(errors="surrogateescape") for key, text in (body.data or {}).items()},
    )


def _wordless(error: ApiError) -> Exception:
    """What the API server says of a Secret without its words, which may quote what is in it."""
    if is_terminating(error):
        return error
    text = f"the API server refuses the Secret ({error.status.code} {error.status.reason})"
    refused = error.status.code in {BAD_REQUEST, FORBIDDEN, UNPROCESSABLE}
    return RefusedError(text) if refused else RuntimeError(text)


def is_terminating(error: Exception) -> bool:
    """Whether a call was refused since its namespace is being deleted."""
    if not isinstance(error, ApiError) or error.status.code != FORBIDDEN:
        return False
    return "being terminated" in (error.status.message or "")
