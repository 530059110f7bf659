"""The PostGIS chart on a cluster: its roles and edges, and what it survives."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from certificates import Authority
from cluster import ClusterError, Namespace, until
from conftest import build
from credentials import held, rotated
from postgis import GRACE_SECONDS, UID, Postgis, image_value, resources

RECOVERY_SECONDS = 10
ROWS = 300_000
# Until the kubelet gives a pod a Secret's new content, and until the server looks at its roles again.
ROTATION_SECONDS = 180


@pytest.fixture(scope="module")
def postgis(stage: Namespace, postgres_image: str) -> Iterator[Postgis]:
    """A release that the tests of this file share, with a pooler and a table of the owner's."""
    bouncer = {"enabled": True, "image": image_value(postgres_image), "resources": resources("64Mi")}
    found = Postgis.new(stage, postgres_image, pgbouncer=bouncer)
    try:
        found.release.install()
        found.start_client(postgres_image)
        found.sql("CREATE TABLE sites (id bigint PRIMARY KEY, geom geometry)", url="$OWNER_URL")
        yield found
    finally:
        found.uninstall()


def test_the_release_s_own_test_passes(postgis: Postgis) -> None:
    assert "PostGIS 3" in postgis.release.test().words


def test_the_application_writes_rows_and_makes_no_tables_that_stay(postgis: Postgis) -> None:
    assert postgis.sql("INSERT INTO sites VALUES (-1, ST_Point(1, 2)) RETURNING id") == "-1"
    assert "permission denied for schema public" in postgis.refused("CREATE TABLE mine ()")
    assert "must be owner" in postgis.refused("ALTER TABLE sites ADD COLUMN more text")
    assert postgis.sql("CREATE TEMP TABLE mine AS SELECT 1 AS id; SELECT id FROM mine") == "1"


def test_the_application_reads_the_revision_and_cannot_change_it(postgis: Postgis) -> None:
    postgis.sql(
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);INSERT INTO alembic_version VALUES ('a1')",
        url="$OWNER_URL",
    )
    assert postgis.sql("SELECT version_num FROM alembic_version") == "a1"
    assert "permission denied" in postgis.refused("UPDATE alembic_version SET version_num = 'b2'")
    assert "permission denied" in postgis.refused("DELETE FROM alembic_version")


def test_what_a_login_makes_belongs_to_its_group(postgis: Postgis) -> None:
    assert postgis.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'sites'") == "landfall_owner"


def test_only_the_extension_postgis_is_there(postgis: Postgis) -> None:
    assert postgis.superuser("SELECT string_agg(extname, ' ' ORDER BY 1) FROM pg_extension") == "plpgsql postgis"


def test_the_superuser_cannot_come_by_the_network(postgis: Postgis) -> None:
    assert "no pg_hba.conf entry" in postgis.refused(
        "SELECT 1", url=f"host={postgis.name} user=postgres dbname=landfall"
    )


def test_only_clients_reach_the_server_and_the_pooler(postgis: Postgis, postgres_image: str) -> None:
    postgis.start_client(postgres_image, "stranger", labelled=False)
    for url in ("$URL", "$POOLED_URL"):
        assert postgis.sql("SELECT 1", url=url) == "1"
        assert "timeout expired" in postgis.refused("SELECT 1", url=url, of="stranger", patience=3)


def test_the_server_itself_reaches_nothing(postgis: Postgis) -> None:
    reach = 'timeout 5 bash -c "</dev/tcp/$KUBERNETES_SERVICE_HOST/443" && echo reached'
    assert postgis.ask(reach) == "reached"
    assert postgis.inside(reach, check=False) == ""


def test_no_password_reaches_a_log(postgis: Postgis) -> None:
    logs = postgis.logs() + postgis.stage.kubectl("logs", f"deploy/{postgis.name}-pgbouncer")
    for login in ("owner", "app", "pgbouncer"):
        assert not logs.count(held(postgis.stage, f"{postgis.name}-{login}")["password"]), login


def test_a_rotated_password_is_taken_up_while_the_old_one_works(postgis: Postgis) -> None:
    old = postgis.sql("SELECT session_user")
    credential = f"{postgis.name}-app"
    loop = (
        "while [ ! -e /tmp/enough ]; do for url in $URL $POOLED_URL; do"
        " PGCONNECT_TIMEOUT=20 psql -X -qAt -d $url -c 'SELECT 1' 2>&1; done; done"
    )
    command = ["kubectl", "-n", postgis.stage.name, "exec", f"{postgis.release.name}-client", "--", "sh", "-c", loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        rotated(postgis.stage, credential, "1")
        fresh = held(postgis.stage, credential)
        postgis.stage.hasten_secrets(postgis.pod)

        def accepted() -> bool:
            try:
                users = [postgis.sql("SELECT session_user", url=fresh[key]) for key in ("url", "pooled-url")]
            except ClusterError:
                return False
            return users == [fresh["username"]] * 2

        try:
            until(accepted, seconds=ROTATION_SECONDS, what="the new login is accepted, directly and by the pooler")
        finally:
            postgis.ask("touch /tmp/enough")
        assert set(load.communicate()[0].split()) == {"1"}
    assert fresh["username"] != old
    postgis.stage.kubectl("rollout", "restart", f"deployment/{postgis.name}-pgbouncer")  # it holds old connections
    until(
        lambda: "was dropped" in postgis.logs(),
        seconds=GRACE_SECONDS + ROTATION_SECONDS,
        what="the old login goes when nobody uses it",
    )
    assert postgis.superuser(f"SELECT count(*) FROM pg_roles WHERE rolname = '{old}'") == "0"


@pytest.fixture
def fresh_rows(postgis: Postgis, postgres_image: str) -> str:
    """A table with rows that no checkpoint has written, and a client that goes on writing."""
    # The Secret may have another login than when the client started.
    postgis.stage.kubectl("delete", "pod", f"{postgis.release.name}-client")
    postgis.start_client(postgres_image)
    postgis.superuser("CHECKPOINT")
    postgis.sql("DROP TABLE IF EXISTS fresh, acknowledged; CREATE TABLE acknowledged (id int)", url="$OWNER_URL")
    postgis.sql(
        "CREATE TABLE fresh AS SELECT id, ST_Point(id % 180, id % 90) AS geom, md5(id::text) AS note"
        f" FROM generate_series(1, {ROWS}) AS id; CREATE INDEX ON fresh USING gist (geom)",
        url="$OWNER_URL",
    )
    writer = (
        "rm -f /tmp/acknowledged; i=0; while :; do i=$((i + 1));"
        ' PGCONNECT_TIMEOUT=1 psql -X -q -d "$URL" -c "INSERT INTO acknowledged VALUES ($i)" 2>/dev/null'
        " && echo $i >>/tmp/acknowledged; done"
    )
    postgis.ask(f"nohup sh -c '{writer}' >/dev/null 2>&1 &")
    until(lambda: postgis.ask("wc -l < /tmp/acknowledged", check=False) not in {"", "0"}, seconds=20, what="writes")
    return "fresh"


KILLS = {
    "the server": ("exec", "POD", "--", "sh", "-c", "kill -9 $(head -n 1 /var/lib/postgis/data/postmaster.pid)"),
    "the pod": ("delete", "pod", "POD", "--force", "--grace-period=0"),
}


@pytest.mark.alone
@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_kill_loses_no_acknowledged_write_and_is_over_in_seconds(
    postgis: Postgis, fresh_rows: str, kill: tuple[str, ...]
) -> None:
    postgis.stage.kubectl(*(part.replace("POD", postgis.pod) for part in kill))
    assert postgis.recovery_seconds() < RECOVERY_SECONDS
    postgis.ask("for p in /proc/[0-9]*; do grep -qs acknowledged $p/cmdline && kill ${p#/proc/}; done", check=False)
    acknowledged = set(postgis.ask("cat /tmp/acknowledged").split())
    assert acknowledged <= set(postgis.sql("SELECT id FROM acknowledged").split())
    assert postgis.sql(f"SELECT count(*) FROM {fresh_rows}") == str(ROWS)


def test_another_major_version_is_refused_and_the_data_is_as_it_was(
    postgis: Postgis, newer_postgres_image: str
) -> None:
    rows = "SELECT count(*) FROM sites"
    before = postgis.superuser(rows)
    outcome = postgis.release.try_upgrade({"image": image_value(newer_postgres_image)}, wait=False)
    assert outcome.code == 0, outcome.words

    def refusal() -> str | None:
        printed = postgis.logs()
        return printed if "refused, nothing was changed" in printed else None

    printed = until(refusal, seconds=60, what="the refusal")  # read once: the container tries again, with a new log
    assert "the volume holds data of PostgreSQL 15 and this image has PostgreSQL 99" in printed
    assert "docs/how-to/charts/postgres-major-version.md" in printed
    postgis.release.upgrade()
    assert postgis.superuser(rows) == before


@pytest.fixture(scope="module")
def newer_postgres_image(postgres_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same server under another number."""
    context = tmp_path_factory.mktemp("newer")
    (context / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n")
    (context / "postgres").chmod(0o755)
    lines = [
        f"FROM {postgres_image}",
        "USER root",
        "RUN cd /usr/lib/postgresql && mv 15 99 && ln -sfn 99/bin bin",
        "COPY postgres /usr/lib/postgresql/99/bin/postgres",
        f"USER {UID}",
    ]
    (context / "Dockerfile").write_text("\n".join(lines))
    tag = f"{postgres_image}-newer"
    build(tag, dockerfile=context / "Dockerfile", context=context)
    return tag


def test_a_first_start_that_is_killed_is_begun_anew(stage: Namespace, postgres_image: str) -> None:
    postgis = Postgis.new(stage, postgres_image)
    try:
        postgis.release.try_upgrade(wait=False)
        half_made = "test -d /var/lib/postgis/data.new && echo yes"
        until(lambda: postgis.inside(half_made, check=False) == "yes", seconds=60, what="initdb has begun")
        postgis.inside("kill -KILL -1", check=False)  # all but the first process, which the kernel spares
        postgis.release.install()
        postgis.release.test()
    finally:
        postgis.uninstall()


def test_a_volume_that_fills_up_is_told_then_read_only_and_writable_again(
    stage: Namespace, postgres_image: str
) -> None:
    small = {"enabled": False, "medium": "Memory", "size": "400Mi"}
    disk = {"warnPercent": 50, "readOnlyPercent": 70, "ballastMiB": 32}
    postgis = Postgis.new(stage, postgres_image, persistence=small, resources=resources("1Gi"), disk=disk)
    try:
        postgis.release.install()
        postgis.start_client(postgres_image)
        postgis.sql("CREATE TABLE rows (id int)", url="$OWNER_URL")
        fill = "head -c {} /dev/zero > /var/lib/postgis/{}"
        postgis.inside(fill.format("120M", "a"))
        until(lambda: "from 70 % on, transactions are read-only" in postgis.logs(), seconds=20, what="the warning")
        postgis.sql("INSERT INTO rows VALUES (1)")
        postgis.inside(fill.format("80M", "b"))
        until(lambda: "transactions are read-only from 70 % on" in postgis.logs(), seconds=20, what="read-only")
        assert "read-only transaction" in postgis.refused("INSERT INTO rows VALUES (2)")

        # The last byte, and a crash: the ballast lets recovery end.
        postgis.inside(fill.format("1G", "c"), check=False)
        postgis.inside("kill -9 $(head -n 1 /var/lib/postgis/data/postmaster.pid)")
        until(lambda: "ballast were given back" in postgis.logs(), seconds=20, what="the ballast is given back")
        until(postgis.answers, seconds=30, what="it answers again")
        assert postgis.sql("SELECT count(*) FROM rows") == "1"

        postgis.inside("rm /var/lib/postgis/[abc]")
        until(lambda: "transactions may write again" in postgis.logs(), seconds=20, what="it is writable again")
        postgis.sql("INSERT INTO rows VALUES (3)")
    finally:
        postgis.uninstall()


def test_tls_is_required_and_a_renewed_certificate_is_taken_up(stage: Namespace, postgres_image: str) -> None:
    bouncer = {"enabled": True, "image": image_value(postgres_image), "resources": resources("64Mi")}
    postgis = Postgis.new(stage, postgres_image, pgbouncer=bouncer)
    authority, secret = Authority.new(), f"{postgis.name}-tls"

    def certify() -> None:
        certificate, key = authority.certify(f"{postgis.name}.{stage.name}.svc")
        data = {"tls.crt": certificate, "tls.key": key}
        stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": data})

    certify()
    try:
        postgis.release.install({"tls": {"enabled": True, "required": True, "secretName": secret}})
        postgis.start_client(postgres_image)
        assert "SSL connection" in postgis.sql("\\conninfo")
        assert "SSL required" in postgis.refused("SELECT 1", url="${POOLED_URL%%\\?*}?sslmode=disable")
        assert postgis.sql("SELECT 1", url="$POOLED_URL") == "1"
        assert "no encryption" in postgis.refused("SELECT 1", url="${URL%%\\?*}?sslmode=disable")
        postgis.ask(f"cat > /tmp/ca.crt <<'END'\n{authority.pem}END")
        assert postgis.sql("SELECT 1", url="${URL%%\\?*}?sslmode=verify-full&sslrootcert=/tmp/ca.crt") == "1"
        postgis.release.test()
        certify()
        stage.hasten_secrets(postgis.pod)
        until(lambda: "took up the renewed certificate" in postgis.logs(), seconds=ROTATION_SECONDS, what="the renewal")
        assert "SSL connection" in postgis.sql("\\conninfo")
    finally:
        postgis.uninstall()
        stage.kubectl("delete", "secret", secret)
