-- Document numbers that the legacy side has given, by the sequence that goes on with them. The
-- highest is written in the transaction of the rows that were read (law 2), whatever became of
-- the rows; at a cutover the sequence is set above it.
set local lock_timeout = '10s';

create table ficus.sequence (
  id integer generated always as identity,
  name text not null,
  -- From where and how the numbers are read. Each definition has its own row: what was read by one
  -- may be no number at all by another.
  definition text not null,
  -- When it became the one in force. A copy that is older has not been read by it.
  defined_at timestamptz not null default clock_timestamp(),
  highest bigint,
  highest_entity smallint,
  highest_key bytea,
  updated_at timestamptz not null default clock_timestamp(),
  constraint sequence_pkey primary key (id),
  constraint sequence_definition_key unique (name, definition),
  constraint sequence_highest_check
    check ((highest is null) = (highest_entity is null) and (highest is null) = (highest_key is null))
);

-- Rows whose value is of no form that the mapping names: nobody can say which number they gave.
create table ficus.sequence_unread (
  sequence integer not null,
  entity smallint not null,
  key bytea not null,
  position bytea not null,
  at timestamptz not null default clock_timestamp(),
  constraint sequence_unread_pkey primary key (sequence, entity, key),
  constraint sequence_unread_position_check check (octet_length(position) = 18)
);
create index sequence_unread_entity_idx on ficus.sequence_unread (entity, key);

grant select on ficus.sequence, ficus.sequence_unread to ficus_reader;
