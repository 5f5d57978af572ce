//! `/v2/payments`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    allocation::{self, Wish},
    body::body,
    caller::{Asked, Caller, Failure, Id, Ids},
    entity::{Draft, Entity, follow_rules, no_rules},
    field::{Field, Kind, field},
    idempotency::Key,
    invoices::INVOICES,
    part::Part,
    property_owners::OWNERS,
    reading::{Purpose, Reading, Values, amount, id, word},
    record::{Record as _, record},
    reply::Reply,
    tenants::TENANTS,
    tx::{Tx, version},
    value::now,
    view::{View, Within},
    write::{Posted, Terms},
};
use crate::{
    Error,
    database::Work,
    money::MinorUnits,
    openapi::{ChangeHeaders, KeyedHeaders},
    page::Page,
};

/// Invoices that one request may pay: from, to.
const ALLOCATIONS_COUNT: (usize, usize) = (0, 100);

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

const FIELDS: &[Field] = &[
    // Whose money it is, one of the two.
    field("tenant_id", Kind::Reference(&TENANTS)).fixed(),
    field("property_owner_id", Kind::Reference(&OWNERS)).fixed(),
    // What came in is a fact. A mistake is another payment.
    field("amount", Kind::PositiveAmount).required().fixed(),
    field("paid_on", Kind::Moment),
    field("value_date", Kind::Date),
    field("method", Kind::OneOf(&["cash", "bank_transfer", "card", "qpay", "social_pay"]))
        .required(),
    field("bank_ref", Kind::Line(100)),
];

body!(NewPayment: Make FIELDS, ("allocations", ALLOCATION.fields, ALLOCATIONS_COUNT));
body!(PaymentChange: Change FIELDS);

pub(super) const PAYMENT: Entity = Entity {
    view: &PAYMENTS,
    domain: "payments",
    noun: "payment",
    path: "/v2/payments",
    fields: FIELDS,
    tells: &["tenant_id", "property_owner_id"],
    rules: one_payer,
    open: &[],
    has_version: true,
    key: Key::Required,
};

fn one_payer(payment: &mut Draft<'_>, reading: &mut Reading) {
    if payment.row.contains_key("id") {
        return; // Who has paid is not changed any more.
    }
    payment.row.entry("paid_on").or_insert_with(now);
    let given = ["tenant_id", "property_owner_id"].map(|payer| word(&payment.row, payer).is_some());
    if given == [true; 2] || given == [false; 2] {
        reading.refuse("tenantId", "or propertyOwnerId is needed, and one of them only");
    }
}

record! {
    /// The part of a payment that pays an invoice.
    Allocation {
        id: Uuid,
        payment_id: Option<Uuid>,
        invoice_id: Option<Uuid>,
        amount: Option<MinorUnits>,
        /// Of the payment: an allocation has none of its own.
        version: i32,
    }
}

const ALLOCATIONS: View = View {
    entity: "payment_allocations",
    columns: "id, payment_id, invoice_id, amount, \
              coalesce((select whole.version from payments as whole \
              where whole.id = payment_id), 0) as version",
    long: None,
    soft_delete: false,
    own: "select part.id from payment_allocations as part \
          join access.own_invoices as own on own.invoice_id = part.invoice_id",
};

pub(super) const ALLOCATION: Entity = Entity {
    view: &ALLOCATIONS,
    domain: "payments",
    noun: "payment-allocation",
    path: "/v2/payments",
    fields: &[
        field("invoice_id", Kind::Reference(&INVOICES)).required().fixed(),
        field("amount", Kind::PositiveAmount).required().fixed(),
    ],
    tells: &["payment_id", "invoice_id"],
    rules: no_rules,
    open: &[],
    has_version: false,
    key: Key::Required,
};

body!(NewAllocation: Make ALLOCATION.fields);

const PARTS: Part = Part {
    whole: &PAYMENT,
    part: &ALLOCATION,
    column: "payment_id",
    segment: "allocations",
    totals: "",
};

/// Paying changes invoices.
const TERMS: Terms =
    Terms { domain: "payments", with: &["invoices", "payments"], key: Key::Required };

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
    let within = Within { parent: &PAYMENTS, condition: "payment_id = $4", id };
    caller.list::<Allocation>(asked, &ALLOCATIONS, Some(within)).await
}

/// Makes one, and pays invoices with it if it says so.
#[utoipa::path(post, path = "/v2/payments", tag = "payments",
    params(KeyedHeaders), request_body = NewPayment, responses((status = 201, body = Payment)))]
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller
        .write(posted, TERMS, |tx| Box::pin(async move { make(tx).await }) as Work<'_, Reply>)
        .await
}

async fn make(tx: &mut Tx<'_>) -> Result<Reply, Error> {
    let mut reading = Reading::default();
    let mut object = tx.posted.object()?;
    let mut parts = Vec::new();
    let given = reading.list(&mut object, "allocations", ALLOCATIONS_COUNT);
    for (at, part) in given.into_iter().enumerate() {
        let prefix = format!("allocations[{at}].");
        let part = reading.object(part, &prefix, ALLOCATION.fields, Purpose::Make);
        parts.push((prefix, part));
    }
    let named = reading.object(object, "", FIELDS, Purpose::Make);
    let values = follow_rules(&PAYMENT, &Values::new(), named, &mut reading);
    reading.end(tx.connection).await?;
    let made = tx.insert(&PAYMENT, values).await?;
    tx.note_created(&PAYMENT, &made).await?;
    let wishes = parts.into_iter().filter_map(|(prefix, part)| wish(prefix, &part)).collect();
    allocation::allocate(tx, (made.id, &made.image), wishes).await?;
    let location = format!("{}/{}", PAYMENT.path, made.id);
    Reply::created(&Payment::from_row(&made.row)?, made.version(), location)
}

fn wish(at: String, part: &Values) -> Option<Wish> {
    let invoice = part.get("invoice_id").and_then(id)?;
    Some(Wish { at, invoice, amount: amount(part, "amount") })
}

/// Changes one.
#[utoipa::path(patch, path = "/v2/payments/{id}", tag = "payments",
    params(Id, ChangeHeaders), request_body = PaymentChange, responses((status = 200, body = Payment)))]
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<Payment>(id, posted, &PAYMENT).await
}

/// One allocation.
#[utoipa::path(get, path = "/v2/payments/{id}/allocations/{part}", tag = "payments",
    params(Ids), responses((status = 200, body = Allocation)))]
pub(super) async fn allocation(caller: Caller, ids: Ids) -> Result<Response, Failure> {
    caller.part::<Allocation>(ids, &PARTS).await
}

/// Pays an invoice out of what is left of a payment.
#[utoipa::path(post, path = "/v2/payments/{id}/allocations", tag = "payments",
    params(Id, KeyedHeaders), request_body = NewAllocation, responses((status = 201, body = Allocation)))]
pub(super) async fn create_allocation(
    caller: Caller,
    Id(payment): Id,
    posted: Posted,
) -> Result<Response, Failure> {
    caller
        .write(posted, TERMS, move |tx| {
            Box::pin(async move {
                let mut reading = Reading::default();
                let object = tx.posted.object()?;
                let part = reading.object(object, "", ALLOCATION.fields, Purpose::Make);
                let before = tx.lock(&PAYMENT, payment).await?;
                tx.posted.check_version(version(&before).unwrap_or_default())?;
                reading.end(tx.connection).await?;
                let wishes = wish(String::new(), &part).into_iter().collect();
                let made = allocation::allocate(tx, (payment, &before), wishes).await?;
                let made = made.first().ok_or_else(|| {
                    Error::Internal("an allocation without its invoice".to_owned())
                })?;
                PARTS.touch(tx, &before, payment).await?;
                PARTS.created::<Allocation>(tx, payment, made.id).await
            }) as Work<'_, Reply>
        })
        .await
}

/// Takes an allocation back, as when a payment bounces.
#[utoipa::path(delete, path = "/v2/payments/{id}/allocations/{part}", tag = "payments",
    params(Ids, Posted), responses((status = 204)))]
pub(super) async fn delete_allocation(
    caller: Caller,
    Ids(payment, part): Ids,
    posted: Posted,
) -> Result<Response, Failure> {
    caller
        .write(posted, Terms { key: Key::Optional, ..TERMS }, move |tx| {
            Box::pin(async move {
                let before = tx.lock(&PAYMENT, payment).await?;
                tx.posted.check_version(version(&before).unwrap_or_default())?;
                allocation::release(tx, payment, part).await?;
                PARTS.touch(tx, &before, payment).await?;
                Ok(Reply::gone())
            }) as Work<'_, Reply>
        })
        .await
}
