-- Position commits with the data (law 2): these rows are written in the transaction that writes
-- the rows they account for. last_batch answers "did my COMMIT get through?" after the connection
-- was lost in it.
set local lock_timeout = '10s';

create table ficus.partition (
  consumer_group text not null,
  topic text not null,
  partition integer not null,
  next_offset bigint not null default 0,
  owner_epoch bigint not null default 1,
  owner text not null default '',
  commit_lsn bytea,
  source_ts_ms bigint,
  last_batch uuid,
  updated_at timestamptz not null default clock_timestamp(),
  constraint partition_pkey primary key (consumer_group, topic, partition),
  constraint partition_next_offset_check check (next_offset >= 0)
) with (fillfactor = 50);

-- Offsets only go forward. (A replay from an older offset is a deliberate reset, under the owner.)
create function ficus.partition_guard() returns trigger
language plpgsql set search_path = ficus, pg_catalog as $$
begin
  if new.next_offset < old.next_offset
     and coalesce(current_setting('ficus.allow_rewind', true), '') <> 'on' then
    raise exception 'the offset of %/% can not go back from % to %',
      new.topic, new.partition, old.next_offset, new.next_offset using errcode = '55000';
  end if;
  return new;
end
$$;
create trigger partition_guard before update on ficus.partition
  for each row execute function ficus.partition_guard();

-- All changes up to lsn are below these offsets.
create table ficus.fence (
  consumer_group text not null,
  lsn bytea not null,
  topic text not null,
  partition integer not null,
  end_offset bigint not null,
  seen_at timestamptz not null default clock_timestamp(),
  constraint fence_pkey primary key (consumer_group, lsn, topic, partition),
  constraint fence_lsn_check check (octet_length(lsn) = 10)
);

create table ficus.backfill_run (
  id bigint generated always as identity,
  mapping_version text not null,
  state text not null default 'running',
  options jsonb not null default '{}',
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  constraint backfill_run_pkey primary key (id),
  constraint backfill_run_state_check check (state in ('running', 'done', 'abandoned'))
);

-- Bounds and last_key are in the chunk's own encoding (a canonical key with unfolded text).
create table ficus.backfill_chunk (
  id bigint generated always as identity,
  run bigint not null,
  source_table text not null,
  number integer not null,
  after_key bytea,
  up_to_key bytea,
  state text not null default 'ready',
  owner text not null default '',
  owner_epoch bigint not null default 0,
  lease_until timestamptz,
  lease_ms bigint not null default 60000,
  last_key bytea,
  rows bigint not null default 0,
  low_watermark bytea,
  high_watermark bytea,
  attempts integer not null default 0,
  last_error text,
  last_batch uuid,
  updated_at timestamptz not null default clock_timestamp(),
  constraint backfill_chunk_pkey primary key (id),
  constraint backfill_chunk_number_key unique (run, source_table, number),
  constraint backfill_chunk_run_fkey foreign key (run) references ficus.backfill_run (id),
  constraint backfill_chunk_state_check check (state in ('ready', 'running', 'done')),
  constraint backfill_chunk_low_watermark_check check (octet_length(low_watermark) = 10),
  constraint backfill_chunk_high_watermark_check check (octet_length(high_watermark) = 10)
) with (fillfactor = 70);
create index backfill_chunk_claim_idx on ficus.backfill_chunk (run, state, id);

grant select on ficus.partition, ficus.fence, ficus.backfill_run, ficus.backfill_chunk to ficus_reader;
