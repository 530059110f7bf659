"""What the operator is told by its environment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each by its name in upper case behind `LANDFALL_`."""

    model_config = SettingsConfigDict(env_prefix="LANDFALL_", frozen=True)

    scope: Literal["namespace", "cluster"] = Field("namespace", description="what is watched")
    namespace: str = Field("default", min_length=1, description="the namespace to watch, where scope is namespace")
    runner_image: str = Field(
        min_length=1, description="the image that the Jobs' init container copies the runner from"
    )
    workers: int = Field(4, ge=1, description="resources of a kind worked on at once")
    bucket_workers: int = Field(8, ge=1, description="Buckets worked on at once, and threads for their stores")
    bucket_check_seconds: int = Field(
        600, ge=1, description="time after which a Bucket is compared with its store again"
    )
    http_port: int = Field(8080, ge=0, le=65535, description="port of /healthz and /metrics")
    resync_seconds: int = Field(600, ge=10, description="time after which everything is looked at again")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level that is written")
