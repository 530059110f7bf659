# Answers the kubelet: `probe.sh ready` or `probe.sh live`.
for directory in $(echo "$PATH" | tr : ' ') /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/bin; do
    [ -x "$directory/pg_isready" ] || continue
    "$directory/pg_isready" -q -t 2 -d postgres
    code=$?
    # 1: it recovers, or has no room for one more connection. 2: it does not answer, and only then a restart helps.
    [ "$1" = live ] && [ $code = 1 ] && exit 0
    exit $code
done
exit 3
