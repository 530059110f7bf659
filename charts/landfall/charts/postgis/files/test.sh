# What `helm test` tries with the application's URLs.
set -eu
ask() { psql -X -At -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

for url in "$URL" ${POOLED_URL:-}; do
    version=$(ask "$url" "SELECT postgis_version()")
    echo "PostGIS $version"
    ! refused=$(ask "$url" "CREATE TABLE not_allowed ()" 2>&1) || { echo "the application may create tables: it must not" >&2; exit 1; }
    case "$refused" in
    *"permission denied"*) echo "the application may not create tables, as it should be" ;;
    *) echo "$refused" >&2; exit 1 ;;
    esac
done
