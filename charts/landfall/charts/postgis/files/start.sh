# Prepares the volume, runs PostgreSQL and tends it. It stays process 1: PostgreSQL there would take SIGTERM as "wait for all
# clients to leave" and adopt strays. Any image with PostgreSQL, PostGIS, psql, df and flock will do.
set -eu

VOLUME=/var/lib/postgis
RUN=/var/run/postgresql
ETC=/etc/postgis
SECRETS=/etc/postgis-secrets
TLS=/etc/postgis-tls
POLL_SECONDS=5
TICKS_PER_ROLE_CHECK=12

export PGDATA="$VOLUME/data" PGHOST="$RUN" PGUSER=postgres
server=
stopping=

say() { echo "postgis: $*"; }

stop() {
    stopping=yes
    [ -z "$server" ] || kill -INT "$server" # fast shutdown
}

# Sets bin and newest: the directory of the newest PostgreSQL of the image, or of the newest of major version $1.
find_server() {
    bin= newest=0
    for directory in $(echo "$PATH" | tr : ' ') /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/bin; do
        [ -x "$directory/postgres" ] && [ -x "$directory/initdb" ] || continue
        major=$("$directory/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        [ "$major" = "${1:-$major}" ] && [ "$major" -gt "$newest" ] || continue
        bin=$directory newest=$major
    done
}

choose_server() {
    held=
    [ ! -s "$PGDATA/PG_VERSION" ] || held=$(cat "$PGDATA/PG_VERSION")
    find_server "$held"
    [ -z "$bin" ] || return 0
    find_server
    if [ -z "$bin" ]; then
        say "this image has no PostgreSQL server on PATH or in /usr/lib/postgresql: set image to one with PostgreSQL and PostGIS"
    else
        say "the volume holds data of PostgreSQL $held and this image has PostgreSQL $newest: refused, nothing was changed." \
            "Set the image back to one of PostgreSQL $held, or move the data: $RUNBOOK"
    fi
    exit 1
}

# A pod that was deleted by force may still run: the kernel drops its lock with its last process.
lock_volume() {
    exec 9>"$VOLUME/lock"
    flock -n 9 && return 0
    say "another PostgreSQL still runs on this volume: waiting for its end"
    flock 9 &
    wait $!
}

# Sets total, free (MiB) and used (percent) of the volume, without what is reserved for root.
measure_volume() {
    set -- $(df -Pk "$VOLUME" | tail -n 1)
    total=$((($3 + $4) / 1024)) free=$(($4 / 1024)) used=$((100 * $3 / ($3 + $4)))
}

# Recovery needs room for WAL, and a full volume has none but this.
spend_ballast() {
    measure_volume
    [ -e "$VOLUME/ballast" ] && [ "$free" -lt "$BALLAST_MIB" ] || return 0
    rm "$VOLUME/ballast"
    say "the volume is full ($free of $total MiB free): $BALLAST_MIB MiB of ballast were given back, so that recovery can end"
}

keep_ballast() {
    [ ! -e "$VOLUME/ballast" ] && [ "$free" -gt $((4 * BALLAST_MIB)) ] || return 0
    # Random, so that a file system that compresses keeps it whole.
    if head -c $((BALLAST_MIB * 1048576)) /dev/urandom >"$VOLUME/ballast.new"; then
        mv "$VOLUME/ballast.new" "$VOLUME/ballast"
    else
        rm -f "$VOLUME/ballast.new"
    fi
}

# What was half made by a start that was killed is thrown away.
init_database() {
    [ ! -s "$PGDATA/PG_VERSION" ] || return 0
    rm -rf "$PGDATA.new"
    # Collation C, so that another base image's libc cannot corrupt an index.
    "$bin/initdb" -D "$PGDATA.new" -U postgres --encoding=UTF8 --locale=C --lc-ctype=C.UTF-8 --data-checksums \
        --auth-local=peer --auth-host=scram-sha-256 >/dev/null
    mv "$PGDATA.new" "$PGDATA"
    sync "$VOLUME"
    say "made the empty data directory of PostgreSQL $newest"
}

least() { [ "$1" -lt "$2" ] && echo "$1" || echo "$2"; }
most() { [ "$1" -gt "$2" ] && echo "$1" || echo "$2"; }

# Of the container's memory limit (MiB): the page cache counts against it, too.
tune() {
    measure_volume
    wal=$(most 64 "$(least 512 $((total / 10)))") # at most what is replayed within seconds after a crash
    cat >"$RUN/tuned.conf" <<END
max_connections = $MAX_CONNECTIONS
shared_buffers = $((MEMORY_MIB / 4))MB
effective_cache_size = $((MEMORY_MIB / 2))MB
maintenance_work_mem = $(most 16 "$(least 1024 $((MEMORY_MIB / 16)))")MB
autovacuum_work_mem = $(most 16 "$(least 512 $((MEMORY_MIB / 32)))")MB
work_mem = $(most 1024 $((MEMORY_MIB * 1024 * 3 / 4 / MAX_CONNECTIONS / 3)))kB
max_wal_size = ${wal}MB
min_wal_size = $(most 32 $((wal / 4)))MB
END
}

# Also where the volume is full and transactions are read-only.
admin() { PGOPTIONS='-c default_transaction_read_only=off' "$bin/psql" -X -q -v ON_ERROR_STOP=1 "$@" 9>&-; }

prepare() {
    admin -d postgres -v database="$DATABASE" -v owner="$OWNER_ROLE" -v app="$APP_ROLE" -v pooler="$POOLER_ROLE" \
        -f "$ETC/prepare.sql" >/dev/null
}

# The login role of the Secret $1 in the group $2; $3: whether the Secret may have changed since the last look.
keep_login() {
    # One directory for both: the kubelet replaces all files of a Secret by one rename.
    directory=$(readlink -f "$SECRETS/$1/..data")
    username=$(cat "$directory/username") password=$(cat "$directory/password")
    known=yes
    # A password that still works stays as it is: a new salt would lock out the pooler until its clients log in again.
    if [ "$3" = changed ]; then
        known=$(admin -d postgres -At -v name="$username" -f - <<END
SELECT 'yes' FROM pg_roles WHERE rolname = :'name' AND rolcanlogin
END
        )
        [ -z "$known" ] || PGPASSWORD=$password "$bin/psql" -X -q -h 127.0.0.1 -U "$username" -d "$DATABASE" -c '' 9>&- || known=
    fi
    PASSWORD=$password admin -d "$DATABASE" -v group="$2" -v username="$username" -v secret="$1" \
        -v known="${known:-no}" -v grace="$LOGIN_GRACE_SECONDS" -f "$ETC/login.sql" >/dev/null
}

keep_logins() {
    keep_login owner "$OWNER_ROLE" "$1" && keep_login app "$APP_ROLE" "$1" || return 1
    [ ! -d "$SECRETS/pgbouncer" ] || keep_login pgbouncer "$POOLER_ROLE" "$1"
}

reload() { kill -HUP "$server"; }

# The last level is left a little below where it began, so that WAL that comes and goes does not flip it.
watch_volume() {
    measure_volume
    level=roomy
    [ "$used" -lt "$WARN_PERCENT" ] || level=low
    [ "$used" -lt "$READ_ONLY_PERCENT" ] || level=full
    [ "$volume" != full ] || [ "$used" -lt $((READ_ONLY_PERCENT - 3)) ] || level=full
    state="the volume is $used % full ($free of $total MiB free)"
    remedy="grow the PersistentVolumeClaim, or delete data (SET default_transaction_read_only = off in that session)"
    case "$volume $level" in
    "full full" | "low low") return 0 ;;
    *" full")
        echo "default_transaction_read_only = on" >"$RUN/volume.conf" && reload
        say "$state: transactions are read-only from $READ_ONLY_PERCENT % on; $remedy"
        ;;
    "full "*)
        : >"$RUN/volume.conf" && reload
        say "$state: transactions may write again"
        ;;
    *" low") say "$state: from $READ_ONLY_PERCENT % on, transactions are read-only; $remedy" ;;
    esac
    volume=$level
    [ "$level" != roomy ] || keep_ballast
}

revision() { for directory in "$SECRETS"/*; do readlink -f "$directory/..data"; done; }

tend() {
    until "$bin/pg_isready" -q -d postgres; do sleep 0.1; done
    volume=roomy tick=0
    watch_volume
    seen=$(revision) certificate=$(readlink -f "$TLS/..data" || true)
    until prepare && keep_logins changed; do
        say "the database could not be prepared, the reason stands above: next attempt in $POLL_SECONDS s"
        sleep "$POLL_SECONDS"
    done
    touch "$RUN/started"
    say "ready"
    while sleep "$POLL_SECONDS"; do
        watch_volume
        tick=$((tick + 1)) now=$(revision)
        if [ "$now" != "$seen" ]; then
            keep_logins changed && seen=$now
        elif [ $((tick % TICKS_PER_ROLE_CHECK)) = 0 ]; then
            keep_logins same || true
        fi
        now=$(readlink -f "$TLS/..data" || true)
        [ "$now" = "$certificate" ] || { certificate=$now && reload && say "took up the renewed certificate"; }
    done
}

trap 'exit 143' TERM INT
choose_server
lock_volume
init_database
tune
trap stop TERM INT

while [ -z "$stopping" ]; do
    spend_ballast
    # The lock tells whether another runs; this file names a process of another container.
    rm -f "$PGDATA/postmaster.pid" "$RUN/started"
    : >"$RUN/volume.conf"
    chmod 700 "$PGDATA"
    "$bin/postgres" -D "$PGDATA" -c config_file="$ETC/postgresql.conf" -c hba_file="$ETC/pg_hba.conf" &
    server=$!
    [ -z "$stopping" ] || kill -INT "$server" # a TERM that came just before
    tend 2>&1 &
    while kill -0 "$server" 2>/dev/null; do
        code=0
        wait "$server" || code=$?
    done
    [ -z "$stopping" ] || exit 0
    # Here and not by the kubelet, which would wait longer after each crash. What never became ready is left to it.
    [ -e "$RUN/started" ] || exit 1
    say "PostgreSQL ended with code $code: starting it again"
    kill -KILL -1 2>/dev/null || true # its orphans, which hold its shared memory
done
