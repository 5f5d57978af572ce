-- A write of the API holds the domain's row until it commits. A cutover or rollback takes the same
-- row for update: it waits for the writes under way, and whoever comes later sees the new state.
-- So no write lands on a side that has just given the domain away.
set local lock_timeout = '10s';

-- As the owner, because a row lock asks for the right to update, which the API must not have.
create function access.hold_domain(domain text) returns text
    language plpgsql volatile security definer set search_path = ficus, pg_temp
    as $$
    begin
        return (select held.state from ficus.domain as held where held.name = hold_domain.domain for share);
    end
    $$;

alter function access.hold_domain(text) owner to ficus_owner;
revoke execute on function access.hold_domain(text) from public;
grant execute on function access.hold_domain(text) to ficus_api;
