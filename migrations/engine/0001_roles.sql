-- Who may do what. Four roles, none of which can log in by itself: a login of the installation
-- is made a member of the one that it needs, so passwords stay out of the migrations.
--   ficus_owner   owns every table; runs migrations and the seal of a cutover.
--   ficus_engine  writes migrated tables through the one way in; no DDL, no TRUNCATE.
--   ficus_api     serves requests under row-level security; what it may touch is granted table
--                 by table in the product's migrations, never by default.
--   ficus_reader  reads, for reconcile and reports; never the payloads of the quarantine.
-- Roles belong to the cluster, which several databases may share, so another database's
-- migration may make them at the same moment: both duplicate_object and unique_violation mean
-- "it is there now".
set local lock_timeout = '10s';

do $$
declare
  wanted text;
begin
  foreach wanted in array array['ficus_owner', 'ficus_engine', 'ficus_api', 'ficus_reader'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      begin
        execute format('create role %I nologin', wanted);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end
$$;

-- The migrating login becomes a member of the owner, and the owner of the engine and the reader:
-- policies "to ficus_engine" then let the seal see every row although row-level security is
-- forced on the owner too.
do $$
declare
  grants text[][] := array[
    array['ficus_engine', 'ficus_owner'],
    array['ficus_reader', 'ficus_owner'],
    array['ficus_owner', current_user::text],
    array['ficus_engine', current_user::text],
    array['ficus_api', current_user::text],
    array['ficus_reader', current_user::text]];
  pair text[];
  superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
begin
  foreach pair slice 1 in array grants loop
    continue when pair[2] = current_user and superuser;
    -- Since 16 a creator is a member of his role without the right to SET it.
    continue when case when current_setting('server_version_num')::int >= 160000
      then pg_has_role(pair[2], pair[1], 'set') else pg_has_role(pair[2], pair[1], 'member') end;
    -- Two grants of one role at the same moment: "tuple concurrently updated" (XX000) or a
    -- duplicate in pg_auth_members.
    for attempt in 1..20 loop
      begin
        execute format('grant %I to %I', pair[1], pair[2]);
        exit;
      exception when unique_violation or internal_error then
        if attempt = 20 then
          raise;
        end if;
        perform pg_sleep(0.05);
      end;
    end loop;
  end loop;
end
$$;

do $$
begin
  execute format('grant connect, create, temporary on database %I to ficus_owner', current_database());
  execute format('grant connect, temporary on database %I to ficus_engine', current_database());
  execute format('grant connect on database %I to ficus_api, ficus_reader', current_database());
end
$$;

-- The schema was made by the migrator's bootstrap, together with its own table.
alter schema ficus owner to ficus_owner;
alter table ficus.migration owner to ficus_owner;
grant usage on schema ficus to ficus_engine, ficus_api, ficus_reader;
grant usage, create on schema public to ficus_owner;
grant usage on schema public to ficus_engine, ficus_api, ficus_reader;

-- From here on everything is made by ficus_owner (`set role` by the migrator), so these defaults
-- hold for all tables to come, the product's included.
alter default privileges for role ficus_owner grant select, insert, update, delete on tables to ficus_engine;
alter default privileges for role ficus_owner grant usage, select on sequences to ficus_engine;
alter default privileges for role ficus_owner grant usage on schemas to ficus_engine, ficus_reader;
alter default privileges for role ficus_owner in schema public grant select on tables to ficus_reader;
