-- Files that the API took are in the object store, and the row holds their address; those that came
-- from the legacy system stay in `content`. Never both: what a row says is one file.
set local lock_timeout = '10s';

alter table files
    add column object     text,
    add column media_type text,
    add constraint files_place_check check (object is null or content is null);
