//! `/v2/invoices`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    body::body,
    caller::{Asked, Caller, Failure, Id, Ids},
    contracts::CONTRACTS,
    entity::{Draft, Entity, follow_rules, no_rules, state},
    field::{Field, Kind, field},
    idempotency::Key,
    part::{Part, number},
    reading::{Purpose, Reading, Values, amount},
    record::{Record as _, record},
    reply::Reply,
    transition::{Statuses, Step, transition_to},
    tx::Tx,
    value::now,
    view::{View, Within},
    write::Posted,
};
use crate::{
    Error,
    database::Work,
    money::MinorUnits,
    openapi::{ChangeHeaders, KeyedHeaders},
    page::Page,
};

/// Lines that one request may bring: from, to.
const LINES_COUNT: (usize, usize) = (1, 200);

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

const FIELDS: &[Field] = &[
    field("contract_id", Kind::Reference(&CONTRACTS)).required().fixed(),
    field("due_on", Kind::Date).required(),
    field("period_month", Kind::Month),
    // Told and not computed: a rate is a float, and who rounds it is the tax office's business.
    field("vat", Kind::Amount).required(),
];

body!(NewInvoice: Make FIELDS, ("lines", LINE.fields, LINES_COUNT));
body!(InvoiceChange: Change FIELDS);

pub(super) const INVOICE: Entity = Entity {
    view: &INVOICES,
    domain: "invoices",
    noun: "invoice",
    path: "/v2/invoices",
    fields: FIELDS,
    tells: &["contract_id"],
    rules: sum_up,
    // What was sent to somebody is not changed any more.
    open: &["draft"],
    has_version: true,
    key: Key::Required,
};

/// The total follows from the subtotal, which follows from the lines.
fn sum_up(invoice: &mut Draft<'_>, reading: &mut Reading) {
    if !invoice.names(&["subtotal", "vat"]) {
        return;
    }
    match amount(&invoice.row, "subtotal").checked_add(amount(&invoice.row, "vat")) {
        Some(total) => drop(invoice.row.insert("total".to_owned(), total.into())),
        None => reading.refuse("vat", "makes a total that is too large"),
    }
}

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

const LINE: Entity = Entity {
    view: &LINES,
    domain: "invoices",
    noun: "invoice-line",
    path: "/v2/invoices",
    fields: &[
        field("description", Kind::Line(200)).required(),
        field("quantity", Kind::Real(0.0, 1e9)),
        field("unit_price", Kind::Amount),
        field("amount", Kind::Amount).required(),
    ],
    tells: &["invoice_id"],
    rules: no_rules,
    open: &[],
    has_version: true,
    key: Key::Required,
};

body!(NewInvoiceLine: Make LINE.fields);
body!(InvoiceLineChange: Change LINE.fields);

const PARTS: Part = Part {
    whole: &INVOICE,
    part: &LINE,
    column: "invoice_id",
    segment: "lines",
    totals: "(subtotal, total) = (select coalesce(sum(line.amount), 0), \
             coalesce(sum(line.amount), 0) + coalesce(invoices.vat, 0) \
             from invoice_lines as line \
             where line.invoice_id = invoices.id and line.deleted_at is null)",
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
    let within = Within { parent: &INVOICES, condition: "invoice_id = $4", id };
    caller.list::<InvoiceLine>(asked, &LINES, Some(within)).await
}

/// Makes one with its lines: a draft with the next number.
#[utoipa::path(post, path = "/v2/invoices", tag = "invoices",
    params(KeyedHeaders), request_body = NewInvoice, responses((status = 201, body = Invoice)))]
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller
        .write(posted, INVOICE.terms(INVOICE.key), |tx| {
            Box::pin(async move { make(tx).await }) as Work<'_, Reply>
        })
        .await
}

async fn make(tx: &mut Tx<'_>) -> Result<Reply, Error> {
    let mut reading = Reading::default();
    let mut object = tx.posted.object()?;
    let mut lines = Vec::new();
    for (at, line) in reading.list(&mut object, "lines", LINES_COUNT).into_iter().enumerate() {
        let prefix = format!("lines[{at}].");
        lines.push(reading.object(line, &prefix, LINE.fields, Purpose::Make));
    }
    let mut values = reading.object(object, "", FIELDS, Purpose::Make);
    let zero = Some(MinorUnits::new(0));
    let sum = |sum: Option<MinorUnits>, line| sum?.checked_add(amount(line, "amount"));
    match lines.iter().fold(zero, sum) {
        Some(subtotal) => drop(values.insert("subtotal".to_owned(), subtotal.into())),
        None => reading.refuse("lines", "make a total that is too large"),
    }
    let mut values = follow_rules(&INVOICE, &Values::new(), values, &mut reading);
    reading.end(tx.connection).await?;
    let number = number(tx, "invoice_no_seq", |n| format!("НХ-{n:07}")).await?;
    values.insert("invoice_no".to_owned(), number);
    values.insert("status".to_owned(), "draft".into());
    values.insert("paid_total".to_owned(), 0.into());
    let made = tx.insert(&INVOICE, values).await?;
    tx.note_created(&INVOICE, &made).await?;
    for line in lines {
        PARTS.insert(tx, made.id, line).await?;
    }
    let location = format!("{}/{}", INVOICE.path, made.id);
    Reply::created(&Invoice::from_row(&made.row)?, made.version(), location)
}

/// Changes a draft.
#[utoipa::path(patch, path = "/v2/invoices/{id}", tag = "invoices",
    params(Id, ChangeHeaders), request_body = InvoiceChange, responses((status = 200, body = Invoice)))]
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<Invoice>(id, posted, &INVOICE).await
}

/// One line.
#[utoipa::path(get, path = "/v2/invoices/{id}/lines/{part}", tag = "invoices",
    params(Ids), responses((status = 200, body = InvoiceLine)))]
pub(super) async fn line(caller: Caller, ids: Ids) -> Result<Response, Failure> {
    caller.part::<InvoiceLine>(ids, &PARTS).await
}

/// Adds a line to a draft.
#[utoipa::path(post, path = "/v2/invoices/{id}/lines", tag = "invoices",
    params(Id, KeyedHeaders), request_body = NewInvoiceLine, responses((status = 201, body = InvoiceLine)))]
pub(super) async fn create_line(
    caller: Caller,
    id: Id,
    posted: Posted,
) -> Result<Response, Failure> {
    caller.create_part::<InvoiceLine>(id, posted, &PARTS).await
}

/// Changes a line of a draft.
#[utoipa::path(patch, path = "/v2/invoices/{id}/lines/{part}", tag = "invoices",
    params(Ids, ChangeHeaders), request_body = InvoiceLineChange, responses((status = 200, body = InvoiceLine)))]
pub(super) async fn update_line(
    caller: Caller,
    ids: Ids,
    posted: Posted,
) -> Result<Response, Failure> {
    caller.update_part::<InvoiceLine>(ids, posted, &PARTS).await
}

const STATUSES: Statuses = Statuses {
    entity: &INVOICE,
    // Payments lead to them, and the end of payments away from them.
    derived: &["partly_paid", "paid"],
    before_step,
};

fn before_step(invoice: &Values, to: &str) -> Result<Values, Error> {
    let nothing = MinorUnits::new(0);
    match to {
        "issued" if !amount(invoice, "total").compare(nothing).is_gt() => {
            Err(state("total", "is 0: there is nothing to pay".to_owned()))
        }
        "issued" => Ok([("issued_on".to_owned(), now())].into_iter().collect()),
        // The legacy system left some that are paid in part and called `issued` all the same.
        "cancelled" if amount(invoice, "paid_total").compare(nothing).is_gt() => {
            Err(state("paidTotal", "is more than 0: take the payments away first".to_owned()))
        }
        _ => Ok(Values::new()),
    }
}

/// Takes an invoice to another status: `{"to": "issued"}` or `{"to": "cancelled"}`.
#[utoipa::path(post, path = "/v2/invoices/{id}/transitions", tag = "invoices",
    params(Id, Posted), request_body = Step, responses((status = 200, body = Invoice)))]
pub(super) async fn transition(
    caller: Caller,
    id: Id,
    posted: Posted,
) -> Result<Response, Failure> {
    transition_to::<Invoice>(caller, id, posted, &STATUSES).await
}
