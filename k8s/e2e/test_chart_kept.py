"""What `helm uninstall` leaves, and a reinstall takes up again. The first Helm is 3, the second 4."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import delete_namespace, make_namespace
from load import create_user
from releases import Release
from umbrella import Landfall

LOG_IN = """
import json, sys, urllib.parse, urllib.request
form = urllib.parse.urlencode({"username": sys.argv[1], "password": sys.argv[2]}).encode()
answer = urllib.request.urlopen("http://127.0.0.1:8000/api/v1/auth/token", form)
print(json.load(answer)["access_token"])
"""
READ = """
import sys, urllib.request
headers = {"Authorization": "Bearer " + sys.argv[1]}
request = urllib.request.Request("http://127.0.0.1:8000/api/v1/sites", headers=headers)
print(urllib.request.urlopen(request).status)
"""
STORE = """
import os, sys, boto3
s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["ARTIFACTS_ENDPOINT_URL"],
    region_name=os.environ["ARTIFACTS_REGION"],
    aws_access_key_id=os.environ["ARTIFACTS_ACCESS_KEY"],
    aws_secret_access_key=os.environ["ARTIFACTS_SECRET_KEY"],
)
bucket = os.environ["ARTIFACTS_BUCKET"]
if sys.argv[1] == "put":
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
print(s3.get_object(Bucket=bucket, Key="kept")["Body"].read().decode())
"""


@dataclasses.dataclass(frozen=True)
class Reinstalled:
    """A release after its reinstallation, and what there was before."""

    landfall: Landfall
    secrets: dict[str, dict[str, str]]
    token: str


@pytest.fixture(scope="module")
def reinstalled(crds: None, chart_values: dict[str, Any]) -> Iterator[Reinstalled]:
    first = Landfall(Release(make_namespace(), helm="helm3", values=chart_values))
    try:
        first.release.install()
        user = create_user(first.stage)
        token = first.python(LOG_IN, user.email, user.password)
        assert first.python(STORE, "put") == "kept"
        secrets = first.secrets()
        first.release.uninstall()
        again = Landfall(Release(first.stage, values=chart_values))
        again.release.install()
        yield Reinstalled(again, secrets, token)
    finally:
        delete_namespace(first.stage)


def test_all_passwords_and_keys_are_the_same(reinstalled: Reinstalled) -> None:
    assert reinstalled.landfall.secrets() == reinstalled.secrets


def test_users_are_there_and_their_tokens_are_good(reinstalled: Reinstalled) -> None:
    assert reinstalled.landfall.python(READ, reinstalled.token) == "200"


def test_objects_are_there(reinstalled: Reinstalled) -> None:
    assert reinstalled.landfall.python(STORE, "get") == "kept"


def test_the_database_s_logins_are_the_same(reinstalled: Reinstalled) -> None:
    logins = "SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname <> 'postgres'"
    assert reinstalled.landfall.sql(logins) == "2"
