create schema made;
grant usage on schema made to public;
create function made.id(kind int, owner int, n int) returns uuid language sql immutable return
    ('01900000-0000-7000-8000-' || lpad(to_hex(kind::bigint * 100000000 + owner * 10000 + n), 12, '0'))::uuid;
-- So many owners with one property of twenty spaces each, and so many contracts on these.
create procedure made.rows(owners int, each_has int) language sql begin atomic
    insert into property_owners (id, name) select made.id(1, o, 1), 'Эзэн ' || o from generate_series(1, owners) as o;
    insert into properties (id, code, name) select made.id(3, o, 1), 'P' || o, 'Байр' from generate_series(1, owners) as o;
    insert into property_owner_links (id, property_owner_id, property_id)
        select made.id(4, o, 1), made.id(1, o, 1), made.id(3, o, 1) from generate_series(1, owners) as o;
    insert into spaces (id, property_id, code, kind)
        select made.id(5, o, n), made.id(3, o, 1), 'S' || n, 'space'
        from generate_series(1, owners) as o, generate_series(1, 20) as n;
    insert into tenants (id, name) select made.id(2, o, n), 'Түрээслэгч ' || n
        from generate_series(1, owners) as o, generate_series(1, 20) as n;
    insert into contracts (id, company_no, contract_no, tenant_id, start_date, status, currency, monthly_total, terms, signed_on)
        select made.id(7, o, n), 'C' || o, 'A/' || n, made.id(2, o, 1 + n % 20), '2024-01-01', 'active', 'MNT', 1500000,
            'Гэрээний нөхцөл', '2024-01-01 00:00+08'
        from generate_series(1, owners) as o, generate_series(1, each_has) as n;
    insert into contract_items (id, contract_id, line_no, space_id, unit_price)
        select made.id(8, o, n), made.id(7, o, n), 1, made.id(5, o, 1 + n % 20), 1.5
        from generate_series(1, owners) as o, generate_series(1, each_has) as n;
    insert into users (id, user_name, kind, property_owner_id)
        select made.id(13, o, 1), 'user' || o, 'application', made.id(1, o, 1) from generate_series(1, owners) as o;
end;
-- The engine has written the domains down already, and no step leads here at once.
alter table ficus.domain disable trigger user;
insert into ficus.domain (name, state) select unnest(array[
    'property-owners', 'tenants', 'properties', 'contracts', 'invoices', 'payments', 'users', 'attachments']), 'cut_over'
    on conflict (name) do update set state = excluded.state;
alter table ficus.domain enable trigger user;
