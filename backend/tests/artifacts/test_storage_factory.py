from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.artifacts.storage_factory import create_storage
from app.errors import SettingsError
from app.settings import ArtifactSettings, Settings
from tests.support.secrets import S3_ACCESS_KEY, S3_SECRET_KEY
from tests.support.settings import make_settings

BUCKET = ArtifactSettings(
    bucket="photos", endpoint_url="http://127.0.0.1:9", access_key=S3_ACCESS_KEY, secret_key=SecretStr(S3_SECRET_KEY)
)


def describe(settings: Settings) -> str:
    return create_storage(settings, signing_key=b"k" * 32).describe()


def test_without_a_bucket_files_go_to_the_directory(tmp_path: Path) -> None:
    assert describe(make_settings(tmp_path)) == f"directory {tmp_path / 'artifacts'}"


def test_with_a_bucket_files_go_there(tmp_path: Path) -> None:
    assert describe(make_settings(tmp_path, artifacts=BUCKET)) == "s3 bucket photos at http://127.0.0.1:9"


@pytest.mark.parametrize(("use_ssl", "scheme"), [(None, "https"), (True, "https"), (False, "http")])
def test_without_an_endpoint_the_bucket_is_at_aws(tmp_path: Path, *, use_ssl: bool | None, scheme: str) -> None:
    settings = BUCKET.model_copy(update={"endpoint_url": None, "region": "eu-central-1", "use_ssl": use_ssl})

    description = describe(make_settings(tmp_path, artifacts=settings))

    assert description == f"s3 bucket photos at {scheme}://s3.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("missing", ["access_key", "secret_key"])
def test_a_bucket_without_credentials_is_refused(tmp_path: Path, missing: str) -> None:
    artifacts = BUCKET.model_copy(update={missing: None})
    settings = make_settings(tmp_path).model_copy(update={"artifacts": artifacts})  # Settings refuse it themselves

    with pytest.raises(SettingsError, match="ARTIFACTS_ACCESS_KEY"):
        create_storage(settings, signing_key=b"k" * 32)


def test_a_local_start_does_not_import_boto3() -> None:
    script = "import sys, app.artifacts.storage_factory; print('boto3' in sys.modules)"

    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert output.strip() == "False"
