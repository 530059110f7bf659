# Runs PgBouncer with the login that it asks PostgreSQL for passwords with, and takes up a new one. It stays process 1.
set -eu

RUN=/run/pgbouncer
SECRET=/etc/pgbouncer-secret
TLS=/etc/pgbouncer-tls
POLL_SECONDS=5
# PostgreSQL's pod sees a new Secret up to two minutes after this one; the old login works meanwhile.
DELAY_TICKS=36

configure() {
    directory=$(readlink -f "$SECRET/..data")
    username=$(cat "$directory/username")
    (umask 077 && printf '"%s" "%s"\n' "$username" "$(cat "$directory/password")" >"$RUN/users")
    { cat /etc/pgbouncer/pgbouncer.ini && echo "auth_user = $username" && prepared; } >"$RUN/pgbouncer.ini"
}

# Known from PgBouncer 1.21 on; without it, a client must not prepare statements by name.
prepared() {
    case "$(pgbouncer --version)" in
    "PgBouncer 1.18"* | "PgBouncer 1.19"* | "PgBouncer 1.20"*) ;;
    *) echo "max_prepared_statements = 200" ;;
    esac
}

tend() {
    seen=$(readlink -f "$SECRET/..data") certificate=$(readlink -f "$TLS/..data" || true) ticks=0
    while sleep "$POLL_SECONDS"; do
        [ "$(readlink -f "$SECRET/..data")" = "$seen" ] || ticks=$((ticks + 1))
        if [ "$ticks" -gt "$DELAY_TICKS" ]; then
            seen=$(readlink -f "$SECRET/..data") ticks=0
            configure && kill -HUP "$pooler"
            echo "pgbouncer: took up a new login"
        fi
        now=$(readlink -f "$TLS/..data" || true)
        [ "$now" = "$certificate" ] || { certificate=$now && kill -HUP "$pooler" && echo "pgbouncer: took up the renewed certificate"; }
    done
}

pooler=
configure
# INT ends PgBouncer when all servers are released, TERM at once.
trap '[ -z "$pooler" ] || kill -INT "$pooler"' TERM INT
pgbouncer "$RUN/pgbouncer.ini" &
pooler=$!
tend &
while kill -0 "$pooler" 2>/dev/null; do
    code=0
    wait "$pooler" || code=$?
done
exit "$code"
