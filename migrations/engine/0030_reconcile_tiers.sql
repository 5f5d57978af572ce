-- How much a run looked at. Only a full run gives verdicts of entities (`reconcile_verdict`), which
-- is what a cutover asks for; the others are kept and chained all the same.
set local lock_timeout = '10s';

alter table ficus.reconcile_run add column tier text not null default 'full';
alter table ficus.reconcile_run
  add constraint reconcile_run_tier_check check (tier in ('full', 'sample'));
-- Totals, so that a trend needs no bodies.
alter table ficus.reconcile_run
  add column different_rows bigint not null default 0,
  add column in_flight_rows bigint not null default 0;
update ficus.reconcile_run r set different_rows = v.different, in_flight_rows = v.in_flight
  from (select run, sum(different_rows)::bigint as different, sum(in_flight_rows)::bigint as in_flight
        from ficus.reconcile_verdict group by run) v
  where v.run = r.id;
