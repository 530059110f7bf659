"""The image, as `make image` builds and names it. It runs here as Kubernetes' restricted profile runs it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator

import pytest

from tests.support.tools import run, wait_until

RESTRICTED = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=4711:4711"]
NOWHERE = "postgresql://landfall:landfall@127.0.0.1:1/landfall"


@pytest.fixture(scope="module")
def image() -> str:
    return os.environ["TEST_IMAGE"]


@pytest.fixture
def container(image: str) -> Iterator[str]:
    """The service on a database that is away."""
    name = f"landfall-tests-{uuid.uuid4().hex[:8]}"
    store = ["--env=ARTIFACTS_BUCKET=b", "--env=ARTIFACTS_ACCESS_KEY=k", "--env=ARTIFACTS_SECRET_KEY=s"]
    required = ["--env=ENVIRONMENT=production", f"--env=AUTH_SIGNING_KEYS={'k' * 32}", f"--env=DATABASE_URL={NOWHERE}"]
    run(["docker", "run", "--detach", f"--name={name}", *RESTRICTED, *store, *required, image])
    yield name
    run(["docker", "rm", "--force", name])


def inside(image: str, *command: str) -> str:
    return run(["docker", "run", "--rm", *RESTRICTED, f"--entrypoint={command[0]}", image, *command[1:]])


def test_alembic_finds_the_revisions_and_needs_nothing_but_a_url(image: str) -> None:
    assert "(head)" in run(
        ["docker", "run", "--rm", *RESTRICTED, f"--env=DATABASE_URL={NOWHERE}", "--entrypoint=alembic", image, "heads"]
    )


def test_it_runs_as_a_numeric_user_other_than_root(image: str) -> None:
    user, _, _ = run(["docker", "inspect", "--format={{.Config.User}}", image]).strip().partition(":")
    assert int(user) > 0


def test_it_has_nothing_to_install_or_compile_with(image: str) -> None:
    script = "import shutil, importlib.util as u; print([n for n in ('pip', 'pip3', 'uv', 'gcc', 'cc', 'make') "
    script += "if shutil.which(n)], u.find_spec('pip'), u.find_spec('pytest'))"
    assert inside(image, "python", "-c", script).strip() == "[] None None"


def test_everything_is_compiled_already(image: str) -> None:
    script = "import app.main, sys, pathlib; print([m.__name__ for m in list(sys.modules.values()) if "
    script += "(m.__name__ + '.').startswith('app.') and not pathlib.Path(m.__cached__).exists()])"
    assert inside(image, "python", "-c", script).strip() == "[]"


@pytest.mark.slow
def test_the_process_is_healthy_while_its_database_is_away(container: str) -> None:
    def health() -> str:
        return str(json.loads(run(["docker", "inspect", "--format={{json .State}}", container]))["Health"]["Status"])

    wait_until(lambda: health() == "healthy", timeout_seconds=40, what="health")
