-- One status for each entity, and one table that says which may follow which. The API's
-- transitions look here; the migration does not, because it copies what already happened.
set local lock_timeout = '10s';

create table status_transitions (
    entity      text not null,
    from_status text not null,
    to_status   text not null,
    constraint status_transitions_pkey primary key (entity, from_status, to_status),
    constraint status_transitions_step_check check (from_status <> to_status)
);

insert into status_transitions (entity, from_status, to_status) values
    ('contracts', 'draft', 'active'),
    ('contracts', 'draft', 'cancelled'),
    ('contracts', 'active', 'suspended'),
    ('contracts', 'active', 'ended'),
    ('contracts', 'suspended', 'active'),
    ('contracts', 'suspended', 'ended'),
    ('invoices', 'draft', 'issued'),
    ('invoices', 'draft', 'cancelled'),
    ('invoices', 'issued', 'partly_paid'),
    ('invoices', 'issued', 'paid'),
    ('invoices', 'issued', 'cancelled'),
    ('invoices', 'partly_paid', 'paid'),
    -- A payment that bounces takes an invoice back.
    ('invoices', 'partly_paid', 'issued'),
    ('invoices', 'paid', 'partly_paid'),
    ('invoices', 'paid', 'issued');
