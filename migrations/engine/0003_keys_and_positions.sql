-- Keys are minted once (law 6) and every row knows its source (law 3).
set local lock_timeout = '10s';

-- Postgres's own number for each entity of the mapping files: numbers in the files change when
-- an entity is added, these never do.
create table ficus.entity (
  id smallint generated always as identity,
  name text not null,
  domain text not null,
  target_schema text not null,
  target_table text not null,
  constraint entity_pkey primary key (id),
  constraint entity_name_key unique (name),
  constraint entity_domain_fkey foreign key (domain) references ficus.domain (name)
);

-- No foreign key to entity: it would cost a look-up for each of millions of rows, and only the
-- key registry writes here.
create table ficus.key_map (
  entity smallint not null,
  key bytea not null,
  id uuid not null,
  constraint key_map_pkey primary key (entity, key),
  constraint key_map_id_key unique (id)
);
comment on table ficus.key_map is
  'Canonical legacy key -> UUID v7. A key without a row is the reservation of a parent that a child named first.';

-- A delete that came first must also win against an older row that comes later (a backfill that
-- read the row before it was deleted).
create table ficus.tombstone (
  entity smallint not null,
  id uuid not null,
  position bytea not null,
  constraint tombstone_pkey primary key (entity, id),
  constraint tombstone_position_check check (octet_length(position) = 18)
);
-- Reconcile asks for those after a position.
create index tombstone_entity_position_idx on ficus.tombstone (entity, position);

-- Stored fields are COPY BINARY field bodies; the shape says of which columns. Bytes of another
-- shape (the mapping was changed meanwhile) are never applied.
create table ficus.shape (
  id integer generated always as identity,
  entity smallint not null,
  part smallint not null,
  columns text not null,
  constraint shape_pkey primary key (id),
  constraint shape_columns_key unique (entity, part, columns)
);

-- Entities made of several legacy tables: each table's share of the row, from which the row is
-- composed. The parts are the truth; the row is derived from them in the same transaction.
create table ficus.part (
  entity smallint not null,
  id uuid not null,
  part smallint not null,
  position bytea not null,
  state text not null,
  shape integer not null,
  fields bytea,
  constraint part_pkey primary key (entity, id, part),
  constraint part_position_check check (octet_length(position) = 18),
  constraint part_state_check check (state in ('live', 'soft_deleted', 'gone')),
  constraint part_fields_check check ((fields is null) = (state = 'gone'))
);

-- Updates without their LOBs whose row is not there yet, or waits behind a quarantined change.
create table ficus.parked (
  entity smallint not null,
  id uuid not null,
  part smallint not null,
  position bytea not null,
  soft_deleted boolean not null,
  unchanged bigint not null,
  shape integer not null,
  fields bytea not null,
  source_table text not null,
  origin text not null,
  parked_at timestamptz not null default clock_timestamp(),
  constraint parked_pkey primary key (entity, id, part, position),
  constraint parked_position_check check (octet_length(position) = 18)
);

create table ficus.object_type (
  oid bigint not null,
  type_name text not null,
  constraint object_type_pkey primary key (oid)
);

-- read = applied + stale + folded + ignored + quarantined, per table, always (law 4).
create table ficus.table_count (
  source_table text not null,
  origin text not null,
  read bigint not null default 0,
  applied bigint not null default 0,
  stale bigint not null default 0,
  folded bigint not null default 0,
  ignored bigint not null default 0,
  quarantined bigint not null default 0,
  updated_at timestamptz not null default clock_timestamp(),
  constraint table_count_pkey primary key (source_table, origin),
  constraint table_count_origin_check check (origin in ('backfill', 'stream', 'repair')),
  constraint table_count_adds_up_check check (read = applied + stale + folded + ignored + quarantined)
) with (fillfactor = 50);
create table ficus.ignored_count (
  source_table text not null,
  origin text not null,
  rule text not null,
  rows bigint not null default 0,
  constraint ignored_count_pkey primary key (source_table, origin, rule)
) with (fillfactor = 50);

grant select on ficus.entity, ficus.key_map, ficus.tombstone, ficus.shape, ficus.part,
  ficus.object_type, ficus.table_count, ficus.ignored_count to ficus_reader;
grant select (entity, id, part, position, source_table, origin, parked_at) on ficus.parked to ficus_reader;
grant select on ficus.entity, ficus.key_map to ficus_api;
