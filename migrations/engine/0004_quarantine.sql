-- What can't be mapped or written is kept whole, with its position and reason (law 4). The
-- payload may hold personal data: readers of reports don't get it.
set local lock_timeout = '10s';

create table ficus.quarantine (
  id bigint generated always as identity,
  state text not null default 'open',
  source_table text,
  entity smallint,
  key bytea,
  row_id uuid,
  position bytea not null,
  rule text not null,
  source_column text not null default '',
  detail text not null default '',
  payload bytea not null,
  payload_key bytea,
  payload_format text not null,
  topic text,
  partition integer,
  "offset" bigint,
  origin text not null,
  at timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  resolution text,
  constraint quarantine_pkey primary key (id),
  constraint quarantine_state_check check (state in ('open', 'superseded', 'retried', 'discarded')),
  constraint quarantine_position_check check (octet_length(position) = 18),
  constraint quarantine_format_check check (payload_format in ('message', 'row', 'mapped')),
  constraint quarantine_resolved_check check ((state = 'open') = (resolved_at is null))
);
-- A replay brings the same change again: it is one entry.
create unique index quarantine_change_key
  on ficus.quarantine (entity, key, position, source_table, rule) nulls not distinct
  where key is not null;
create unique index quarantine_message_key on ficus.quarantine (topic, partition, "offset")
  where topic is not null and key is null;
create index quarantine_open_row_idx on ficus.quarantine (entity, row_id) where state = 'open';
create index quarantine_state_idx on ficus.quarantine (state, id);

revoke delete on ficus.quarantine from ficus_engine;
grant select (id, state, source_table, entity, key, row_id, position, rule, source_column, detail,
  topic, partition, "offset", origin, at, resolved_at, resolution) on ficus.quarantine to ficus_reader;
