from __future__ import annotations

import uuid
from typing import Annotated
from urllib.parse import urljoin

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.orm import Session

from app.api.answers import (
    BODY,
    CHANGING,
    CREATING,
    DELETING,
    ETAG_HEADER,
    LISTING,
    LOCATION_HEADER,
    READING,
    WRITING,
    documented,
    page,
    resource,
)
from app.artifacts.storage import PresignedRequest
from app.deps import (
    Artifacts,
    DbSession,
    Editor,
    IfMatchHeader,
    OnceHeader,
    Verifying,
    Viewer,
    ViewerReads,
    require_json,
)
from app.errors import (
    ArtifactStateError,
    ArtifactTooLargeError,
    NotFoundError,
    PartInvalidError,
    StorageUnavailableError,
    UploadMismatchError,
    UploadMissingError,
)
from app.models import ArtifactState
from app.schemas.artifact import (
    ArtifactCreate,
    ArtifactCreated,
    ArtifactListQuery,
    ArtifactOut,
    ArtifactPage,
    ArtifactPatch,
    MultipartUpload,
    PartRequest,
    PartRequests,
    PartsStored,
    PartStored,
    PartsWanted,
    PresignedOut,
    SingleUpload,
    UploadOut,
)
from app.services.artifacts import ArtifactService, Single

router = APIRouter(prefix="/artifacts", tags=["artifacts"])

SIGNING = (*READING, ArtifactStateError)
UPLOADING = (*SIGNING, StorageUnavailableError)


@router.get("", response_model=ArtifactPage, responses=documented(*LISTING), summary="List artifacts")
async def list_artifacts(
    request: Request, query: Annotated[ArtifactListQuery, Query()], reads: ViewerReads, artifacts: Artifacts
) -> Response:
    return await reads(lambda database, _: page(artifacts.list(database, query), request))


@router.post(
    "",
    status_code=201,
    response_model=ArtifactCreated,
    responses=documented(*CREATING, ArtifactTooLargeError, status=201, headers=ETAG_HEADER | LOCATION_HEADER),
    dependencies=[Depends(require_json)],
    summary="Announce an artifact",
)
def create_artifact(
    request: Request, body: ArtifactCreate, session: DbSession, actor: Editor, key: OnceHeader, artifacts: Artifacts
) -> Response:
    created = artifacts.create(session, body, actor=actor, key=key)
    try:
        upload = _upload(request, session, created.id, artifacts).upload.model_dump_json()
    except (ArtifactStateError, NotFoundError):
        upload = "null"
    return resource(created, request, status=201, extra=f',"upload":{upload}')


@router.get(
    "/{artifact_id}",
    response_model=ArtifactOut,
    responses=documented(*READING, headers=ETAG_HEADER, not_modified=True),
    summary="Read an artifact",
)
async def read_artifact(request: Request, artifact_id: uuid.UUID, reads: ViewerReads, artifacts: Artifacts) -> Response:
    return await reads(lambda database, _: resource(artifacts.read(database, artifact_id), request))


@router.patch(
    "/{artifact_id}",
    response_model=ArtifactOut,
    responses=documented(*CHANGING, headers=ETAG_HEADER),
    dependencies=[Depends(require_json)],
    summary="Change an artifact's description",
)
def patch_artifact(
    request: Request,
    artifact_id: uuid.UUID,
    body: ArtifactPatch,
    session: DbSession,
    actor: Editor,
    if_match: IfMatchHeader,
    artifacts: Artifacts,
) -> Response:
    return resource(artifacts.change(session, artifact_id, body, actor=actor, if_match=if_match), request)


@router.delete(
    "/{artifact_id}",
    status_code=204,
    responses=documented(*DELETING, StorageUnavailableError),
    summary="Delete an artifact and its bytes",
)
def delete_artifact(
    artifact_id: uuid.UUID, session: DbSession, actor: Editor, if_match: IfMatchHeader, artifacts: Artifacts
) -> None:
    artifacts.delete(session, artifact_id, actor=actor, if_match=if_match)


@router.get(
    "/{artifact_id}/upload",
    response_model=UploadOut,
    responses=documented(*SIGNING),
    summary="How to send the bytes; again, when a URL has expired",
)
def read_upload(
    request: Request, artifact_id: uuid.UUID, session: DbSession, actor: Editor, artifacts: Artifacts
) -> UploadOut:
    return _upload(request, session, artifact_id, artifacts)


@router.post(
    "/{artifact_id}/parts",
    response_model=PartRequests,
    responses=documented(*UPLOADING, *BODY, PartInvalidError),
    dependencies=[Depends(require_json)],
    summary="URLs for parts of a multipart upload",
)
def create_part_requests(
    request: Request,
    artifact_id: uuid.UUID,
    body: PartsWanted,
    session: DbSession,
    actor: Editor,
    artifacts: Artifacts,
) -> PartRequests:
    made = artifacts.part_requests(session, artifact_id, body)
    return PartRequests(parts=[PartRequest(number=number, request=_presigned(request, r)) for number, r in made])


@router.get(
    "/{artifact_id}/parts",
    response_model=PartsStored,
    responses=documented(*UPLOADING, UploadMissingError),
    summary="The parts that have arrived",
)
def list_parts(artifact_id: uuid.UUID, session: DbSession, actor: Editor, artifacts: Artifacts) -> PartsStored:
    stored = artifacts.parts(session, artifact_id)
    return PartsStored(
        parts=[PartStored(number=part.number, size_bytes=part.size_bytes, sha256=part.sha256) for part in stored]
    )


@router.post(
    "/{artifact_id}/complete",
    response_model=ArtifactOut,
    responses=documented(*UPLOADING, *WRITING, UploadMissingError, UploadMismatchError, headers=ETAG_HEADER)
    | {202: {"description": "The bytes are being verified.", "model": ArtifactOut, "headers": ETAG_HEADER}},
    summary="Say that the bytes are there",
)
def complete_artifact(
    request: Request,
    artifact_id: uuid.UUID,
    session: DbSession,
    actor: Editor,
    artifacts: Artifacts,
    verifier: Verifying,
) -> Response:
    completed = artifacts.complete(session, artifact_id, actor=actor)
    verifying = completed.state == ArtifactState.VERIFYING
    if verifying and completed.changed:
        verifier.submit(artifact_id, actor=actor)
    return resource(completed.answer, request, status=202 if verifying else 200)


@router.post(
    "/{artifact_id}/abort",
    response_model=ArtifactOut,
    responses=documented(*UPLOADING, *WRITING, headers=ETAG_HEADER),
    summary="Give an upload up",
)
def abort_artifact(
    request: Request, artifact_id: uuid.UUID, session: DbSession, actor: Editor, artifacts: Artifacts
) -> Response:
    return resource(artifacts.abort(session, artifact_id, actor=actor), request)


@router.get(
    "/{artifact_id}/download",
    response_model=PresignedOut,
    responses=documented(*SIGNING),
    summary="A URL to download the bytes",
)
def read_download(
    request: Request, artifact_id: uuid.UUID, session: DbSession, actor: Viewer, artifacts: Artifacts
) -> PresignedOut:
    return _presigned(request, artifacts.download(session, artifact_id))


def _upload(request: Request, session: Session, artifact_id: uuid.UUID, artifacts: ArtifactService) -> UploadOut:
    found = artifacts.upload(session, artifact_id)
    if isinstance(found, Single):
        return UploadOut(upload=SingleUpload(kind="single", request=_presigned(request, found.request)))
    return UploadOut(
        upload=MultipartUpload(kind="multipart", part_size_bytes=found.part_size_bytes, part_count=found.part_count)
    )


def _presigned(request: Request, presigned: PresignedRequest) -> PresignedOut:
    # The local store's URLs are relative to the API.
    return PresignedOut(
        method="PUT" if presigned.method == "PUT" else "GET",
        url=urljoin(str(request.base_url), presigned.url),
        headers=presigned.headers,
        expires_at=presigned.expires_at,
    )
