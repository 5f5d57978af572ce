-- Files that the API took: where they are in the object store, and their type. What came from the
-- legacy system stays in `files.content`; a file has the one or the other. A table of its own, so that
-- the migrated one stays what the mapping says.
set local lock_timeout = '10s';

create table file_objects (
    file_id    uuid primary key,
    object     text not null constraint file_objects_object_check check (object like 'sha256/__/%'),
    media_type text not null
);

alter table file_objects owner to ficus_owner;
alter table file_objects enable row level security;
alter table file_objects force row level security;
create policy owner_reads on file_objects for select to ficus_owner using (true);
create policy staff on file_objects to ficus_api
    using ((select access.is_staff())) with check ((select access.is_staff()));
create policy owner_sees on file_objects for select to ficus_api
    using (exists (select from access.own_files as own where own.file_id = file_objects.file_id));
revoke all on file_objects from ficus_engine, ficus_reader;
grant select, insert on file_objects to ficus_api;
