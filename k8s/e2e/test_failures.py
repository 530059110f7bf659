"""Runs that fail: what is told of them, that a permanent failure is tried once, and the way out."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cluster import ClusterError, Namespace, condition, migration, secret
from conftest import delete_migrations
from servers import SPELLINGS, WRONG_PASSWORD, Database, Server
from watching import Watch

pytestmark = pytest.mark.alone  # how soon a failure is told is measured while the file's first test is set up

STATUS_BYTES = 4096
STALLED_SECONDS = 2.0
BALLAST = "CREATE TABLE ballast AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 20000) AS n"
NO_TABLE = "CREATE TABLE missing (); ALTER TABLE missing OWNER TO app"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What is asked for, and what must be told: the cause, the remedy, and `failure` in the status."""

    reason: str
    words: tuple[str, ...]
    case: str = "plain"
    spec: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, str] = field(default_factory=dict)
    log: str = ""
    ran: bool = True


FAILURES = {
    "statement": Failure(
        case="failing",
        reason="StatementFailed",
        words=('Revision b2: relation "missing" does not exist', "Statement: ALTER TABLE missing"),
        failure={"revision": "b2", "sqlstate": "42P01", "statement": "ALTER TABLE missing ADD COLUMN x integer"},
        log='relation "missing" does not exist',
    ),
    "module": Failure(
        case="module_missing",
        reason="ModuleMissing",
        words=("The image lacks the Python module there_is_no_such_module", "env.py or a revision imports"),
        log="there_is_no_such_module",
    ),
    "telling": Failure(
        case="telling",
        reason="RunFailed",
        words=("RuntimeError: postgresql", ":***@", "is not what it was"),
        failure={"revision": "a1"},
        log="connecting to postgresql",
    ),
    "password": Failure(
        reason="WrongPassword",
        words=('password authentication failed for user "app"', "Correct the password in the Secret"),
        failure={"sqlstate": "28P01"},
    ),
    "database": Failure(
        reason="DatabaseMissing",
        words=("does not exist", "Create the database, or correct its name in the URL"),
        failure={"sqlstate": "3D000"},
    ),
    "disk": Failure(
        case="filling",
        reason="DiskFull",
        words=("Revision a1:", "No space left on device", "Make room on the server, then ask for a retry"),
        failure={"revision": "a1", "sqlstate": "53100"},
        log="No space left on device",
    ),
    "deadline": Failure(
        case="held",
        spec={"policy": {"deadline": "10s"}},
        reason="DeadlineExceeded",
        words=("deadline", "spec.policy.deadline"),
        failure={"revision": "a1"},
    ),
    "image": Failure(
        reason="ImagePullFailed",
        words=("no-such-tag", "Correct spec.image", "spec.template.imagePullSecrets"),
        spec={"image": "landfall-e2e-app:no-such-tag"},
        ran=False,
    ),
    "secret": Failure(
        reason="ConfigurationMissing",
        words=("not found", "Create the Secret", "spec.database.urlFrom"),
        ran=False,
    ),
    "key": Failure(
        reason="ConfigurationMissing",
        words=("couldn't find key DATABASE_URL in Secret", "Create the Secret", "spec.database.urlFrom"),
        ran=False,
    ),
    "pod-security": Failure(
        reason="PodNotCreated",
        words=("gets no pod", "violates PodSecurity", "runAsNonRoot", "Correct spec.template"),
        spec={"template": {"podSecurityContext": {}}},
        ran=False,
    ),
    "account": Failure(
        reason="PodNotCreated",
        words=("gets no pod", 'serviceaccount "nobody" not found', "Correct spec.template"),
        spec={"template": {"serviceAccountName": "nobody"}},
        ran=False,
    ),
}
RAN = [name for name, failure in FAILURES.items() if failure.ran]


@dataclass(frozen=True)
class Broken:
    """One Migration after its failure, as it was then; `seconds` from its container's end to Stalled."""

    body: dict[str, Any]
    jobs: list[dict[str, Any]]
    events: list[dict[str, Any]]
    log: str
    seconds: float | None


@dataclass(frozen=True)
class Scene:
    stage: Namespace
    server: Server
    prefix: str
    databases: dict[str, Database]
    image: str

    def name(self, case: str) -> str:
        return f"{self.prefix}-{case}"

    def body(self, name: str, /, **changes: Any) -> dict[str, Any]:
        failure = FAILURES[name]
        spec = {"image": self.image, "case": failure.case} | failure.spec | changes
        return migration(self.name(name), secret=self.databases[name].secret, **spec)

    def sabotage(self) -> None:
        databases, stage = self.databases, self.stage
        stage.kubectl("exec", "deploy/pg", "--", "mkdir", "/small/tablespace")
        self.server.sql(
            "CREATE TABLESPACE small LOCATION '/small/tablespace'",
            f'ALTER DATABASE "{databases["disk"].name}" SET TABLESPACE small',
            f'DROP DATABASE "{databases["database"].name}"',
        )
        databases["disk"].sql(BALLAST)
        databases["deadline"].hold()
        password = databases["password"]
        stage.apply(secret(password.secret, self.server.url(password.name, password=WRONG_PASSWORD)))
        key = databases["key"]
        stage.kubectl("delete", "secret", databases["secret"].secret, key.secret)
        stage.apply({**secret(key.secret, ""), "stringData": {"ANOTHER_KEY": key.url}})

    def mend(self) -> None:
        """The remedies that the messages name; what needs no other spec is run again by the annotation."""
        databases, stage = self.databases, self.stage
        databases["statement"].sql(NO_TABLE)
        databases["disk"].sql("DROP TABLE ballast")
        databases["deadline"].release()
        self.server.sql(f'CREATE DATABASE "{databases["database"].name}" OWNER app')
        stage.apply(*(secret(databases[name].secret, databases[name].url) for name in ("password", "secret", "key")))
        stage.apply(
            self.body("module", case="plain"),
            self.body("telling", case="plain"),
            self.body("image", image=self.image),
            self.body("deadline", policy={}),
            self.body("pod-security", template={}),
            self.body("account", template={}),
        )
        again = [f"migration/{self.name(name)}" for name in ("statement", "password", "database", "disk")]
        stage.kubectl("annotate", *again, "landfall.dev/retry=1")


@pytest.fixture(scope="module")
def scene(stage: Namespace, server: Server, app_image: str) -> Iterator[Scene]:
    databases = dict(zip(FAILURES, server.create(len(FAILURES), namespace=stage), strict=True))
    made = Scene(stage, server, f"f{uuid.uuid4().hex[:6]}", databases, app_image)
    made.sabotage()
    yield made
    delete_migrations(stage, made.prefix)


@pytest.fixture(scope="module")
def broken(scene: Scene) -> dict[str, Broken]:
    """All of them at once, watched."""
    stage = scene.stage
    ended = Watch(
        stage,
        "pods",
        r"{.metadata.labels.landfall\.dev/migration} {.status.containerStatuses[0].state.terminated.exitCode}",
    )
    stalled = Watch(stage, "migrations", "{.metadata.name} {.status.conditions[?(@.type=='Stalled')].status}")
    with ended, stalled:
        stage.apply(*(scene.body(name) for name in FAILURES))
        bodies = stage.all_settled(scene.prefix)
    events = stage.list("event")
    return {name: look(scene, bodies[scene.name(name)], events, ended, stalled) for name in FAILURES}


def look(scene: Scene, body: dict[str, Any], events: list[dict[str, Any]], ended: Watch, stalled: Watch) -> Broken:
    name = body["metadata"]["name"]
    jobs = scene.stage.list("job", labels=f"landfall.dev/migration={name}")
    command = ("logs", f"job/{jobs[0]['metadata']['name']}", "-c", "migrate")
    began, told = ended.first.get(f"{name} 1"), stalled.first.get(f"{name} True")
    return Broken(
        body=body,
        jobs=jobs,
        events=[event for event in events if event["involvedObject"].get("uid") == body["metadata"]["uid"]],
        log=scene.stage.kubectl(*command, check=False),
        seconds=told - began if began and told else None,
    )


@pytest.fixture(scope="module")
def mended(scene: Scene, broken: dict[str, Broken]) -> dict[str, dict[str, Any]]:
    """All of them after their remedies."""
    scene.mend()

    def look() -> bool:
        bodies = scene.stage.all_settled(scene.prefix)
        return all(condition(body, "Ready")["status"] == "True" for body in bodies.values())

    deadline = time.monotonic() + 60
    while not look() and time.monotonic() < deadline:
        time.sleep(1)
    return scene.stage.all_settled(scene.prefix)


@pytest.mark.parametrize("name", FAILURES)
def test_the_cause_and_the_remedy_are_told(broken: dict[str, Broken], name: str) -> None:
    stalled = condition(broken[name].body, "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", FAILURES[name].reason)
    for words in FAILURES[name].words:
        assert words in stalled["message"]
    assert "Traceback" not in stalled["message"]


@pytest.mark.parametrize("name", RAN)
def test_the_status_keeps_where_it_failed_and_the_last_lines(broken: dict[str, Broken], name: str) -> None:
    failure = broken[name].body["status"]["failure"]
    expected = FAILURES[name].failure
    assert {key: failure.get(key) for key in expected} == expected
    assert FAILURES[name].log in failure["log"]
    assert len(json.dumps(failure).encode()) <= STATUS_BYTES


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_permanent_is_tried_once_and_its_job_is_kept(broken: dict[str, Broken], name: str) -> None:
    assert broken[name].body["status"]["attempts"] == 1
    assert len(broken[name].jobs) == 1


@pytest.mark.parametrize("name", RAN)
def test_the_jobs_log_is_still_there(broken: dict[str, Broken], name: str) -> None:
    assert broken[name].log.strip()


@pytest.mark.parametrize("name", FAILURES)
def test_one_warning_is_told_as_an_event(broken: dict[str, Broken], name: str) -> None:
    warnings = [event for event in broken[name].events if event["type"] == "Warning"]
    assert [event["reason"] for event in warnings] == [FAILURES[name].reason]
    assert FAILURES[name].words[0] in warnings[0]["message"]


@pytest.mark.parametrize("name", RAN)
def test_stalled_is_told_within_two_seconds_of_the_containers_end(
    broken: dict[str, Broken], name: str, record_property: Callable[[str, object], None]
) -> None:
    """The Job itself says a second or two later that it failed."""
    seconds = broken[name].seconds
    record_property("seconds", seconds)
    assert seconds is not None
    assert seconds <= STALLED_SECONDS


@pytest.mark.parametrize("name", FAILURES)
def test_after_the_remedy_it_becomes_ready(mended: dict[str, dict[str, Any]], scene: Scene, name: str) -> None:
    body = mended[scene.name(name)]
    assert condition(body, "Ready")["status"] == "True", condition(body, "Ready")["message"]
    assert "failure" not in body["status"]


def test_a_retry_is_another_run_of_its_own(mended: dict[str, dict[str, Any]], scene: Scene) -> None:
    history = mended[scene.name("statement")]["status"]["history"]
    assert [(entry["outcome"], entry["attempts"]) for entry in history] == [("Succeeded", 1), ("Failed", 1)]
    assert [entry.get("fromRevision") for entry in history] == ["a1", None]


def test_no_password_is_told_anywhere(broken: dict[str, Broken], scene: Scene) -> None:
    stage = scene.stage
    texts = [stage.kubectl("get", "migrations,events,jobs,pods,configmaps", "-o", "json")]
    texts.append(stage.kubectl("logs", "deploy/landfall-operator", "--tail=-1"))
    texts += [failure.log for failure in broken.values()]
    for job in stage.list("job"):
        try:
            texts.append(stage.kubectl("logs", f"job/{job['metadata']['name']}", "--all-containers"))
        except ClusterError:
            continue  # its containers never began
    for spelling in SPELLINGS:
        assert not [text for text in texts if spelling in text]
