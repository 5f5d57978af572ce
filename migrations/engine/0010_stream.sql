-- Which tables the stream follows. A table that is paused or stopped keeps its place in Kafka: its
-- partitions are not read, the other tables go on. A table without a row is followed.
set local lock_timeout = '10s';

create table ficus.stream_table (
  source_table text not null,
  state text not null default 'following',
  reason text not null default '',
  detail text not null default '',
  remedy text not null default '',
  since timestamptz not null default clock_timestamp(),
  verified_lsn bytea,
  gap_accepted boolean not null default false,
  constraint stream_table_pkey primary key (source_table),
  constraint stream_table_state_check check (state in ('following', 'paused', 'stopped')),
  constraint stream_table_reason_check check ((state = 'following') = (reason = '')),
  constraint stream_table_verified_lsn_check check (octet_length(verified_lsn) = 10)
);
comment on column ficus.stream_table.verified_lsn is
  'No change of the table up to here is missing from Kafka: CDC was asked while it still had them all.';

-- Each step is written down in its own transaction, whoever takes it.
create function ficus.stream_table_audit() returns trigger
language plpgsql set search_path = ficus, pg_catalog as $$
declare
  old_state text := case when tg_op = 'INSERT' then 'following' else old.state end;
begin
  if new.state is distinct from old_state
     or (tg_op = 'UPDATE' and new.reason is distinct from old.reason) then
    insert into audit (actor, action, subject, detail) values (
      coalesce(nullif(current_setting('ficus.actor', true), ''), session_user::text),
      'stream.' || new.state, new.source_table,
      jsonb_build_object('from', old_state, 'to', new.state,
        'because', case when new.reason <> '' then new.reason when tg_op = 'UPDATE' then old.reason end,
        'reason', coalesce(nullif(current_setting('ficus.reason', true), ''), new.detail)));
  end if;
  return null;
end
$$;
create trigger stream_table_audit after insert or update on ficus.stream_table
  for each row execute function ficus.stream_table_audit();

grant select on ficus.stream_table to ficus_reader;

-- Columns of the events that surprised, for status.
create table ficus.stream_drift (
  source_table text not null,
  source_column text not null,
  kind text not null,
  policy text not null,
  events bigint not null default 0,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  first_position bytea not null,
  constraint stream_drift_pkey primary key (source_table, source_column, kind),
  constraint stream_drift_kind_check check (kind in ('unknown', 'missing', 'retyped')),
  constraint stream_drift_position_check check (octet_length(first_position) = 18)
);
grant select on ficus.stream_drift to ficus_reader;

-- Headers belong to the whole message (a renamed key is told by one); how often an entry was tried.
alter table ficus.quarantine
  add column payload_headers bytea,
  add column retries integer not null default 0;
grant select (retries) on ficus.quarantine to ficus_reader;
