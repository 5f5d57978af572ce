-- What the API and row-level security look rows up by. Lists go by the primary key (a UUID v7
-- sorts by creation); references are followed in both directions. Few on the hot tables: each
-- one is paid for by every row of the backfill.
set local lock_timeout = '10s';

create index property_owners_register_no_idx on property_owners (register_no);
create index tenants_register_no_idx on tenants (register_no);
create index property_owner_links_owner_idx on property_owner_links (property_owner_id, property_id);
create index property_owner_links_property_idx on property_owner_links (property_id, property_owner_id);
create index spaces_property_idx on spaces (property_id, id);
create index spaces_parent_space_idx on spaces (parent_space_id);
create index space_rates_space_idx on space_rates (space_id, valid_from);
create index contracts_tenant_idx on contracts (tenant_id, id);
create index contract_items_contract_idx on contract_items (contract_id, line_no);
create index contract_items_space_idx on contract_items (space_id, contract_id);
create index invoices_contract_idx on invoices (contract_id, id);
create index invoice_lines_invoice_idx on invoice_lines (invoice_id, line_no);
create index payments_tenant_idx on payments (tenant_id, id);
create index payment_allocations_payment_idx on payment_allocations (payment_id, invoice_id);
create index payment_allocations_invoice_idx on payment_allocations (invoice_id, payment_id);
create index users_user_name_idx on users (lower(user_name));
create index users_property_owner_idx on users (property_owner_id);
create index user_roles_user_idx on user_roles (user_id, role_id);
create index user_roles_role_idx on user_roles (role_id);
create index user_logins_provider_idx on user_logins (provider, provider_user_key);
create index user_logins_user_idx on user_logins (user_id);
create index contract_attachments_contract_idx on contract_attachments (contract_id, id);
create index contract_attachments_file_idx on contract_attachments (file_id);
