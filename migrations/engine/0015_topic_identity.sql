-- A topic that was deleted and made anew has the same name and other messages. Offsets alone can't tell:
-- so the last message that is accounted for is remembered, and looked for before reading goes on.
set local lock_timeout = '10s';

alter table ficus.partition add column fingerprint bigint;
comment on column ficus.partition.fingerprint is
  'A hash of the message at next_offset - 1; null where there is no message, or none was read.';
