-- What a full run has read of a legacy table: sums over hashes of its rows, no values. A run that was
-- stopped goes on from here, and a later one compares only what has changed since.
set local lock_timeout = '10s';

create table ficus.reconcile_digest (
  run bigint not null,
  source_table text not null,
  mapping_version text not null,
  -- Captured before the first of the table's rows was read; NULL without CDC.
  lsn bytea,
  began_at timestamptz not null,
  complete boolean not null,
  progress jsonb not null,
  sums bytea not null,
  kept_at timestamptz not null default clock_timestamp(),
  constraint reconcile_digest_pkey primary key (run, source_table),
  constraint reconcile_digest_run_fkey foreign key (run) references ficus.reconcile_run (id),
  constraint reconcile_digest_lsn_check check (octet_length(lsn) = 10)
);
create index reconcile_digest_table_idx on ficus.reconcile_digest (source_table, run);
-- Hashes do not get smaller by compression.
alter table ficus.reconcile_digest alter column sums set storage external;

-- Two more tiers.
alter table ficus.reconcile_run drop constraint reconcile_run_tier_check;
alter table ficus.reconcile_run
  add constraint reconcile_run_tier_check check (tier in ('full', 'sample', 'quick', 'since'));

-- Counts readings of single rows that are not chunks: a repair takes a number before it reads. Rows that
-- it writes have the position of that reading, though they may show later changes.
create sequence ficus.repair_serial;

grant select on ficus.reconcile_digest to ficus_reader;
