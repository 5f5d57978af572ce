//! `/v2/contracts`.

use axum::{extract::Path, response::Response};
use serde::Serialize;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::request::{Asked, Caller, Failure, List, column};
use crate::money::MinorUnits;

/// A contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Contract {
    id: Uuid,
    company_no: Option<String>,
    contract_no: Option<String>,
    tenant_id: Option<Uuid>,
    signed_on: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    status: Option<String>,
    currency: Option<String>,
    /// In minor units of `currency`.
    monthly_total: Option<MinorUnits>,
    vat_rate: Option<f64>,
    terms: Option<String>,
    version: i32,
}

const LIST: &str = "\
    select id, company_no, contract_no, tenant_id, start_date::text, end_date::text, status, \
           currency, monthly_total, vat_rate, terms, version, \
           to_char(signed_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as signed_on \
    from contracts where id > $1 order by id limit $2";

const GET: &str = "\
    select id, company_no, contract_no, tenant_id, start_date::text, end_date::text, status, \
           currency, monthly_total, vat_rate, terms, version, \
           to_char(signed_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as signed_on \
    from contracts where id = $1";

impl Contract {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: column(row, "id")?,
            company_no: column(row, "company_no")?,
            contract_no: column(row, "contract_no")?,
            tenant_id: column(row, "tenant_id")?,
            signed_on: column(row, "signed_on")?,
            start_date: column(row, "start_date")?,
            end_date: column(row, "end_date")?,
            status: column(row, "status")?,
            currency: column(row, "currency")?,
            monthly_total: column::<Option<i64>>(row, "monthly_total")?.map(MinorUnits::new),
            vat_rate: column(row, "vat_rate")?,
            terms: column(row, "terms")?,
            version: column::<Option<i32>>(row, "version")?.unwrap_or_default(),
        })
    }
}

/// A page of them; with `?legacy=company/number`, the one of the old key.
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    let list = List {
        entity: "contracts",
        sql: LIST,
        row: Contract::from_row,
        id: |contract| contract.id,
    };
    caller.list(asked, list, None).await
}

/// One of them.
pub(super) async fn get(caller: Caller, Path(id): Path<String>) -> Result<Response, Failure> {
    caller.row(id, GET, Contract::from_row).await
}

/// A line of a contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContractItem {
    id: Uuid,
    line_no: Option<i32>,
    space_id: Option<Uuid>,
    valid_from: Option<String>,
    valid_to: Option<String>,
    area: Option<f64>,
    /// A rate with ten digits after the point, as text.
    unit_price: Option<String>,
    /// In minor units of the contract's currency.
    amount: Option<MinorUnits>,
    description: Option<String>,
}

const ITEMS: &str = "\
    select id, line_no, space_id, valid_from::text, valid_to::text, area, unit_price::text, \
           amount, description \
    from contract_items where id > $1 and contract_id = $3 order by id limit $2";

impl ContractItem {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: column(row, "id")?,
            line_no: column(row, "line_no")?,
            space_id: column(row, "space_id")?,
            valid_from: column(row, "valid_from")?,
            valid_to: column(row, "valid_to")?,
            area: column(row, "area")?,
            unit_price: column(row, "unit_price")?,
            amount: column::<Option<i64>>(row, "amount")?.map(MinorUnits::new),
            description: column(row, "description")?,
        })
    }
}

/// A page of a contract's items.
pub(super) async fn items(
    caller: Caller,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let list = List {
        entity: "contract_items",
        sql: ITEMS,
        row: ContractItem::from_row,
        id: |item| item.id,
    };
    caller.list(asked, list, Some(id)).await
}
