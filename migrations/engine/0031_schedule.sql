-- Reports by the clock. A slot is an instant at which a job was due; each is done once, by whoever
-- takes it first, and a slot that nobody took in time is written down as missed.
set local lock_timeout = '10s';

create table ficus.schedule_slot (
  job text not null,
  due timestamptz not null,
  state text not null,
  owner text not null,
  run bigint,
  detail text,
  began_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  constraint schedule_slot_pkey primary key (job, due),
  constraint schedule_slot_run_fkey foreign key (run) references ficus.reconcile_run (id),
  constraint schedule_slot_state_check
    check (state in ('running', 'equal', 'different', 'undecided', 'failed', 'missed')),
  constraint schedule_slot_ended_check check ((state = 'running') = (ended_at is null))
);

grant select on ficus.schedule_slot to ficus_reader;
revoke delete on ficus.schedule_slot from ficus_engine;
