-- Row-level security, enabled and FORCED on every table, and the grants.
--
-- ficus_engine applies the stream and writes all migrated tables; ficus_reader reads them
-- (reconcile, reports); ficus_api is neither owner nor exempt and sees what `access` says.
-- ficus_owner owns the tables and may read them: the access views run as it, and so does the
-- validation of foreign keys at the seal, which would otherwise see no row and find no orphan.
set local lock_timeout = '10s';

do $$
declare
    migrated constant text[] := array[
        'property_owners', 'tenants', 'properties', 'property_owner_links', 'spaces',
        'space_rates', 'contracts', 'contract_items', 'invoices', 'invoice_lines', 'payments',
        'payment_allocations', 'users', 'roles', 'user_roles', 'user_logins', 'files',
        'contract_attachments'];
    kept constant text[] := array[
        'sessions', 'idempotency_keys', 'outbox', 'audit_log', 'devices', 'status_transitions'];
    name text;
begin
    foreach name in array migrated || kept loop
        execute format('alter table %I owner to ficus_owner', name);
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy owner_reads on %I for select to ficus_owner using (true)', name);
    end loop;
    -- Less than the defaults that the engine's migrations give to every table.
    foreach name in array kept loop
        execute format('revoke all on %I from ficus_engine, ficus_reader', name);
    end loop;
    foreach name in array migrated loop
        execute format('create policy engine_writes on %I to ficus_engine using (true) with check (true)', name);
        execute format('create policy reader_reads on %I for select to ficus_reader using (true)', name);
        execute format('create policy staff on %I to ficus_api using ((select access.is_staff())) with check ((select access.is_staff()))', name);
        execute format('grant select, insert, update, delete on %I to ficus_engine', name);
        execute format('grant select on %I to ficus_reader', name);
        execute format('grant select, insert, update on %I to ficus_api', name);
    end loop;
    for name in select format('%I.%I', schemaname, viewname) from pg_views where schemaname = 'access' loop
        execute format('alter view %s owner to ficus_owner', name);
        execute format('grant select on %s to ficus_api', name);
    end loop;
    for name in
        select p.oid::regprocedure::text from pg_proc as p
        where p.pronamespace = 'access'::regnamespace
    loop
        execute format('alter function %s owner to ficus_owner', name);
    end loop;
end
$$;

alter schema access owner to ficus_owner;
alter function session_by_token_hash(bytea) owner to ficus_owner;
revoke execute on function session_by_token_hash(bytea) from public;
grant execute on function session_by_token_hash(bytea) to ficus_api;
grant usage on schema access to ficus_engine, ficus_reader, ficus_api;

-- Rows that come and go physically in the API too.
grant delete on contract_items, property_owner_links, payment_allocations, user_roles to ficus_api;

-- An owner's own row, and what is reached from it.
create policy owner_sees on property_owners for select to ficus_api
    using (id = (select access.owner_id()));
create policy owner_sees on property_owner_links for select to ficus_api
    using (property_owner_id = (select access.owner_id()));
create policy owner_sees on properties for select to ficus_api
    using (exists (select from access.own_properties as own where own.property_id = properties.id));
create policy owner_sees on spaces for select to ficus_api
    using (exists (select from access.own_properties as own where own.property_id = spaces.property_id));
create policy owner_sees on space_rates for select to ficus_api
    using (exists (select from access.own_spaces as own where own.space_id = space_rates.space_id));
create policy owner_sees on contracts for select to ficus_api
    using (exists (select from access.own_contracts as own where own.contract_id = contracts.id));
create policy owner_sees on contract_items for select to ficus_api
    using (exists (select from access.own_contracts as own where own.contract_id = contract_items.contract_id));
create policy owner_sees on tenants for select to ficus_api
    using (exists (select from access.own_tenants as own where own.tenant_id = tenants.id));
create policy owner_sees on invoices for select to ficus_api
    using (exists (select from access.own_contracts as own where own.contract_id = invoices.contract_id));
create policy owner_sees on invoice_lines for select to ficus_api
    using (exists (select from access.own_invoices as own where own.invoice_id = invoice_lines.invoice_id));
create policy owner_sees on payment_allocations for select to ficus_api
    using (exists (select from access.own_invoices as own where own.invoice_id = payment_allocations.invoice_id));
create policy owner_sees on payments for select to ficus_api
    using (exists (select from access.own_payments as own where own.payment_id = payments.id));
create policy owner_sees on contract_attachments for select to ficus_api
    using (exists (select from access.own_contracts as own where own.contract_id = contract_attachments.contract_id));
create policy owner_sees on files for select to ficus_api
    using (exists (select from access.own_files as own where own.file_id = files.id));

-- What an owner may change: his own master data, and bills on his contracts. New contracts,
-- payments and users are the staff's.
create policy owner_updates on property_owners for update to ficus_api
    using (id = (select access.owner_id()));
create policy owner_updates on properties for update to ficus_api
    using (exists (select from access.own_properties as own where own.property_id = properties.id));
create policy owner_updates on spaces for update to ficus_api
    using (exists (select from access.own_properties as own where own.property_id = spaces.property_id));
create policy owner_inserts on spaces for insert to ficus_api
    with check (exists (select from access.own_properties as own where own.property_id = spaces.property_id));
create policy owner_updates on contracts for update to ficus_api
    using (exists (select from access.own_contracts as own where own.contract_id = contracts.id));
create policy owner_updates on invoices for update to ficus_api
    using (exists (select from access.own_contracts as own where own.contract_id = invoices.contract_id));
create policy owner_inserts on invoices for insert to ficus_api
    with check (exists (select from access.own_contracts as own where own.contract_id = invoices.contract_id));
create policy owner_updates on invoice_lines for update to ficus_api
    using (exists (select from access.own_invoices as own where own.invoice_id = invoice_lines.invoice_id));
create policy owner_inserts on invoice_lines for insert to ficus_api
    with check (exists (select from access.own_invoices as own where own.invoice_id = invoice_lines.invoice_id));

-- Users see themselves and their roles; signing in looks users up before there is a user.
create policy user_sees on users for select to ficus_api
    using (id = (select access.user_id()) or (select access.is_sign_in()));
create policy sign_in_updates on users for update to ficus_api
    using ((select access.is_sign_in()));
create policy user_sees on user_logins for select to ficus_api
    using (user_id = (select access.user_id()) or (select access.is_sign_in()));
create policy user_sees on user_roles for select to ficus_api
    using (user_id = (select access.user_id()) or (select access.is_sign_in()));
create policy user_sees on roles for select to ficus_api
    using ((select access.role()) is not null);

-- The API's own tables.
create policy session_of_user on sessions to ficus_api
    using (user_id = (select access.user_id()) or (select access.is_sign_in()));
create policy key_of_user on idempotency_keys to ficus_api
    using (user_id = (select access.user_id()));
create policy device_of_user on devices to ficus_api
    using (user_id = (select access.user_id()));
create policy api_appends on audit_log for insert to ficus_api
    with check ((select access.role()) is not null);
create policy staff_reads on audit_log for select to ficus_api
    using ((select access.is_staff()));
create policy api_appends on outbox for insert to ficus_api
    with check ((select access.role()) is not null);
create policy engine_drains on outbox to ficus_engine using (true) with check (true);
create policy everybody_reads on status_transitions for select to ficus_api, ficus_engine, ficus_reader
    using (true);

grant select, insert, update, delete on sessions, devices, idempotency_keys to ficus_api;
-- Append-only by grant: nobody changes what was written.
grant select, insert on audit_log to ficus_api;
grant insert on outbox to ficus_api;
grant select, update, delete on outbox to ficus_engine;
grant select on status_transitions to ficus_api, ficus_engine, ficus_reader;
