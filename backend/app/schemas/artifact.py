"""Artifacts as clients write and read them, and the ways of their bytes."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from app.models import ArtifactState
from app.schemas.common import FreeForm, Input, ListQuery, Output, Page, Stamped, unset

ArtifactSort = Literal["created_at", "-created_at", "file_name", "-file_name", "size_bytes", "-size_bytes"]
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MAX_PARTS = 10_000  # S3's own limit
# No control characters and no separators: the name goes into a header and onto disks.
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f/\\]+$"),
    Field(examples=["plan.pdf"]),
]
MediaType = Annotated[
    str,
    StringConstraints(max_length=127, pattern=r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$"),
    Field(examples=["application/pdf"]),
]
Sha256 = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{64}$"),
    Field(
        description="SHA-256 of the bytes, lower-case hex.",
        examples=[EMPTY_SHA256],
    ),
]


class ArtifactCreate(Input):
    file_name: FileName
    media_type: MediaType = "application/octet-stream"
    size_bytes: int = Field(ge=0, le=5 * 1024**4, examples=[0])
    sha256: Sha256
    site_id: uuid.UUID | None = Field(None, examples=[None])
    task_id: uuid.UUID | None = Field(None, examples=[None])
    metadata: FreeForm = Field({})


class ArtifactPatch(Input):
    file_name: FileName = Field(default_factory=unset)
    site_id: uuid.UUID | None = None
    task_id: uuid.UUID | None = None
    metadata: FreeForm = Field(default_factory=unset)

    model_config = ConfigDict(json_schema_extra={"examples": [{"file_name": "plan-2.pdf"}]})


class ArtifactOut(Stamped):
    id: uuid.UUID
    owner_id: uuid.UUID
    site_id: uuid.UUID | None
    task_id: uuid.UUID | None
    file_name: str
    media_type: str
    size_bytes: int
    sha256: str
    state: ArtifactState
    failure: str | None = Field(description="Why it failed, when it did.")
    metadata: dict[str, Any]


class ArtifactPage(Page):
    items: list[ArtifactOut]


class PresignedOut(Output):
    """A request to send as it is, headers included, before it expires; it needs no token."""

    method: Literal["GET", "PUT"]
    url: str
    headers: dict[str, str]
    expires_at: datetime


class SingleUpload(Output):
    """Send the bytes with one request, then complete the artifact."""

    kind: Literal["single"]
    request: PresignedOut


class MultipartUpload(Output):
    """Ask for the parts' URLs, send the parts, then complete the artifact. The last part may be shorter."""

    kind: Literal["multipart"]
    part_size_bytes: int
    part_count: int


Upload = Annotated[SingleUpload | MultipartUpload, Field(discriminator="kind")]


class UploadOut(Output):
    upload: Upload


class ArtifactCreated(ArtifactOut):
    upload: Upload | None = Field(description="How to send the bytes; null when a repeated request finds it completed.")


class PartWanted(Input):
    number: int = Field(ge=1, le=MAX_PARTS, examples=[1])
    sha256: Sha256


class PartsWanted(Input):
    parts: list[PartWanted] = Field(min_length=1, max_length=1000, examples=[[{"number": 1, "sha256": EMPTY_SHA256}]])


class PartRequest(Output):
    number: int
    request: PresignedOut


class PartRequests(Output):
    parts: list[PartRequest]


class PartStored(Output):
    number: int
    size_bytes: int
    sha256: str | None


class PartsStored(Output):
    parts: list[PartStored]


class ArtifactListQuery(ListQuery):
    state: list[ArtifactState] = Field([], description="Any of these.")
    owner_id: uuid.UUID | None = None
    site_id: uuid.UUID | None = None
    task_id: uuid.UUID | None = None
    sort: ArtifactSort = Field("-created_at", description="Order; a leading minus reverses it.")
