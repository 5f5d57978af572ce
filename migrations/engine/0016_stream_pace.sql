-- How far behind the stream is, hop by hop, for status and metrics.
set local lock_timeout = '10s';

-- When Kafka got the newest applied change, and when it was applied.
alter table ficus.partition
  add column kafka_ts_ms bigint,
  add column applied_at timestamptz;

-- What a consumer knows of Kafka and Postgres can't: told every other second, in rows of their own,
-- so that nobody waits for a batch's lock. Telemetry: nothing is decided by it.
create table ficus.partition_lag (
  consumer_group text not null,
  topic text not null,
  partition integer not null,
  source_table text,
  end_offset bigint not null,
  messages_per_second double precision not null,
  told_at timestamptz not null default clock_timestamp(),
  constraint partition_lag_pkey primary key (consumer_group, topic, partition)
) with (fillfactor = 50);
grant select on ficus.partition_lag to ficus_reader;
