-- The tables that Spacehub's mapping files describe, one for each entity.
--
-- Every migrated table has `source_position`: the legacy change that made the row (NULL for a row
-- that the API made after cutover). While a domain follows the legacy system there is no
-- constraint across rows but the primary key: parents come after children, and a unique value
-- may pass from one row to another within one legacy transaction. References, unique indexes and
-- NOT NULLs are sealed at cutover. A CHECK on one row's status is safe from the first day,
-- because the mapping can't write another value.
--
-- Amounts are whole minor units (mungo for MNT). The fill factors leave room on the page for the
-- updates of hot tables, so that they touch no index.
set local lock_timeout = '10s';

create table property_owners (
    id              uuid primary key,
    name            text,
    register_no     text,
    phone           text,
    email           text,
    kind            text constraint property_owners_kind_check
                    check (kind in ('person', 'company', 'public')),
    created_on      timestamptz,
    note            text,
    bank_account    text,
    commission_rate double precision,
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
) with (fillfactor = 90);

create table tenants (
    id              uuid primary key,
    name            text,
    register_no     text,
    phone           text,
    email           text,
    kind            text constraint tenants_kind_check
                    check (kind in ('person', 'company', 'public')),
    created_on      timestamptz,
    note            text,
    credit_limit    bigint,
    vat_payer       boolean,
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
) with (fillfactor = 90);

create table properties (
    id              uuid primary key,
    code            text,
    name            text,
    address         text,
    total_area      double precision,
    latitude        double precision,
    longitude       double precision,
    color           text,
    opens_at        integer,
    photo           bytea,
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
) with (fillfactor = 90);

comment on column properties.color is '#aarrggbb';
comment on column properties.opens_at is 'seconds after midnight';

create table property_owner_links (
    id                uuid primary key,
    property_owner_id uuid,
    property_id       uuid,
    version           integer not null default 0,
    source_position   bytea
);

create table spaces (
    id              uuid primary key,
    property_id     uuid,
    parent_space_id uuid,
    code            text,
    floor_no        smallint,
    area            double precision,
    monthly_rate    bigint,
    category        text,
    usage           text constraint spaces_usage_check
                    check (usage in ('office', 'retail', 'storage', 'parking', 'advertising')),
    plate_no        text,
    location_x      integer,
    location_y      integer,
    kind            text constraint spaces_kind_check
                    check (kind in ('space', 'parking_space', 'billboard')),
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
) with (fillfactor = 90);

create table space_rates (
    id              uuid primary key,
    space_id        uuid,
    rate_code       text,
    valid_from      timestamptz,
    rate            bigint,
    source_position bytea
);

create table contracts (
    id              uuid primary key,
    company_no      text,
    contract_no     text,
    tenant_id       uuid,
    signed_on       timestamptz,
    start_date      date,
    end_date        date,
    status          text constraint contracts_status_check
                    check (status in ('draft', 'active', 'suspended', 'ended', 'cancelled')),
    currency        text,
    monthly_total   bigint,
    vat_rate        double precision,
    terms           text,
    version         integer not null default 0,
    source_position bytea
) with (fillfactor = 85);

create table contract_items (
    id              uuid primary key,
    contract_id     uuid,
    line_no         integer,
    space_id        uuid,
    valid_from      date,
    valid_to        date,
    area            double precision,
    unit_price      numeric(28, 10),
    amount          bigint,
    description     text,
    source_position bytea
) with (fillfactor = 90);

create table invoices (
    id              uuid primary key,
    invoice_no      text,
    contract_id     uuid,
    issued_on       timestamptz,
    due_on          date,
    period_month    date,
    subtotal        bigint,
    vat             bigint,
    total           bigint,
    paid_total      bigint,
    status          text constraint invoices_status_check
                    check (status in ('draft', 'issued', 'partly_paid', 'paid', 'cancelled')),
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
) with (fillfactor = 85);

create table invoice_lines (
    id              uuid primary key,
    invoice_id      uuid,
    line_no         integer,
    description     text,
    quantity        double precision,
    unit_price      bigint,
    amount          bigint,
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
) with (fillfactor = 90);

create table payments (
    id                uuid primary key,
    tenant_id         uuid,
    property_owner_id uuid,
    paid_on           timestamptz,
    value_date        date,
    amount            bigint,
    method            text constraint payments_method_check
                      check (method in ('cash', 'bank_transfer', 'card', 'qpay', 'social_pay')),
    bank_ref          text,
    raw_message       text,
    version           integer not null default 0,
    deleted_at        timestamptz,
    source_position   bytea
) with (fillfactor = 90);

create table payment_allocations (
    id              uuid primary key,
    payment_id      uuid,
    invoice_id      uuid,
    amount          bigint,
    source_position bytea
);

create table users (
    id                  uuid primary key,
    user_name           text,
    password_hash       text,
    change_password_on_first_logon boolean,
    is_active           boolean,
    access_failed_count integer,
    lockout_end         timestamptz,
    property_owner_id   uuid,
    tenant_id           uuid,
    kind                text constraint users_kind_check
                        check (kind in ('system', 'application')),
    version             integer not null default 0,
    deleted_at          timestamptz,
    source_position     bytea
) with (fillfactor = 85);

create table roles (
    id                uuid primary key,
    name              text,
    is_administrative boolean,
    can_edit_model    boolean,
    permission_policy text constraint roles_permission_policy_check
                      check (permission_policy in ('deny_all', 'read_only_all', 'allow_all')),
    version           integer not null default 0,
    deleted_at        timestamptz,
    source_position   bytea
);

create table user_roles (
    id              uuid primary key,
    user_id         uuid,
    role_id         uuid,
    version         integer not null default 0,
    source_position bytea
);

create table user_logins (
    id                uuid primary key,
    user_id           uuid,
    provider          text,
    provider_user_key text,
    version           integer not null default 0,
    source_position   bytea
);

create table files (
    id              uuid primary key,
    file_name       text,
    size            integer,
    content         bytea,
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
);

create table contract_attachments (
    id              uuid primary key,
    file_id         uuid,
    contract_id     uuid,
    kind            text constraint contract_attachments_kind_check
                    check (kind in ('contract', 'annex', 'handover_act', 'other')),
    uploaded_by_id  uuid,
    uploaded_on     timestamptz,
    version         integer not null default 0,
    deleted_at      timestamptz,
    source_position bytea
);
