-- The login role that a Secret names, in its group; those before it go when their grace is over and nobody uses them.
-- Nothing here may reach a log: it has the password.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET log_error_verbosity = 'terse'; -- without CONTEXT, which has the statement of a function that fails
\set SHOW_CONTEXT never
SET pg_stat_statements.track = 'none';
\set password `printf %s "$PASSWORD"`
SELECT
    set_config('chart.group', :'group', false), set_config('chart.username', :'username', false),
    set_config('chart.password', :'password', false), set_config('chart.known', :'known', false),
    set_config('chart.grace', :'grace', false), set_config('chart.secret', :'secret', false);

DO $$
DECLARE
    group_role text := current_setting('chart.group');
    wanted text := current_setting('chart.username');
    password text := current_setting('chart.password');
    mark text := format('login of "%s"', group_role);
    found text;
    old record;
BEGIN
    IF wanted = '' OR password = '' THEN
        RAISE EXCEPTION 'the Secret of auth.% has an empty username or password: fill it', current_setting('chart.secret');
    END IF;
    SELECT coalesce(shobj_description(oid, 'pg_authid'), '') INTO found FROM pg_roles WHERE rolname = wanted;
    IF found IS NULL THEN
        EXECUTE format('CREATE ROLE %I LOGIN IN ROLE %I PASSWORD %L', wanted, group_role, password);
        -- What a login makes belongs to the group, and so outlives it.
        EXECUTE format('ALTER ROLE %I SET role = %L', wanted, group_role);
        RAISE NOTICE 'login role % was made', wanted;
    ELSIF NOT starts_with(found, mark) THEN
        RAISE EXCEPTION 'the role % exists and is not a login of %: give the Secret of auth.% another username',
            wanted, group_role, current_setting('chart.secret');
    ELSIF current_setting('chart.known') = 'no' THEN
        EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', wanted, password);
        RAISE NOTICE 'login role % has a new password', wanted;
    END IF;
    IF found IS DISTINCT FROM mark THEN
        EXECUTE format('COMMENT ON ROLE %I IS %L', wanted, mark);
    END IF;

    FOR old IN
        SELECT rolname AS name FROM pg_roles
        WHERE rolname <> wanted AND starts_with(shobj_description(oid, 'pg_authid'), mark || ' replaced at ')
            AND split_part(shobj_description(oid, 'pg_authid'), ' replaced at ', 2)::float
                < extract(epoch FROM now()) - current_setting('chart.grace')::float
            AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE usesysid = pg_roles.oid)
    LOOP
        BEGIN
            EXECUTE format('REASSIGN OWNED BY %I TO %I', old.name, group_role);
            EXECUTE format('DROP OWNED BY %I', old.name);
            EXECUTE format('DROP ROLE %I', old.name);
            RAISE NOTICE 'login role % was replaced, is not used any more and was dropped', old.name;
        EXCEPTION WHEN dependent_objects_still_exist THEN
            EXECUTE format('ALTER ROLE %I NOLOGIN', old.name);
            RAISE NOTICE 'login role % was replaced and can log in no more; it owns objects of another database: drop it by hand', old.name;
        END;
    END LOOP;
    FOR old IN SELECT rolname AS name FROM pg_roles WHERE rolname <> wanted AND shobj_description(oid, 'pg_authid') = mark LOOP
        EXECUTE format('COMMENT ON ROLE %I IS %L', old.name, mark || ' replaced at ' || extract(epoch FROM now()));
        RAISE NOTICE 'login role % is replaced by %', old.name, wanted;
    END LOOP;
END $$;
