"""Sites in bulk: what an import answers, and what an export is asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.schemas.common import Input, Output
from app.schemas.site import SiteFilter


class ImportQuery(Input):
    dry_run: bool = Field(False, description="Say what the import would do, and write nothing.")


class ImportReport(Output):
    created: int
    updated: int
    unchanged: int = Field(description="Those that were there already, just as they came.")
    dry_run: bool = Field(description="Whether this is only what would have been done.")
    errors: list[None] = Field(
        [], description="Always empty: an import with errors is refused as a whole.", max_length=0
    )


class SiteExportQuery(SiteFilter):
    format: Literal["geojson", "geojsonseq", "csv", "geoparquet"] = Field("geojson", description="What to write.")
