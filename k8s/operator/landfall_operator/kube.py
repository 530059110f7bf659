"""The calls that the operator makes, each by the verb that its Role grants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lightkube import AsyncClient, operators
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import ConfigMap, Event, Pod
from lightkube.types import CascadeType, PatchType

from landfall_operator.constants import CONTAINER, FIELD_MANAGER, GATE_REASON, GROUP, LABEL_UID, VERSION
from landfall_operator.views import Json, Migration, stamp

MigrationResource = create_namespaced_resource(GROUP, VERSION, "Migration", "migrations")
BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 400, 403, 404, 409, 422
LISTED: dict[str, tuple[Any, dict[str, Any] | None]] = {
    "Migration": (MigrationResource, None),
    "Job": (Job, {LABEL_UID: operators.exists()}),
    "Pod": (Pod, {LABEL_UID: operators.exists()}),
    "Deployment": (Deployment, None),
}


class RefusedError(Exception):
    """The API server does not take an object: its schema, a quota, a policy. The text is its own."""


class Kube:
    """A thin layer over lightkube: what is not there any more is not an error."""

    def __init__(self) -> None:
        self._client = AsyncClient(field_manager=FIELD_MANAGER)
        # For what lightkube has no call: it holds the address, the certificate and the token.
        self._http = self._client._client._client  # noqa: SLF001

    async def list(self, kind: str, *, namespace: str | None) -> tuple[list[Json], str]:
        """All there are, in one namespace or everywhere, and the version that the list is of."""
        resource, labels = LISTED[kind]
        listing = self._client.list(resource, namespace=namespace or "*", labels=labels)
        bodies = [item.to_dict() async for item in listing]
        return bodies, listing.resourceVersion

    async def exists(self, claim: Json) -> bool:
        """Whether the Migration that wrote a claim is there, and not another of its name."""
        try:
            found: Any = await self._client.get(
                MigrationResource, str(claim.get("name")), namespace=str(claim.get("namespace"))
            )
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return False
            raise
        return bool(found.metadata.uid == claim.get("uid"))

    async def served_schema(self) -> Json:
        """The Migration's schema as the API server has it; its OpenAPI document may be read by every account."""
        answer = await self._http.get(f"/openapi/v3/apis/{GROUP}/{VERSION}")
        answer.raise_for_status()
        schemas: dict[str, Json] = answer.json()["components"]["schemas"]
        return next(schema for name, schema in schemas.items() if name.endswith(".Migration"))

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

    async def set_status(self, migration: Migration, status: dict[str, Any]) -> Json | None:
        """Replace the status, whole: a patch that merges would leave what is gone from it. None: it was deleted.

        The status is never that of another object of the same name, made since.
        """
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": migration.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            made: Any = await self._client.patch(
                MigrationResource.Status,
                migration.name,
                patch,
                namespace=migration.namespace,
                patch_type=PatchType.JSON,
            )
        except ApiError as error:
            another = error.status.code == UNPROCESSABLE and "test failed" in (error.status.message or "")
            if error.status.code == NOT_FOUND or another:
                return None
            raise
        return dict(made.to_dict())

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

    async def tell(self, migration: Migration, *, warning: bool, reason: str, message: str) -> None:
        now = datetime.now(UTC)
        event = Event(
            metadata=ObjectMeta(generateName=f"{migration.name[:200]}.", namespace=migration.namespace),
            involvedObject=ObjectReference(
                apiVersion=f"{GROUP}/{VERSION}",
                kind="Migration",
                name=migration.name,
                namespace=migration.namespace,
                uid=migration.uid,
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


def is_terminating(error: Exception) -> bool:
    """Whether a call was refused since its namespace is being deleted."""
    if not isinstance(error, ApiError) or error.status.code != FORBIDDEN:
        return False
    return "being terminated" in (error.status.message or "")
