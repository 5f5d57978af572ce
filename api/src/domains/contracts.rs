//! `/v2/contracts`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    invoices::{INVOICES, Invoice},
    record::record,
    transition::{Statuses, Step, transition_to},
    view::{View, Within},
    write::Posted,
};
use crate::{money::MinorUnits, page::Page};

record! {
    /// A contract.
    Contract {
        id: Uuid,
        company_no: Option<String>,
        contract_no: Option<String>,
        tenant_id: Option<Uuid>,
        #[schema(format = DateTime)]
        signed_on: Option<String>,
        #[schema(format = Date)]
        start_date: Option<String>,
        #[schema(format = Date)]
        end_date: Option<String>,
        status: Option<String>,
        currency: Option<String>,
        /// In minor units of `currency`.
        monthly_total: Option<MinorUnits>,
        vat_rate: Option<f64>,
        /// Of single contracts only.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        terms: Option<String>,
        version: i32,
    }
}

pub(super) const CONTRACTS: View = View {
    entity: "contracts",
    columns: "id, company_no, contract_no, tenant_id, start_date::text, end_date::text, status, \
              currency, monthly_total, vat_rate, version, \
              to_char(signed_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as signed_on",
    long: Some("terms"),
    soft_delete: false,
    own: "select contract_id from access.own_contracts",
};

record! {
    /// A line of a contract.
    ContractItem {
        id: Uuid,
        line_no: Option<i32>,
        space_id: Option<Uuid>,
        #[schema(format = Date)]
        valid_from: Option<String>,
        #[schema(format = Date)]
        valid_to: Option<String>,
        area: Option<f64>,
        /// A rate with ten digits after the point, as text.
        unit_price: Option<String>,
        /// In minor units of the contract's currency.
        amount: Option<MinorUnits>,
        description: Option<String>,
    }
}

const ITEMS: View = View {
    entity: "contract_items",
    columns: "id, line_no, space_id, valid_from::text, valid_to::text, area, unit_price::text, \
              amount, description",
    long: None,
    soft_delete: false,
    own: "select item.id from contract_items as item \
          join access.own_contracts as own on own.contract_id = item.contract_id",
};

/// A page of them; with `?legacy=company/number`, the one of the old key.
#[utoipa::path(get, path = "/v2/contracts", tag = "contracts", params(Asked),
    responses((status = 200, body = Page<Contract>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Contract>(asked, &CONTRACTS, None).await
}

/// One of them.
#[utoipa::path(get, path = "/v2/contracts/{id}", tag = "contracts", params(Id),
    responses((status = 200, body = Contract)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Contract>(id, &CONTRACTS).await
}

/// A page of a contract's items.
#[utoipa::path(get, path = "/v2/contracts/{id}/items", tag = "contracts", params(Id, Asked),
    responses((status = 200, body = Page<ContractItem>)))]
pub(super) async fn items(caller: Caller, Id(id): Id, asked: Asked) -> Result<Response, Failure> {
    let within = Within { parent: &CONTRACTS, condition: "contract_id = $3", id };
    caller.list::<ContractItem>(asked, &ITEMS, Some(within)).await
}

/// A page of a contract's invoices.
#[utoipa::path(get, path = "/v2/contracts/{id}/invoices", tag = "invoices", params(Id, Asked),
    responses((status = 200, body = Page<Invoice>)))]
pub(super) async fn invoices(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let within = Within { parent: &CONTRACTS, condition: "contract_id = $3", id };
    caller.list::<Invoice>(asked, &INVOICES, Some(within)).await
}

const STATUSES: Statuses =
    Statuses { view: &CONTRACTS, domain: "contracts", topic: "contract.status-changed" };

/// Takes a contract to another status: `{"to": "active"}`.
#[utoipa::path(post, path = "/v2/contracts/{id}/transitions", tag = "contracts",
    params(Id, Posted), request_body = Step, responses((status = 200, body = Contract)))]
pub(super) async fn transition(
    caller: Caller,
    id: Id,
    posted: Posted,
) -> Result<Response, Failure> {
    transition_to::<Contract>(caller, id, posted, &STATUSES).await
}
