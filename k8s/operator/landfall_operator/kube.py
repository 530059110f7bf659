"""The calls that the operator makes, each by the verb that its Role grants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lightkube import AsyncClient
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import ConfigMap, Event
from lightkube.types import CascadeType, PatchType

from landfall_operator.constants import CONTAINER, FIELD_MANAGER, GROUP, VERSION
from landfall_operator.views import Json, Migration, stamp

MigrationResource = create_namespaced_resource(GROUP, VERSION, "Migration", "migrations")
NOT_FOUND, CONFLICT = 404, 409


class Kube:
    """A thin layer over lightkube: what is not there any more is not an error."""

    def __init__(self) -> None:
        self._client = AsyncClient(field_manager=FIELD_MANAGER)

    async def create_job(self, body: dict[str, Any]) -> Json | None:
        """None where it exists: an earlier life of this operator made it."""
        try:
            made: Any = await self._client.create(Job.from_dict(body))
        except ApiError as error:
            if error.status.code == CONFLICT:
                return None
            raise
        return dict(made.to_dict())

    async def delete_job(self, namespace: str, name: str) -> None:
        await self._forgiving(self._client.delete(Job, name, namespace=namespace, cascade=CascadeType.BACKGROUND))

    async def set_status(self, migration: Migration, status: dict[str, Any]) -> Json | None:
        """Replace the status; members that are gone are told as null, since the patch merges. None: it was deleted."""
        gone: dict[str, Any] = {name: None for name in migration.status if name not in status}
        patch = {"status": gone | status}
        try:
            made: Any = await self._client.patch(
                MigrationResource.Status,
                migration.name,
                patch,
                namespace=migration.namespace,
                patch_type=PatchType.MERGE,
            )
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return None
            raise
        return dict(made.to_dict())

    async def keep_plan(self, body: dict[str, Any]) -> None:
        await self._client.apply(ConfigMap.from_dict(body), force=True)  # type: ignore[call-overload]

    async def log(self, namespace: str, pod: str) -> bytes:
        lines = [line async for line in self._client.log(pod, namespace=namespace, container=CONTAINER)]
        return "".join(lines).encode()

    async def mark_gate(self, namespace: str, deployment: str, *, message: str | None) -> None:
        """Put `Stalled` into a Deployment's status, which kstatus reads on any kind; without a message take it away."""
        now = stamp(datetime.now(UTC))
        condition: dict[str, Any] = {"type": "Stalled"}
        if message is None:
            condition["$patch"] = "delete"
        else:
            condition |= {
                "status": "True",
                "reason": "MigrationStalled",
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
        """What has gone meanwhile, or goes with its namespace (403), needs nothing more."""
        try:
            await call
        except ApiError as error:
            terminating = error.status.code == 403 and "terminated" in (error.status.message or "")  # noqa: PLR2004
            if error.status.code != NOT_FOUND and not terminating:
                raise
