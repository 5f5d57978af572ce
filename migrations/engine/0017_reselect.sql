-- Rows that a change brought without a large value, and that are to be read again for its sake.
set local lock_timeout = '10s';

create table ficus.reselect (
  source_table text not null,
  key bytea not null,
  position bytea not null,
  asked_at timestamptz not null default clock_timestamp(),
  constraint reselect_pkey primary key (source_table, key),
  constraint reselect_position_check check (octet_length(position) = 18)
);
comment on column ficus.reselect.position is
  'Of the newest change that asks for it: only a read that shows this change is an answer.';
grant select on ficus.reselect to ficus_reader;
