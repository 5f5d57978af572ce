-- Three owners with three of everything; the third belongs to nobody who signs in.
create schema made;
grant usage on schema made to public;
create function made.id(kind int, owner int, n int) returns uuid language sql immutable return
    ('01900000-0000-7000-8000-' || lpad(to_hex(kind * 1000000 + owner * 10000 + n), 12, '0'))::uuid;
create view made.each as select o, n from generate_series(1, 3) as o, generate_series(1, 3) as n;

insert into property_owners (id, name, created_on)
    select made.id(1, o, 1), 'Эзэн ' || o, '2024-02-29 08:00+08' from generate_series(1, 3) as o;
insert into tenants (id, name, credit_limit) select made.id(2, o, n), 'Т ' || n, 9007199254740993 from made.each;
insert into properties (id, code, name) select made.id(3, o, n), 'P' || n, 'Байр' from made.each;
insert into property_owner_links (id, property_owner_id, property_id)
    select made.id(4, o, n), made.id(1, o, 1), made.id(3, o, n) from made.each;
insert into spaces (id, property_id, code, kind) select made.id(5, o, n), made.id(3, o, n), 'S', 'space' from made.each;
insert into space_rates (id, space_id, rate) select made.id(6, o, n), made.id(5, o, n), 100 from made.each;
insert into contracts (id, company_no, contract_no, tenant_id, status, currency, monthly_total, terms, signed_on)
    select made.id(7, o, n), 'C' || o, 'A/' || n, made.id(2, o, n), 'draft', 'MNT', 1500000, 'урт', '2024-01-01 00:00+08'
    from made.each;
insert into contract_items (id, contract_id, line_no, space_id, unit_price)
    select made.id(8, o, n), made.id(7, o, n), 1, made.id(5, o, n), 1.5 from made.each;
insert into invoices (id, invoice_no, contract_id, total, status)
    select made.id(9, o, n), 'I' || n, made.id(7, o, n), 1500000, 'issued' from made.each;
insert into invoice_lines (id, invoice_id, line_no, amount)
    select made.id(10, o, n), made.id(9, o, n), 1, 1500000 from made.each;
insert into payments (id, tenant_id, property_owner_id, amount, raw_message)
    select made.id(11, o, n), made.id(2, o, n), made.id(1, o, 1), 500, 'secret' from made.each;
insert into payment_allocations (id, payment_id, invoice_id, amount)
    select made.id(12, o, n), made.id(11, o, n), made.id(9, o, n), 500 from made.each;
insert into users (id, user_name, kind, property_owner_id)
    select made.id(13, o, 1), 'user' || o, 'application', made.id(1, o, 1) from generate_series(1, 3) as o;
insert into roles (id, name) select made.id(14, o, 1), 'role' || o from generate_series(1, 3) as o;
insert into user_roles (id, user_id, role_id)
    select made.id(15, o, 1), made.id(13, o, 1), made.id(14, o, 1) from generate_series(1, 3) as o;
insert into user_logins (id, user_id, provider)
    select made.id(16, o, 1), made.id(13, o, 1), 'x' from generate_series(1, 3) as o;
insert into files (id, file_name) select made.id(17, o, n), 'f' from made.each;
insert into contract_attachments (id, file_id, contract_id)
    select made.id(18, o, n), made.id(17, o, n), made.id(7, o, n) from made.each;

insert into ficus.domain (name, state) select unnest(array[
    'property-owners', 'tenants', 'properties', 'contracts', 'invoices', 'payments', 'users',
    'attachments']), 'cut_over';
insert into ficus.entity (name, domain, target_schema, target_table)
    values ('contracts', 'contracts', 'public', 'contracts');
analyze;
