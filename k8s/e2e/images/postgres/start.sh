set -e
if [ ! -s /data/pg/PG_VERSION ]; then
    rm -rf /data/pg /data/new
    initdb -D /data/new -U postgres -A trust --encoding=UTF8 --locale=C >/dev/null
    echo "host all all all scram-sha-256" >> /data/new/pg_hba.conf
    mv /data/new /data/pg
fi
exec postgres -D /data/pg -k /tmp -c listen_addresses='*' -c fsync=off -c max_connections=400 -c shared_buffers=64MB
