-- Who may see what, in one place: the row-level policies of the next migration stand on it.
--
-- The API says who asks by set_config(…, true) in the request's transaction: `app.role` is
-- 'staff' (sees all), 'owner' (with `app.owner_id`) or 'sign_in' (finds the user of a session or
-- a password). Whatever is missing, empty or unknown is nobody, who sees nothing.
--
-- An owner sees his properties by their links, their spaces, the contracts with an item on one
-- of these spaces, and all that hangs on such a contract. The views hold that rule. They run as
-- their owner, so a policy that asks one does not ask the policies of the tables beneath, and
-- they show the current owner's ids only. The planner sees through them: for one row it goes
-- from the row to the owner, for a list it collects the owner's ids once. A list for an owner
-- names the view itself (`where id in (select contract_id from access.own_contracts)`): the policy
-- only filters, and `or staff` keeps it from driving an index.
set local lock_timeout = '10s';

create schema access;

create function access.role() returns text
    language sql stable parallel safe
    return case when current_setting('app.role', true) in ('staff', 'owner', 'sign_in')
        then current_setting('app.role', true) end;

create function access.is_staff() returns boolean
    language sql stable parallel safe
    return coalesce(access.role() = 'staff', false);

create function access.is_sign_in() returns boolean
    language sql stable parallel safe
    return coalesce(access.role() = 'sign_in', false);

create function access.owner_id() returns uuid
    language sql stable parallel safe
    return case when access.role() = 'owner'
        then nullif(current_setting('app.owner_id', true), '')::uuid end;

create function access.user_id() returns uuid
    language sql stable parallel safe
    return case when access.role() in ('owner', 'staff')
        then nullif(current_setting('app.user_id', true), '')::uuid end;

create view access.own_properties with (security_barrier) as
    select link.property_id
    from property_owner_links as link
    where link.property_owner_id = (select access.owner_id());

create view access.own_spaces with (security_barrier) as
    select space.id as space_id
    from property_owner_links as link
    join spaces as space on space.property_id = link.property_id
    where link.property_owner_id = (select access.owner_id());

create view access.own_contracts with (security_barrier) as
    select item.contract_id
    from property_owner_links as link
    join spaces as space on space.property_id = link.property_id
    join contract_items as item on item.space_id = space.id
    where link.property_owner_id = (select access.owner_id());

create view access.own_tenants with (security_barrier) as
    select contract.tenant_id
    from property_owner_links as link
    join spaces as space on space.property_id = link.property_id
    join contract_items as item on item.space_id = space.id
    join contracts as contract on contract.id = item.contract_id
    where link.property_owner_id = (select access.owner_id());

create view access.own_invoices with (security_barrier) as
    select invoice.id as invoice_id
    from property_owner_links as link
    join spaces as space on space.property_id = link.property_id
    join contract_items as item on item.space_id = space.id
    join invoices as invoice on invoice.contract_id = item.contract_id
    where link.property_owner_id = (select access.owner_id());

create view access.own_payments with (security_barrier) as
    select allocation.payment_id
    from property_owner_links as link
    join spaces as space on space.property_id = link.property_id
    join contract_items as item on item.space_id = space.id
    join invoices as invoice on invoice.contract_id = item.contract_id
    join payment_allocations as allocation on allocation.invoice_id = invoice.id
    where link.property_owner_id = (select access.owner_id());

create view access.own_files with (security_barrier) as
    select attachment.file_id
    from property_owner_links as link
    join spaces as space on space.property_id = link.property_id
    join contract_items as item on item.space_id = space.id
    join contract_attachments as attachment on attachment.contract_id = item.contract_id
    where link.property_owner_id = (select access.owner_id());

-- The session of a token, before anybody is known: one row and nothing else, so that the API's
-- role can't list sessions.
create function session_by_token_hash(token_hash bytea)
    returns table (user_id uuid, owner_id uuid, role text)
    language sql stable security definer set search_path = public, pg_temp
    as $$
        select session.user_id, session.owner_id, session.role
        from sessions as session
        where session.token_hash = session_by_token_hash.token_hash
          and session.revoked_at is null
          and session.expires_at > now()
    $$;
