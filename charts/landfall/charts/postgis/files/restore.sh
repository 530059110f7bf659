# Puts the database back to the dump /work/dump, in one transaction: it fails and changes nothing, or all is as it was.
set -eu
psql() { command psql -X -q -v ON_ERROR_STOP=1 "$@"; }

tables=$(psql -At -c "SELECT count(*) FROM pg_class WHERE relowner = current_role::regrole")
if [ "$tables" != 0 ] && [ "$RESTORE_OVERWRITE" != yes ]; then
    echo "postgis: the database $PGDATABASE is not empty ($tables relations): refused, nothing was changed." \
        "Set RESTORE_OVERWRITE=yes to replace all that it holds by the dump" >&2
    exit 1
fi
# Reads all of the dump: what is damaged must show before anything is dropped.
pg_restore --file=/dev/null /work/dump
# The extension and the event trigger are the superuser's, and stay.
pg_restore --list /work/dump | grep -Ev '^[0-9]+; [0-9]+ [0-9]+ (EXTENSION|COMMENT - EXTENSION|EVENT TRIGGER) ' >/work/list
{
    echo "BEGIN; SET LOCAL client_min_messages = warning; DROP OWNED BY CURRENT_ROLE;"
    # Without COMMIT, all is rolled back.
    pg_restore --no-owner --use-list=/work/list --file=- /work/dump && echo "COMMIT;" && : >/work/whole
} | psql >/dev/null
# psql takes an early end of its input for a good one.
if [ ! -e /work/whole ]; then
    echo "postgis: reading the dump broke off: nothing was changed. Is the memory limit too small? Run the restore again" >&2
    exit 1
fi
psql -c "SET client_min_messages = error" -c "ANALYZE"
echo "postgis: restored $PGDATABASE, $(psql -At -c "SELECT count(*) FROM pg_class WHERE relowner = current_role::regrole") relations"
