-- The group roles, the database and what the superuser alone can make in it; changes nothing where all is there.
SELECT format('CREATE ROLE %I NOLOGIN', role)
FROM unnest(ARRAY[:'owner', :'app', :'pooler']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

\connect :"database"
SET client_min_messages = warning;
BEGIN;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"app", :"pooler";
-- Imports go through a temporary table.
GRANT TEMPORARY ON DATABASE :"database" TO :"app";
-- Before PostgreSQL 15, public is the superuser's and everybody may create in it.
ALTER SCHEMA public OWNER TO pg_database_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SCHEMAS TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT SELECT, USAGE ON SEQUENCES TO :"app";

CREATE EXTENSION IF NOT EXISTS postgis;
SELECT 'ALTER EXTENSION postgis UPDATE' FROM pg_available_extensions
WHERE name = 'postgis' AND installed_version <> default_version \gexec

-- What backups leave out.
CREATE SCHEMA IF NOT EXISTS postgis_chart;

-- Only a migration may say which revision the schema has: default privileges would let the application, too.
SELECT format($make$
    CREATE OR REPLACE FUNCTION postgis_chart.protect_alembic_version() RETURNS event_trigger LANGUAGE plpgsql AS $body$
    DECLARE made text;
    BEGIN
        FOR made IN
            SELECT object_identity FROM pg_event_trigger_ddl_commands()
            WHERE object_type = 'table' AND object_identity LIKE '%%.alembic\_version'
        LOOP
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %%s FROM %%I', made, %L);
        END LOOP;
    END $body$
$make$, :'app') \gexec
SELECT 'CREATE EVENT TRIGGER protect_alembic_version ON ddl_command_end WHEN TAG IN (''CREATE TABLE'')
    EXECUTE FUNCTION postgis_chart.protect_alembic_version()'
WHERE NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'protect_alembic_version') \gexec

-- What PgBouncer asks for a login role of the application.
SELECT format($make$
    CREATE OR REPLACE FUNCTION postgis_chart.find_login(name text) RETURNS TABLE (username text, password text)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $body$
        SELECT rolname::text, rolpassword FROM pg_authid
        WHERE rolname = $1 AND rolcanlogin AND NOT rolsuper AND pg_has_role(oid, %L, 'member')
    $body$
$make$, :'app') \gexec
REVOKE EXECUTE ON FUNCTION postgis_chart.find_login FROM PUBLIC;
GRANT USAGE ON SCHEMA postgis_chart TO :"pooler";
GRANT EXECUTE ON FUNCTION postgis_chart.find_login TO :"pooler";
COMMIT;
