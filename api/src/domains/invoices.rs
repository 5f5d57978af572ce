//! `/v2/invoices`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    record::record,
    view::{View, Within},
};
use crate::{money::MinorUnits, page::Page};

record! {
    /// An invoice. Amounts are in minor units of its contract's currency.
    Invoice {
        id: Uuid,
        invoice_no: Option<String>,
        contract_id: Option<Uuid>,
        #[schema(format = DateTime)]
        issued_on: Option<String>,
        #[schema(format = Date)]
        due_on: Option<String>,
        #[schema(format = Date)]
        period_month: Option<String>,
        subtotal: Option<MinorUnits>,
        vat: Option<MinorUnits>,
        total: Option<MinorUnits>,
        paid_total: Option<MinorUnits>,
        status: Option<String>,
        version: i32,
    }
}

pub(super) const INVOICES: View = View {
    entity: "invoices",
    columns: "id, invoice_no, contract_id, due_on::text, period_month::text, subtotal, vat, total, \
              paid_total, status, version, \
              to_char(issued_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as issued_on",
    long: None,
    soft_delete: true,
    own: "select invoice_id from access.own_invoices",
};

record! {
    /// A line of an invoice.
    InvoiceLine {
        id: Uuid,
        line_no: Option<i32>,
        description: Option<String>,
        quantity: Option<f64>,
        unit_price: Option<MinorUnits>,
        amount: Option<MinorUnits>,
        version: i32,
    }
}

const LINES: View = View {
    entity: "invoice_lines",
    columns: "id, line_no, description, quantity, unit_price, amount, version",
    long: None,
    soft_delete: true,
    own: "select line.id from invoice_lines as line \
          join access.own_invoices as own on own.invoice_id = line.invoice_id",
};

/// A page of them.
#[utoipa::path(get, path = "/v2/invoices", tag = "invoices", params(Asked),
    responses((status = 200, body = Page<Invoice>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Invoice>(asked, &INVOICES, None).await
}

/// One of them.
#[utoipa::path(get, path = "/v2/invoices/{id}", tag = "invoices", params(Id),
    responses((status = 200, body = Invoice)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Invoice>(id, &INVOICES).await
}

/// A page of an invoice's lines.
#[utoipa::path(get, path = "/v2/invoices/{id}/lines", tag = "invoices", params(Id, Asked),
    responses((status = 200, body = Page<InvoiceLine>)))]
pub(super) async fn lines(caller: Caller, Id(id): Id, asked: Asked) -> Result<Response, Failure> {
    let within = Within { parent: &INVOICES, condition: "invoice_id = $3", id };
    caller.list::<InvoiceLine>(asked, &LINES, Some(within)).await
}
