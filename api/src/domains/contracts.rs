//! `/v2/contracts`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    invoices::{INVOICES, Invoice},
    record::record,
    transition::{Statuses, transition_to},
    view::{View, Within},
    write::Posted,
};
use crate::money::MinorUnits;

record! {
    /// A contract.
    Contract {
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
        /// Of single contracts only.
        #[serde(skip_serializing_if = "Option::is_none")]
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
        valid_from: Option<String>,
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
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Contract>(asked, &CONTRACTS, None).await
}

/// One of them.
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Contract>(id, &CONTRACTS).await
}

/// A page of a contract's items.
pub(super) async fn items(caller: Caller, Id(id): Id, asked: Asked) -> Result<Response, Failure> {
    let within = Within { parent: &CONTRACTS, condition: "contract_id = $3", id };
    caller.list::<ContractItem>(asked, &ITEMS, Some(within)).await
}

/// A page of a contract's invoices.
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
pub(super) async fn transition(
    caller: Caller,
    id: Id,
    posted: Posted,
) -> Result<Response, Failure> {
    transition_to::<Contract>(caller, id, posted, &STATUSES).await
}
