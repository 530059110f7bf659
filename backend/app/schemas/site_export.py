"""Exports as jobs: what is asked for, and how far it is."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.models import ExportState
from app.schemas.common import ListQuery, Output, Page
from app.schemas.site import SiteFilter

JobFormat = Literal["geojson", "geojsonseq", "csv", "geoparquet", "geopackage", "flatgeobuf"]


class SiteExportCreate(SiteFilter):
    format: JobFormat = Field(description="What to write.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"format": "csv", "bbox": "13.0,52.3,13.8,52.7"}]})


class SiteExportOut(Output):
    id: uuid.UUID
    owner_id: uuid.UUID | None = Field(description="Who asked for it; null when this user is gone.")
    format: JobFormat
    filters: dict[str, Any] = Field(description="Which sites were asked for.")
    state: ExportState
    attempts: int = Field(description="How often it was begun.")
    sites: int | None = Field(description="How many are in the file, when it is available.")
    size_bytes: int | None
    failure: str | None = Field(description="Why it failed; of one that is pending, why the last attempt did.")
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="When the file is deleted.")


class SiteExportLinked(SiteExportOut):
    url: str | None = Field(description="Where to download the file, without a token, when it is available.")
    url_expires_at: datetime | None = Field(description="Until when `url` is good. Ask again for another.")


class SiteExportPage(Page):
    items: list[SiteExportOut]


class SiteExportListQuery(ListQuery):
    sort: Literal["created_at", "-created_at"] = Field("-created_at", description="Order; a leading minus reverses it.")
