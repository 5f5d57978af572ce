-- Monthly statements: one for each recipient and month, and where its PDF is.
--
-- The row is written together with the event that asks for the PDF, so a month that is enqueued
-- twice is enqueued once. `object` is NULL until the PDF is in the object store.
set local lock_timeout = '10s';

create table statements (
    id           uuid primary key,
    recipient    text not null constraint statements_recipient_check
                 check (recipient in ('tenant', 'owner')),
    recipient_id uuid not null,
    month        date not null constraint statements_month_check
                 check (extract(day from month) = 1),
    object       text,
    size         bigint,
    created_at   timestamptz not null default now(),
    rendered_at  timestamptz,
    constraint statements_recipient_month_key unique (recipient, recipient_id, month)
);

alter table statements owner to ficus_owner;
alter table statements enable row level security;
alter table statements force row level security;
create policy owner_reads on statements for select to ficus_owner using (true);
create policy staff on statements for select to ficus_api using ((select access.is_staff()));
create policy owner_sees on statements for select to ficus_api
    using (recipient = 'owner' and recipient_id = (select access.owner_id()));
create policy work_writes on statements to ficus_work using (true) with check (true);
revoke all on statements from ficus_engine, ficus_reader;
grant select on statements to ficus_api;
grant select, insert, update on statements to ficus_work;

-- What a statement shows, column by column: the worker sees no bank messages, no photos, no users.
do $$
declare
    name text;
begin
    foreach name in array array['tenants', 'property_owners', 'property_owner_links', 'spaces',
        'contracts', 'contract_items', 'invoices', 'payments', 'payment_allocations'] loop
        execute format('create policy work_reads on %I for select to ficus_work using (true)', name);
    end loop;
end
$$;
grant select (id, name, register_no, deleted_at) on tenants, property_owners to ficus_work;
grant select (property_owner_id, property_id) on property_owner_links to ficus_work;
grant select (id, property_id) on spaces to ficus_work;
grant select (id, tenant_id, contract_no, currency) on contracts to ficus_work;
grant select (contract_id, space_id) on contract_items to ficus_work;
grant select (id, invoice_no, contract_id, issued_on, due_on, total, paid_total, status, deleted_at)
    on invoices to ficus_work;
grant select (id, tenant_id, paid_on, value_date, amount, method, deleted_at) on payments to ficus_work;
grant select (payment_id, invoice_id, amount) on payment_allocations to ficus_work;
