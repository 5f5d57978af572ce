//! What a statement says, from one snapshot. The role sees these columns and no others.

use chrono::NaiveDate;
use chrono_tz::Tz;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Line, Recipient, Statement};
use crate::money::MinorUnits;

/// `$2` is the month's first day, `$3` the zone.
const ISSUED_IN_MONTH: &str = "invoice.deleted_at is null
   and coalesce(invoice.status, 'issued') not in ('draft', 'cancelled')
   and invoice.issued_on >= ($2::date)::timestamp at time zone $3
   and invoice.issued_on < ($2::date + interval '1 month') at time zone $3";

const PAID_IN_MONTH: &str = "payment.deleted_at is null
   and coalesce(payment.value_date, (payment.paid_on at time zone $3)::date) >= $2::date
   and coalesce(payment.value_date, (payment.paid_on at time zone $3)::date) < $2::date + interval '1 month'";

/// The contracts of an owner, as the API's access views have them: those with an item on one of his
/// spaces.
const OWN_CONTRACTS: &str = "select link.property_owner_id, item.contract_id
   from property_owner_links as link
   join spaces as space on space.property_id = link.property_id
   join contract_items as item on item.space_id = space.id";

/// Everybody who was billed, or who paid, or whose contracts were, in a month.
pub(super) async fn recipients(
    connection: &mut PgConnection,
    month: NaiveDate,
    zone: Tz,
) -> Result<Vec<(String, Uuid)>, sqlx::Error> {
    let sql = format!(
        "with billed as (
           select distinct invoice.contract_id from invoices as invoice where {ISSUED_IN_MONTH}
           union
           select invoice.contract_id from payments as payment
           join payment_allocations as part on part.payment_id = payment.id
           join invoices as invoice on invoice.id = part.invoice_id
           where {PAID_IN_MONTH}),
         found as (
           select 'tenant' as kind, contract.tenant_id as id from billed
           join contracts as contract on contract.id = billed.contract_id
           union
           select 'tenant', payment.tenant_id from payments as payment where {PAID_IN_MONTH}
           union
           select 'owner', own.property_owner_id from billed
           join ({OWN_CONTRACTS}) as own on own.contract_id = billed.contract_id)
         select kind, id from found
         where id is not null and $1 and (
           kind = 'tenant' and exists (select from tenants as t where t.id = found.id and t.deleted_at is null)
           or kind = 'owner' and exists (select from property_owners as o where o.id = found.id and o.deleted_at is null))
         order by kind, id"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(true)
        .bind(month.to_string())
        .bind(zone.name())
        .fetch_all(connection)
        .await
}

/// A statement by its id, as the tables are now; `None` without it or its recipient.
pub(super) async fn statement(
    pool: PgPool,
    id: Uuid,
    zone: Tz,
) -> Result<Option<Statement>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut transaction =
        connection.begin_with("begin isolation level repeatable read read only").await?;
    let found = read(&mut transaction, id, zone).await;
    transaction.rollback().await?;
    found
}

async fn read(
    connection: &mut PgConnection,
    id: Uuid,
    zone: Tz,
) -> Result<Option<Statement>, sqlx::Error> {
    let row = sqlx::query(
        "select s.recipient, s.recipient_id, s.month::text as month,
           coalesce(t.name, o.name, '') as name, coalesce(t.register_no, o.register_no, '') as register_no
         from statements as s
         left join tenants as t on s.recipient = 'tenant' and t.id = s.recipient_id
         left join property_owners as o on s.recipient = 'owner' and o.id = s.recipient_id
         where s.id = $1 and (t.id is not null or o.id is not null)",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let recipient = match row.try_get("recipient")? {
        "owner" => Recipient::Owner,
        _ => Recipient::Tenant,
    };
    let month: String = row.try_get("month")?;
    let month: NaiveDate =
        month.parse().map_err(|error: chrono::ParseError| sqlx::Error::Decode(error.into()))?;
    let whose: Uuid = row.try_get("recipient_id")?;
    let (invoices, payments) = match recipient {
        Recipient::Tenant => (tenant_invoices(), tenant_payments()),
        Recipient::Owner => (owner_invoices(), owner_payments()),
    };
    let mut lines = Vec::new();
    for sql in [invoices, payments] {
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(whose)
            .bind(month.to_string())
            .bind(zone.name())
            .fetch_all(&mut *connection)
            .await?;
        lines.push(rows.iter().map(line).collect::<Result<Vec<Line>, _>>()?);
    }
    let payments = lines.pop().unwrap_or_default();
    let invoices = lines.pop().unwrap_or_default();
    let (name, register_no) = (row.try_get("name")?, row.try_get("register_no")?);
    Ok(Some(Statement { recipient, name, register_no, month, invoices, payments }))
}

fn line(row: &PgRow) -> Result<Line, sqlx::Error> {
    Ok(Line {
        date: row.try_get("day")?,
        number: row.try_get("number")?,
        what: row.try_get("what")?,
        currency: row.try_get("currency")?,
        amount: MinorUnits::new(row.try_get("amount")?),
    })
}

fn invoices(whose: &str) -> String {
    format!(
        "select (invoice.issued_on at time zone $3)::date::text as day,
           coalesce(invoice.invoice_no, '') as number, coalesce(contract.contract_no, '') as what,
           coalesce(contract.currency, 'MNT') as currency, coalesce(invoice.total, 0) as amount
         from invoices as invoice join contracts as contract on contract.id = invoice.contract_id
         where {ISSUED_IN_MONTH} and {whose}
         order by invoice.issued_on, invoice.id"
    )
}

fn tenant_invoices() -> String {
    invoices("contract.tenant_id = $1")
}

fn owner_invoices() -> String {
    let own = "select own.contract_id from";
    invoices(&format!(
        "contract.id in ({own} ({OWN_CONTRACTS}) as own where own.property_owner_id = $1)"
    ))
}

/// Payments have no currency of their own: Spacehub's are in tugrik.
fn tenant_payments() -> String {
    format!(
        "select coalesce(payment.value_date, (payment.paid_on at time zone $3)::date)::text as day,
           '' as number, coalesce(payment.method, '') as what, 'MNT' as currency,
           coalesce(payment.amount, 0) as amount
         from payments as payment where {PAID_IN_MONTH} and payment.tenant_id = $1
         order by 1, payment.id"
    )
}

/// For an owner, what of a payment paid invoices of his contracts: a payment may pay others', too.
fn owner_payments() -> String {
    format!(
        "select coalesce(payment.value_date, (payment.paid_on at time zone $3)::date)::text as day,
           string_agg(distinct coalesce(invoice.invoice_no, ''), ', ') as number,
           coalesce(payment.method, '') as what, coalesce(contract.currency, 'MNT') as currency,
           sum(part.amount)::int8 as amount
         from payments as payment
         join payment_allocations as part on part.payment_id = payment.id
         join invoices as invoice on invoice.id = part.invoice_id
         join contracts as contract on contract.id = invoice.contract_id
         where {PAID_IN_MONTH} and contract.id in (
           select own.contract_id from ({OWN_CONTRACTS}) as own where own.property_owner_id = $1)
         group by payment.id, payment.value_date, payment.paid_on, payment.method, contract.currency
         order by 1, payment.id"
    )
}
