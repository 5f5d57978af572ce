//! `/v2/payments`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    record::record,
    view::{View, Within},
};
use crate::{money::MinorUnits, page::Page};

record! {
    /// A payment. The bank's raw message is nobody's business here.
    Payment {
        id: Uuid,
        tenant_id: Option<Uuid>,
        property_owner_id: Option<Uuid>,
        #[schema(format = DateTime)]
        paid_on: Option<String>,
        #[schema(format = Date)]
        value_date: Option<String>,
        amount: Option<MinorUnits>,
        method: Option<String>,
        bank_ref: Option<String>,
        version: i32,
    }
}

const PAYMENTS: View = View {
    entity: "payments",
    columns: "id, tenant_id, property_owner_id, value_date::text, amount, method, bank_ref, version, \
              to_char(paid_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as paid_on",
    long: None,
    soft_delete: true,
    own: "select payment_id from access.own_payments",
};

record! {
    /// The part of a payment that pays an invoice.
    Allocation {
        id: Uuid,
        payment_id: Option<Uuid>,
        invoice_id: Option<Uuid>,
        amount: Option<MinorUnits>,
    }
}

const ALLOCATIONS: View = View {
    entity: "payment_allocations",
    columns: "id, payment_id, invoice_id, amount",
    long: None,
    soft_delete: false,
    own: "select part.id from payment_allocations as part \
          join access.own_invoices as own on own.invoice_id = part.invoice_id",
};

/// A page of them.
#[utoipa::path(get, path = "/v2/payments", tag = "payments", params(Asked),
    responses((status = 200, body = Page<Payment>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Payment>(asked, &PAYMENTS, None).await
}

/// One of them.
#[utoipa::path(get, path = "/v2/payments/{id}", tag = "payments", params(Id),
    responses((status = 200, body = Payment)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Payment>(id, &PAYMENTS).await
}

/// A page of a payment's allocations.
#[utoipa::path(get, path = "/v2/payments/{id}/allocations", tag = "payments", params(Id, Asked),
    responses((status = 200, body = Page<Allocation>)))]
pub(super) async fn allocations(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let within = Within { parent: &PAYMENTS, condition: "payment_id = $3", id };
    caller.list::<Allocation>(asked, &ALLOCATIONS, Some(within)).await
}
