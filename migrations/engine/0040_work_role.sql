-- The worker's role: it drains the outbox, and reads what its handlers need and nothing more. It
-- can't log in by itself, as the other four, and no role is a member of it but the migrating login,
-- which may take it by SET ROLE. Run as that login, because the owner may not create roles.
set local lock_timeout = '10s';

do $$
begin
  if not exists (select from pg_roles where rolname = 'ficus_work') then
    begin
      create role ficus_work nologin;
    exception when duplicate_object or unique_violation then
      -- Another database's migration made it at the same moment: roles belong to the cluster.
      null;
    end;
  end if;
end
$$;

do $$
declare
  superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
  -- Since 16 a creator is a member of his role without the right to SET it.
  may boolean := case when current_setting('server_version_num')::int >= 160000
    then pg_has_role('ficus_work', 'set') else pg_has_role('ficus_work', 'member') end;
begin
  if superuser or may then
    return;
  end if;
  for attempt in 1..20 loop
    begin
      execute format('grant ficus_work to %I', current_user);
      exit;
    exception when unique_violation or internal_error then
      if attempt = 20 then
        raise;
      end if;
      perform pg_sleep(0.05);
    end;
  end loop;
end
$$;

do $$
begin
  execute format('grant connect on database %I to ficus_work', current_database());
end
$$;

grant usage on schema public to ficus_work;
