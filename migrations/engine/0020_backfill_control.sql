-- A backfill may copy a part of a table again, wait when it is asked to, and build indexes last.
set local lock_timeout = '10s';

-- Runs over whole tables, and runs over the rows that an operator chose. Only the former say
-- whether a table is copied.
alter table ficus.backfill_run add column part text;
comment on column ficus.backfill_run.part is
  'Null for whole tables; for a part: "where: " and the operator''s condition, or "keys".';

-- One row while backfills wait, in every process.
create table ficus.backfill_pause (
  only_one boolean not null default true,
  reason text not null,
  actor text not null,
  since timestamptz not null default clock_timestamp(),
  constraint backfill_pause_pkey primary key (only_one),
  constraint backfill_pause_only_one_check check (only_one)
);
grant select on ficus.backfill_pause to ficus_reader;

create function ficus.backfill_pause_audit() returns trigger
language plpgsql set search_path = ficus, pg_catalog as $$
begin
  insert into audit (actor, action, subject, detail) values (
    coalesce(nullif(current_setting('ficus.actor', true), ''), session_user::text),
    case when tg_op = 'INSERT' then 'backfill.paused' else 'backfill.resumed' end, 'backfill',
    jsonb_build_object('reason', coalesce(nullif(current_setting('ficus.reason', true), ''),
      case when tg_op = 'INSERT' then new.reason else old.reason end)));
  return null;
end
$$;
create trigger backfill_pause_audit after insert or delete on ficus.backfill_pause
  for each row execute function ficus.backfill_pause_audit();

-- Who copies now, and what each waits for; told about twice a second.
create table ficus.backfill_process (
  owner text not null,
  run bigint not null,
  readers integer not null,
  holding text not null default '',
  seen_at timestamptz not null default clock_timestamp(),
  constraint backfill_process_pkey primary key (owner)
);
grant select on ficus.backfill_process to ficus_reader;

-- Indexes that were dropped before a load and are built after it. A row goes when its index stands.
create table ficus.deferred_index (
  table_schema text not null,
  table_name text not null,
  index_name text not null,
  definition text not null,
  deferred_at timestamptz not null default clock_timestamp(),
  constraint deferred_index_pkey primary key (table_schema, index_name)
);
grant select on ficus.deferred_index to ficus_reader;
