-- What the mapping files call `not_null`. The first migration says that NOT NULLs are sealed at the
-- cutover. None of these has to wait for it, because a row's own column races with no other row, and
-- a legacy row without it is quarantined. Nothing else is sealed either: every other legacy column
-- may be NULL, and the API has its own checks.
set local lock_timeout = '10s';

alter table spaces alter column kind set not null;
alter table users alter column kind set not null;
