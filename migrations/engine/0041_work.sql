-- What the workers write down: each attempt at an event of the outbox, and each time that a cron
-- job was due. The outbox itself is the product's, because its rows are written in the product's
-- transactions.
set local lock_timeout = '10s';

create table ficus.work_run (
  id bigint generated always as identity,
  -- The outbox row. No reference: the row may be swept away before its history is.
  event uuid not null,
  topic text not null,
  attempt integer not null,
  owner text not null,
  -- lost: the process ended, or was too slow, and the event was taken again.
  outcome text not null default 'running',
  -- Never a payload, an address or a header: what kind of failure it was.
  detail text,
  began_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  constraint work_run_pkey primary key (id),
  constraint work_run_outcome_check
    check (outcome in ('running', 'done', 'retry', 'dead', 'lost', 'replayed', 'discarded')),
  constraint work_run_ended_check check ((outcome = 'running') = (ended_at is null))
);
create index work_run_event_idx on ficus.work_run (event, id);
create index work_run_began_at_idx on ficus.work_run (began_at);

-- An instant at which a job was due. Written in the transaction that enqueues the job's events, so
-- each slot's events are there once, whoever came first.
create table ficus.work_slot (
  job text not null,
  due timestamptz not null,
  owner text not null,
  events bigint not null,
  at timestamptz not null default clock_timestamp(),
  constraint work_slot_pkey primary key (job, due)
);

grant usage on schema ficus to ficus_work;
grant select, insert, update, delete on ficus.work_run to ficus_work;
grant select, insert, update (events) on ficus.work_slot to ficus_work;
grant select on ficus.work_run, ficus.work_slot to ficus_reader;
revoke all on ficus.work_run, ficus.work_slot from ficus_engine;
