-- Verdicts. Each report carries the hash of the one before, so that none can be changed or taken
-- out unnoticed; `ficus report verify` checks the chain without this database.
set local lock_timeout = '10s';

create table ficus.reconcile_run (
  id bigint generated always as identity,
  scope text not null,
  state text not null default 'running',
  mapping_version text not null,
  lsn bytea,
  marker_lsn bytea,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  body text,
  prev_hash bytea,
  hash bytea,
  constraint reconcile_run_pkey primary key (id),
  constraint reconcile_run_state_check check (state in ('running', 'equal', 'different', 'undecided', 'failed')),
  constraint reconcile_run_lsn_check check (octet_length(lsn) = 10),
  constraint reconcile_run_marker_check check (octet_length(marker_lsn) = 10),
  constraint reconcile_run_hash_check check ((hash is null) = (body is null))
);

create table ficus.reconcile_verdict (
  run bigint not null,
  entity text not null,
  verdict text not null,
  lsn bytea,
  legacy_rows bigint not null default 0,
  target_rows bigint not null default 0,
  equal_rows bigint not null default 0,
  different_rows bigint not null default 0,
  in_flight_rows bigint not null default 0,
  quarantined_rows bigint not null default 0,
  ignored_rows bigint not null default 0,
  at timestamptz not null default clock_timestamp(),
  constraint reconcile_verdict_pkey primary key (run, entity),
  constraint reconcile_verdict_run_fkey foreign key (run) references ficus.reconcile_run (id),
  constraint reconcile_verdict_verdict_check check (verdict in ('equal', 'different', 'undecided')),
  constraint reconcile_verdict_equal_check check (verdict <> 'equal' or different_rows = 0),
  constraint reconcile_verdict_lsn_check check (octet_length(lsn) = 10)
);
create index reconcile_verdict_entity_idx on ficus.reconcile_verdict (entity, run);

create table ficus.reconcile_difference (
  id bigint generated always as identity,
  run bigint not null,
  entity text not null,
  row_id uuid,
  key bytea,
  kind text not null,
  columns text[] not null default '{}',
  legacy jsonb,
  target jsonb,
  position bytea,
  constraint reconcile_difference_pkey primary key (id),
  constraint reconcile_difference_run_fkey foreign key (run) references ficus.reconcile_run (id),
  constraint reconcile_difference_kind_check check (kind in ('missing', 'extra', 'changed', 'tampered'))
);
create index reconcile_difference_run_idx on ficus.reconcile_difference (run, entity, id);

grant select, insert, update on ficus.reconcile_run, ficus.reconcile_verdict, ficus.reconcile_difference to ficus_reader;
revoke delete on ficus.reconcile_run, ficus.reconcile_verdict, ficus.reconcile_difference from ficus_engine;
