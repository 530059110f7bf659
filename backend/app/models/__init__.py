"""The tables; importing this package fills `Base.metadata`."""

from app.models.artifact import Artifact, ArtifactState
from app.models.audit_event import AuditEvent
from app.models.deleted_object import DeletedObject
from app.models.idempotency_key import IdempotencyKey
from app.models.login_attempt import LoginAttempt
from app.models.site import Site
from app.models.site_export import ExportState, SiteExport
from app.models.site_version import SiteVersion
from app.models.task import Task, TaskPriority, TaskStatus
from app.models.user import Locale, User, UserRole

__all__ = [
    "Artifact",
    "ArtifactState",
    "AuditEvent",
    "DeletedObject",
    "ExportState",
    "IdempotencyKey",
    "Locale",
    "LoginAttempt",
    "Site",
    "SiteExport",
    "SiteVersion",
    "Task",
    "TaskPriority",
    "TaskStatus",
    "User",
    "UserRole",
]
