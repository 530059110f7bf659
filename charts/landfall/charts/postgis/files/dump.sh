# Writes one dump of all that the owner has to /work/dump; spatial_ref_sys comes with the extension.
set -eu
pg_dump --format=custom --exclude-schema=postgis_chart --exclude-table-data='*.spatial_ref_sys' --file=/work/dump
pg_restore --list /work/dump >/dev/null
echo "postgis: dumped $PGDATABASE, $(stat -c %s /work/dump) bytes"
