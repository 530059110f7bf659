# Runs the script $1 with the image's newest psql, pg_dump and pg_restore on PATH.
newest=$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V | tail -n 1)
PATH=${newest:+$newest:}$PATH:/usr/local/bin exec sh "$1"
