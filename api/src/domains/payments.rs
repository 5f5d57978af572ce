//! `/v2/payments`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    record::record,
    view::{View, Within},
};
use crate::money::MinorUnits;

record! {
    /// A payment. The bank's raw message is nobody's business here.
    Payment {
        id: Uuid,
        tenant_id: Option<Uuid>,
        property_owner_id: Option<Uuid>,
        paid_on: Option<String>,
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
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Payment>(asked, &PAYMENTS, None).await
}

/// One of them.
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Payment>(id, &PAYMENTS).await
}

/// A page of a payment's allocations.
pub(super) async fn allocations(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let within = Within { parent: &PAYMENTS, condition: "payment_id = $3", id };
    caller.list::<Allocation>(asked, &ALLOCATIONS, Some(within)).await
}
