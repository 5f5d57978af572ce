-- How many partitions each topic had when a consumer last looked. With more of them the keys of rows
-- move, and a row's changes are in order no more: whoever sees more than what stands here stops the
-- tables for which that matters.
set local lock_timeout = '10s';

create table ficus.topic (
  consumer_group text not null,
  topic text not null,
  partitions integer not null,
  constraint topic_pkey primary key (consumer_group, topic),
  constraint topic_partitions_check check (partitions > 0)
);
insert into ficus.topic
  select consumer_group, topic, max(partition) + 1 from ficus.partition group by 1, 2;
grant select on ficus.topic to ficus_reader;

-- What a chunk was read after heals what came before.
alter table ficus.backfill_chunk add column begun_at timestamptz;
comment on column ficus.backfill_chunk.begun_at is
  'Before its first row was read; null where it was not begun yet.';
