-- Numbers of new documents. The cutover of a domain sets its sequence above every number that the
-- legacy application ever gave, deleted documents included; until then nobody draws from it.
set local lock_timeout = '10s';

create sequence invoice_no_seq;
comment on sequence invoice_no_seq is 'НХ-0000001: one numbering for all invoices';
create sequence contract_no_seq;
comment on sequence contract_no_seq is
    'АА-2024/000001: the prefix and the year differ, the numbers go on through all of them';

-- A number that a refused request has drawn is a gap, and gaps are allowed.
grant usage on sequence invoice_no_seq, contract_no_seq to ficus_api;
