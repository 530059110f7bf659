"""The one place that chooses the artifact store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.artifacts.local import LocalStorage
from app.errors import SettingsError

if TYPE_CHECKING:
    from app.artifacts.storage import ArtifactStorage
    from app.settings import Settings


def create_storage(settings: Settings, *, signing_key: bytes) -> ArtifactStorage:
    """Build the store that the settings name, without asking it anything; `signing_key` signs a local store's URLs.

    Raises `SettingsError` where a bucket is named without credentials.
    """
    artifacts = settings.artifacts
    if artifacts.bucket is None:
        return LocalStorage(artifacts.directory, signing_key=signing_key)
    if artifacts.access_key is None or artifacts.secret_key is None:
        raise SettingsError("ARTIFACTS_ACCESS_KEY, ARTIFACTS_SECRET_KEY: are required with ARTIFACTS_BUCKET")
    from app.artifacts.s3 import S3CompatibleStorage  # boto3 takes 0.3 s to import, which a local start need not pay

    return S3CompatibleStorage(
        artifacts.bucket,
        region=artifacts.region,
        access_key=artifacts.access_key,
        secret_key=artifacts.secret_key,
        endpoint_url=artifacts.endpoint_url,
        public_endpoint_url=artifacts.public_endpoint_url,
        use_ssl=artifacts.use_ssl,
        connect_timeout=artifacts.connect_timeout_seconds,
        read_timeout=artifacts.read_timeout_seconds,
    )
