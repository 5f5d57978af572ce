-- Rows that a soft delete took out of their table (`soft_delete = "archive"`), whole: the columns
-- as the table had them, with the references that the legacy row has lost by then. An entry is as
-- sensitive as the table that it came from, so whoever may read the tables for reports may read
-- it, and the API's role may not.
--
-- One entry for each time that a row went. At most one of them is open ('archived'): the row is
-- away. It ends 'restored' when the row came back, and 'purged' when the legacy row was deleted
-- for good; the entry stays as history either way.
set local lock_timeout = '10s';

create table ficus.archive (
  id bigint generated always as identity,
  entity smallint not null,
  row_id uuid not null,
  key bytea,
  position bytea not null,
  row jsonb not null,
  state text not null default 'archived',
  archived_at timestamptz not null default clock_timestamp(),
  ended_position bytea,
  ended_at timestamptz,
  constraint archive_pkey primary key (id),
  constraint archive_state_check check (state in ('archived', 'restored', 'purged')),
  constraint archive_position_check check (octet_length(position) = 18),
  constraint archive_ended_check
    check ((state = 'archived') = (ended_at is null) and (ended_at is null) = (ended_position is null))
);
create unique index archive_open_key on ficus.archive (entity, row_id) where state = 'archived';
create index archive_row_idx on ficus.archive (entity, row_id, id);

-- History: the engine ends entries, and takes none away.
revoke delete on ficus.archive from ficus_engine;
grant select on ficus.archive to ficus_reader;
