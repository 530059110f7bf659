"""`landfall artifacts reap`, as a scheduler runs it."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, select

from app.models import ArtifactState, ExportState, IdempotencyKey, LoginAttempt, SiteExport
from app.settings import Settings
from tests.cli.conftest import Run
from tests.support.cli import LANDFALL
from tests.support.object_store import ObjectStore
from tests.support.service import store_environment
from tests.support.settings import store_settings
from tests.support.tools import free_port
from tests.support.yard import DATA, PART, Yard, open_yard

DAY = timedelta(days=1)
NOTHING_PURGED = "0 idempotency keys and 0 failed logins purged\n0 exports removed\n"


@pytest.fixture(params=["sqlite"])
def dialect(request: pytest.FixtureRequest) -> str:
    dialect: str = request.param
    return dialect


@pytest.fixture
def yard(settings: Settings) -> Iterator[Yard]:
    with open_yard(settings) as yard:
        yield yard


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"], indirect=True)
def test_what_was_abandoned_goes_and_what_a_crash_left_unverified_is_finished(yard: Yard, run: Run) -> None:
    abandoned, unverified, fresh = yard.uploaded(), yard.uploaded(PART), yard.announce()
    yard.complete(unverified)
    for artifact_id in (abandoned, unverified):
        yard.age(artifact_id, DAY * 2)

    done = run("artifacts", "reap")

    assert (done.exit_code, done.stdout) == (0, f"1 removed, 1 verified, 0 failed\n{NOTHING_PURGED}")
    assert (yard.state(abandoned), yard.has_bytes(abandoned)) == (None, False)
    assert yard.state(unverified) == ArtifactState.AVAILABLE
    assert yard.state(fresh) == ArtifactState.PENDING


def test_with_nothing_to_do_it_says_so(yard: Yard, run: Run) -> None:
    done = run("artifacts", "reap")

    assert (done.exit_code, done.stdout) == (0, f"0 removed, 0 verified, 0 failed\n{NOTHING_PURGED}")


def test_expired_idempotency_keys_and_failed_logins_are_purged_even_with_the_store_away(
    yard: Yard, run: Run, moto_store: ObjectStore
) -> None:
    now = datetime.now(UTC)
    for store in ({}, store_environment(moto_store, "photos") | {"ARTIFACTS_ENDPOINT_URL": "http://127.0.0.1:9"}):
        with yard.database.session() as session, session.begin():
            session.execute(delete(IdempotencyKey))
            session.execute(delete(LoginAttempt))
            for name, age in {"old": DAY * 1.01, "fresh": DAY * 0.99}.items():
                key = IdempotencyKey(user_id=yard.actor.user_id, key=name, fingerprint="", created_at=now - age)
                session.add(key)
            for name, age in {"old": timedelta(minutes=16), "fresh": timedelta(minutes=14)}.items():
                session.add(LoginAttempt(email=name, occurred_at=now - age))

        done = run("artifacts", "reap", **store)

        assert done.exit_code == (1 if store else 0)
        assert store or done.stdout.endswith("\n1 idempotency keys and 1 failed logins purged\n0 exports removed\n")
        with yard.database.session(read_only=True) as session:
            assert session.scalars(select(IdempotencyKey.key)).all() == ["fresh"]
            assert session.scalars(select(LoginAttempt.email)).all() == ["fresh"]


def test_expired_exports_go(yard: Yard, run: Run) -> None:
    with yard.database.session() as session, session.begin():
        for days in (1, -1):
            expires_at = datetime.now(UTC) + DAY * days
            session.add(SiteExport(format="csv", filters={}, state=ExportState.AVAILABLE, expires_at=expires_at))

    done = run("artifacts", "reap")

    assert (done.exit_code, done.stdout.endswith("\n1 exports removed\n")) == (0, True)
    with yard.database.session(read_only=True) as session:
        assert session.scalars(select(SiteExport.expires_at > datetime.now(UTC))).all() == [True]


def test_a_bucket_is_rid_of_unfinished_uploads_and_verified_from(
    settings: Settings, run: Run, checking_store: ObjectStore
) -> None:
    artifacts = store_settings(checking_store)
    assert artifacts.bucket is not None
    with (
        open_yard(settings.model_copy(update={"artifacts": artifacts})) as yard,
        closing(checking_store.client()) as s3,
    ):
        abandoned, unverified = yard.announce(PART), yard.announce(PART)
        for artifact_id in (abandoned, unverified):
            ((_, request),) = yard.ask_for_part(artifact_id)
            assert httpx.put(request.url, content=PART, headers=request.headers).is_success
            yard.age(artifact_id, DAY * 2)
        yard.complete(unverified)
        yard.age(unverified, DAY * 2)

        done = run("artifacts", "reap", **store_environment(checking_store, artifacts.bucket))

        assert (done.exit_code, done.stdout) == (0, f"1 removed, 1 verified, 0 failed\n{NOTHING_PURGED}")
        assert yard.state(unverified) == ArtifactState.AVAILABLE
        assert s3.list_multipart_uploads(Bucket=artifacts.bucket).get("Uploads", []) == []


def test_with_the_store_away_it_says_which_and_loses_nothing(yard: Yard, run: Run, moto_store: ObjectStore) -> None:
    abandoned = yard.uploaded()
    yard.age(abandoned, DAY * 2)
    endpoint = f"http://127.0.0.1:{free_port()}"
    store = store_environment(moto_store, "photos") | {"ARTIFACTS_ENDPOINT_URL": endpoint}

    done = run("artifacts", "reap", **store)

    assert (done.exit_code, done.stdout) == (1, "")
    assert f"s3 bucket photos at {endpoint}: no answer" in done.complaint
    assert yard.state(abandoned) == ArtifactState.PENDING


def test_one_that_cannot_be_removed_is_told_and_does_not_stop_the_others(yard: Yard, run: Run) -> None:
    stuck, other = yard.announce(), yard.uploaded()
    for artifact_id in (stuck, other):
        yard.age(artifact_id, DAY * 2)
    obstacle = yard.directory / "objects" / f"artifacts~{stuck}"
    obstacle.mkdir(parents=True)

    done = run("artifacts", "reap")

    assert (done.exit_code, done.stdout) == (1, f"1 removed, 0 verified, 1 failed\n{NOTHING_PURGED}")
    assert f"{stuck} could not be reaped: directory {yard.directory}: Is a directory" in done.stderr
    assert (yard.state(stuck), yard.state(other)) == (ArtifactState.FAILED, None)


def test_people_see_its_progress(yard: Yard, environment: dict[str, str], tmp_path: Path) -> None:
    for data in (DATA, DATA):
        yard.age(yard.uploaded(data), DAY * 2)
    ours, theirs = pty.openpty()

    done = subprocess.run(
        [LANDFALL, "artifacts", "reap"], env={**environment, "TERM": "xterm"}, cwd=tmp_path, stderr=theirs, check=False
    )

    os.close(theirs)
    seen = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "Reaping" in seen
    assert "100%" in seen
