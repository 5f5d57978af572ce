-- What `ficus work` needs of the outbox.
--
-- position: the order in which rows were written. Two writers of one entity's events hold its row
--   lock one after the other, so for one aggregate it is the order of the commits. For the table as
--   a whole it is not, and nobody may read "all rows above N".
-- aggregate: the row that the event is of. Its events are delivered one after the other.
-- lease: who has the event. A lease is over at available_at, whatever became of its owner.
-- expires_at: after this instant the event is of no use (a one-time code).
set local lock_timeout = '10s';

alter table outbox
    add column position   bigint generated always as identity,
    add column aggregate  text generated always as (payload ->> 'id') stored,
    add column lease      uuid,
    add column expires_at timestamptz;

drop index outbox_pending_idx;
create index outbox_pending_idx on outbox (topic, available_at, position) where state = 'pending';
create index outbox_aggregate_idx on outbox (aggregate, position)
    where state = 'pending' and aggregate is not null;
create index outbox_dead_idx on outbox (topic, position) where state = 'dead';
create index outbox_done_at_idx on outbox (done_at) where state = 'done';

-- Workers listen. They poll too: a notification reaches only those who are there.
create function outbox_wake() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp
    as $$
    begin
        perform pg_notify('ficus_outbox', '');
        return null;
    end
    $$;
create trigger outbox_wakes after insert on outbox for each statement execute function outbox_wake();

-- The worker's own role drains, and the engine's no more.
drop policy engine_drains on outbox;
revoke all on outbox from ficus_engine;
create policy work_drains on outbox to ficus_work using (true) with check (true);
grant select, insert, update, delete on outbox to ficus_work;
