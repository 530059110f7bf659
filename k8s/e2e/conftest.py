"""Images are built once a run; most of a worker's tests share a stage: an operator, a PostgreSQL, a database each."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import diagnosis
import pytest
from certificates import Authority
from cluster import ROOT, ClusterError, Namespace, refuse_remote, require_tools, run
from servers import Database, Server
from stores import Program, Store, find_minio_image, find_versitygw

from tests.support import workers
from tests.support.workers import run_directory

HERE = Path(__file__).parent
KIND_CLUSTER = os.environ.get("LANDFALL_E2E_KIND_CLUSTER", "landfall")
RELEASE = "LANDFALL_E2E_RELEASE"
# The files whose tests take minutes: whichever is begun last is waited for.
LONGEST = (
    "test_operator",
    "test_bucket_deletion",
    "test_deletion",
    "test_concurrency",
    "test_chart_upgrade_helm3",
    "test_tutorial",
    "test_migration",
    "test_states",
    "test_applications",
    "test_bucket_operator",
    "test_chart_upgrade",
    "test_chart_postgis",
    "test_database",
    "test_chart_faults",
)
MADE = pytest.StashKey[list[Namespace]]()
SHOWN = pytest.StashKey[set[str]]()

Once = Callable[[str, Callable[[], object]], None]
MakeStage = Callable[[], Namespace]
MakeStages = Callable[[int], list[Namespace]]
MakeDatabase = Callable[[Namespace], Database]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(workers)


@pytest.hookimpl(tryfirst=True)  # the last test stays the last
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, and end with those that have tests that run alone, where all workers wait."""
    place = {name: number for number, name in enumerate(LONGEST)}
    alone = {item.path for item in items if workers.is_marked(item, "alone")}
    items.sort(key=lambda item: (item.path in alone, place.get(item.path.stem, len(LONGEST))))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before any worker begins, which inherits the environment."""
    if is_worker(session):
        return
    try:
        require_tools()
        refuse_remote()
        find_minio_image()
    except (ClusterError, OSError) as error:
        pytest.exit(f"make e2e: {error}", returncode=2)
    # A tag of this run's own: a node keeps an old image of a tag that it has. A letter first: Helm takes 01325948 for a
    # number where it stands unquoted, and the charts' schemas refuse it.
    os.environ[RELEASE] = f"r{uuid.uuid4().hex[:8]}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After all workers have ended."""
    if is_worker(session):
        return
    listed = ("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter")
    if images := run(*listed, f"reference=landfall-*:{os.environ[RELEASE]}*").split():
        run("docker", "image", "rm", *images, check=False)


def is_worker(session: pytest.Session) -> bool:
    return run_directory(session.config) is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when != "teardown":
        shown = str(report.longrepr)
        if diagnosis.redacted(shown) != shown:
            report.longrepr = diagnosis.redacted(shown)
        report.sections += _diagnosed(item, shown)
    return report


def _diagnosed(item: pytest.Item, failure: str) -> list[tuple[str, str]]:
    """What the cluster says of a failed test; a fixture that many tests wait for is shown once."""
    shown = item.session.stash.setdefault(SHOWN, set())
    if failure in shown:
        return [("diagnosis", "as with the test above that failed in the same way")]
    shown.add(failure)
    arguments = getattr(item, "funcargs", {})
    found = [value for value in arguments.values() if isinstance(value, Namespace)] + item.stash.get(MADE, [])
    case = getattr(item, "callspec", None)
    about = arguments.get("unique") or (case.id if case else "")
    return [section for namespace in dict.fromkeys(found) for section in diagnosis.sections(namespace, about)]


@pytest.fixture(scope="session")
def release() -> str:
    return os.environ[RELEASE]


@pytest.fixture(scope="session")
def once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Let one worker do what is named so, and the others wait until it is done."""
    directory = run_directory(request.config) or tmp_path_factory.getbasetemp()

    def act_once(name: str, act: Callable[[], object]) -> None:
        with (directory / f"once-{name}").open("a") as done:
            fcntl.flock(done, fcntl.LOCK_EX)
            if not os.fstat(done.fileno()).st_size:
                act()
                done.write("done")

    return act_once


def load(image: str) -> None:
    run("kind", "load", "docker-image", image, "--name", KIND_CLUSTER)


def build(tag: str, *, dockerfile: Path, context: Path, **arguments: str) -> None:
    options = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", "-q", "--network", "host", "-f", str(dockerfile), "-t", tag]
    run(*command, *options, str(context), timeout=900)
    load(tag)


@pytest.fixture(scope="session")
def operator_image(once: Once, release: str) -> str:
    tag = f"landfall-operator:{release}"
    once(tag, lambda: build(tag, dockerfile=ROOT / "k8s/operator/Dockerfile", context=ROOT))
    return tag


@pytest.fixture(scope="session")
def app_image(once: Once, release: str) -> str:
    tag, context = f"landfall-e2e-app:{release}", HERE / "apps"
    once(tag, lambda: build(tag, dockerfile=context / "Dockerfile", context=context))
    return tag


@pytest.fixture(scope="session")
def newer_app_image(once: Once, release: str) -> str:
    """The same applications as another image, as a new release is."""
    tag, context = f"landfall-e2e-app:{release}-2", HERE / "apps"
    once(tag, lambda: build(tag, dockerfile=context / "Dockerfile", context=context, RELEASE="2"))
    return tag


@pytest.fixture(scope="session")
def postgres_image(once: Once, release: str) -> str:
    """PostgreSQL, PgBouncer and their clients."""
    tag, context = f"landfall-e2e-postgres:{release}", HERE / "images/postgres"
    once(tag, lambda: build(tag, dockerfile=context / "Dockerfile", context=context))
    return tag


@pytest.fixture(scope="session")
def minio_image(once: Once) -> str:
    """Brought along, not built: no public registry serves a maintained one."""
    image = find_minio_image()
    once("minio", lambda: load(image))
    return image


@pytest.fixture(scope="session")
def versitygw_image(once: Once, release: str) -> str:
    tag, dockerfile = f"landfall-e2e-versitygw:{release}", HERE / "images/versitygw/Dockerfile"
    once(tag, lambda: build(tag, dockerfile=dockerfile, context=find_versitygw().parent))
    return tag


@pytest.fixture(scope="session")
def crds() -> None:
    directory = ROOT / "charts/landfall/charts/operator/crds"
    run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(directory))
    run("kubectl", "wait", "--for=condition=Established", "-f", str(directory), "--timeout=30s")


def make_namespace() -> Namespace:
    """A namespace where only pods of Pod Security's restricted profile may run."""
    here = Namespace(f"landfall-e2e-{uuid.uuid4().hex[:6]}")
    run("kubectl", "create", "namespace", here.name)
    run("kubectl", "label", "namespace", here.name, "pod-security.kubernetes.io/enforce=restricted")
    return here


def install_operator(namespace: Namespace, image: str) -> None:
    text = (ROOT / "k8s/operator/install.yaml").read_text().replace("landfall-operator:dev", image)
    namespace.kubectl("apply", "--server-side", "-f", "-", text=text)


def delete_buckets(namespace: Namespace, prefix: str = "") -> None:
    """Also those that owe a deletion on a store that is gone, or whose operator is."""
    found = json.loads(namespace.kubectl("get", "bucket", "-o", "json", check=False) or '{"items": []}')
    bodies = [body["metadata"] for body in found["items"] if body["metadata"]["name"].startswith(prefix)]
    if bodies:
        namespace.kubectl("delete", "bucket", "--wait=false", "--ignore-not-found", *(body["name"] for body in bodies))
    if owing := [body["name"] for body in bodies if body.get("finalizers")]:
        released = '{"metadata": {"finalizers": null}}'
        namespace.kubectl("patch", "bucket", *owing, "--type=merge", "-p", released, check=False)


def delete_namespace(namespace: Namespace) -> None:
    delete_buckets(namespace)
    run("kubectl", "delete", "namespace", namespace.name, "--wait=false", "--ignore-not-found")


def wait_for_operator(namespace: Namespace) -> None:
    namespace.kubectl("rollout", "status", "deployment/landfall-operator", "--timeout=120s")


@pytest.fixture(scope="session")
def stage(crds: None, operator_image: str, postgres_image: str) -> Iterator[Namespace]:
    """The namespace that most tests share, with an operator and the PostgreSQL `pg`."""
    here = make_namespace()
    try:
        server = Server(stage=here, name="pg")
        server.install(postgres_image)
        install_operator(here, operator_image)
        server.prepare()
        wait_for_operator(here)
        yield here
    finally:
        delete_namespace(here)


@pytest.fixture(scope="session")
def server(stage: Namespace) -> Server:
    """The PostgreSQL that most tests share: it must not be stopped."""
    return Server(stage=stage, name="pg")


@pytest.fixture(scope="session")
def postgres_host(server: Server) -> str:
    return server.host


@pytest.fixture(scope="session")
def make_database(server: Server) -> MakeDatabase:
    """An empty database on the shared server, with a Secret in the namespace that is given."""
    return lambda namespace: server.create(1, namespace=namespace)[0]


@pytest.fixture
def database(stage: Namespace, make_database: MakeDatabase) -> Database:
    """An empty database of this test's own, with a Secret in the stage."""
    return make_database(stage)


@pytest.fixture
def unique(stage: Namespace) -> Iterator[str]:
    """A name for this test's resources of our kinds: those whose names begin with it are deleted afterwards."""
    name = f"t{uuid.uuid4().hex[:6]}"
    yield name
    delete_named(stage, "migration,credential", name)
    delete_buckets(stage, name)


def delete_migrations(stage: Namespace, prefix: str) -> None:
    delete_named(stage, "migration", prefix)


def delete_named(stage: Namespace, kinds: str, prefix: str) -> None:
    names = stage.kubectl("get", kinds, "-o", "name").split()
    ours = [name for name in names if name.split("/")[1].startswith(prefix)]
    if ours:
        stage.kubectl("delete", "--wait=false", *ours)


@pytest.fixture
def make_stages(request: pytest.FixtureRequest, crds: None, operator_image: str) -> Iterator[MakeStages]:
    """Namespaces, each with an operator of its own; the databases are the shared server's."""
    made: list[Namespace] = []
    request.node.stash[MADE] = made

    def make(count: int) -> list[Namespace]:
        fresh = [make_namespace() for _ in range(count)]
        made.extend(fresh)
        for namespace in fresh:
            install_operator(namespace, operator_image)
        for namespace in fresh:
            wait_for_operator(namespace)
        return fresh

    yield make
    for namespace in made:
        delete_namespace(namespace)


@pytest.fixture
def make_stage(make_stages: MakeStages) -> MakeStage:
    return lambda: make_stages(1)[0]


@pytest.fixture
def own_stage(make_stage: MakeStage) -> Namespace:
    """A namespace with an operator of this test's own, which may be killed."""
    return make_stage()


@pytest.fixture
def own_postgres(stage: Namespace, postgres_image: str) -> Iterator[Server]:
    """A PostgreSQL of this test's own in the stage, which may be stopped."""
    server = Server(stage=stage, name=f"pg-{uuid.uuid4().hex[:6]}")
    server.install(postgres_image)
    server.prepare()
    yield server
    server.uninstall()


def installed(stage: Namespace, name: str, program: Program, image: str) -> Store:
    store = Store(stage=stage, name=name, program=program)
    store.install(image)
    store.prepare()
    return store


@pytest.fixture(scope="session")
def minio(stage: Namespace, minio_image: str) -> Store:
    """The MinIO that most tests share: it must not be stopped."""
    return installed(stage, "minio", "minio", minio_image)


@pytest.fixture(scope="session")
def versitygw(stage: Namespace, versitygw_image: str) -> Store:
    """A store of another make, without accounts or lifecycle, that tests share."""
    return installed(stage, "versitygw", "versitygw", versitygw_image)


@pytest.fixture(scope="session", params=["minio", "versitygw"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each of the shared stores in turn."""
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def own_minio(stage: Namespace, minio_image: str) -> Iterator[Store]:
    """A MinIO of this test's own in the stage, which may be stopped."""
    store = installed(stage, f"minio-{uuid.uuid4().hex[:6]}", "minio", minio_image)
    yield store
    store.uninstall()


@pytest.fixture(scope="session")
def tls_minio(stage: Namespace, minio_image: str, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A shared MinIO that speaks TLS, with a ConfigMap of its name that holds its CA, another, and nonsense."""
    authority, file = Authority.new(), tmp_path_factory.mktemp("tls") / "ca.crt"
    file.write_text(authority.pem)
    store = Store(stage, "minio-tls", ca=str(file))
    certificate, key = authority.certify(store.host)
    files = {"public.crt": certificate, "private.key": key}
    bundles = {"ca.crt": authority.pem, "other.crt": Authority.new().pem, "broken.crt": "no certificate"}
    stage.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{store.name}-certificates"}, "stringData": files},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": store.name}, "data": bundles},
    )
    store.install(minio_image)
    store.prepare()
    return store


@pytest.fixture(scope="session")
def backend_image(once: Once, release: str) -> str:
    tag = f"landfall-backend:{release}"
    once(tag, lambda: build(tag, dockerfile=ROOT / "backend/Dockerfile", context=ROOT))
    return tag


@pytest.fixture(scope="session")
def chart_values(backend_image: str, operator_image: str, postgres_image: str, minio_image: str) -> dict[str, Any]:
    """The umbrella chart's values that name this run's images, for pods that many of fit on a small node."""
    operator, minio, small = split(operator_image), split(minio_image), {"resources": {"requests": {"cpu": "5m"}}}
    return {
        "api": {"image": split(backend_image), **small},
        "migration": small,
        "operator": {"image": operator, **small},
        "postgis": {"image": split(postgres_image), **small},
        "minio": {"image": minio, "command": "minio", "test": {"image": operator}, **small},
    }


def split(image: str) -> dict[str, str]:
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag}
