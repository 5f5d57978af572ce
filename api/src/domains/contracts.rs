//! `/v2/contracts`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    body::body,
    caller::{Asked, Caller, Failure, Id, Ids},
    entity::{Entity, follow_rules},
    field::{Field, Kind, TEXT_MAX, field},
    idempotency::Key,
    invoices::{INVOICES, Invoice},
    part::{Part, number},
    reading::{Purpose, Reading, Values},
    record::{Record as _, record},
    reply::Reply,
    spaces::SPACES,
    tenants::TENANTS,
    transition::{Statuses, Step, as_allowed, transition_to},
    view::{View, Within},
    write::Posted,
};
use crate::{
    database::Work,
    money::MinorUnits,
    openapi::{ChangeHeaders, KeyedHeaders},
    page::Page,
};

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

const FIELDS: &[Field] = &[
    field("company_no", Kind::Line(4)).required().fixed(),
    field("tenant_id", Kind::Reference(&TENANTS)).required(),
    field("signed_on", Kind::Moment),
    field("start_date", Kind::Date).required(),
    field("end_date", Kind::Date),
    // Payments have no currency: another one here would be paid one for one.
    field("currency", Kind::OneOf(&["MNT"])).required(),
    field("monthly_total", Kind::Amount).required(),
    field("vat_rate", Kind::Real(0.0, 1.0)),
    field("terms", Kind::Text(TEXT_MAX)),
];

body!(NewContract: Make FIELDS);
body!(ContractChange: Change FIELDS);

const CONTRACT: Entity = Entity {
    view: &CONTRACTS,
    domain: "contracts",
    noun: "contract",
    path: "/v2/contracts",
    fields: FIELDS,
    tells: &["tenant_id"],
    rules: |contract, reading| contract.in_order("start_date", "end_date", reading),
    open: &["draft", "active", "suspended"],
    has_version: true,
    key: Key::Required,
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
        /// Of the contract: an item has none of its own.
        version: i32,
    }
}

const ITEMS: View = View {
    entity: "contract_items",
    columns: "id, line_no, space_id, valid_from::text, valid_to::text, area, unit_price::text, \
              amount, description, \
              coalesce((select whole.version from contracts as whole \
              where whole.id = contract_id), 0) as version",
    long: None,
    soft_delete: false,
    own: "select item.id from contract_items as item \
          join access.own_contracts as own on own.contract_id = item.contract_id",
};

const ITEM: Entity = Entity {
    view: &ITEMS,
    domain: "contracts",
    noun: "contract-item",
    path: "/v2/contracts",
    fields: &[
        field("space_id", Kind::Reference(&SPACES)).required(),
        field("valid_from", Kind::Date),
        field("valid_to", Kind::Date),
        field("area", Kind::Real(0.0, 1e9)),
        field("unit_price", Kind::Price),
        field("amount", Kind::Amount).required(),
        field("description", Kind::Line(200)),
    ],
    tells: &["contract_id", "space_id"],
    rules: |item, reading| item.in_order("valid_from", "valid_to", reading),
    open: &[],
    has_version: false,
    key: Key::Required,
};

body!(NewContractItem: Make ITEM.fields);
body!(ContractItemChange: Change ITEM.fields);

const PARTS: Part =
    Part { whole: &CONTRACT, part: &ITEM, column: "contract_id", segment: "items", totals: "" };

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
    let within = Within { parent: &CONTRACTS, condition: "contract_id = $4", id };
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
    let within = Within { parent: &CONTRACTS, condition: "contract_id = $4", id };
    caller.list::<Invoice>(asked, &INVOICES, Some(within)).await
}

/// Makes one: a draft with the next number.
#[utoipa::path(post, path = "/v2/contracts", tag = "contracts",
    params(KeyedHeaders), request_body = NewContract, responses((status = 201, body = Contract)))]
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller
        .write(posted, CONTRACT.terms(CONTRACT.key), |tx| {
            Box::pin(async move {
                let mut reading = Reading::default();
                let named = reading.object(tx.posted.object()?, "", FIELDS, Purpose::Make);
                let mut values = follow_rules(&CONTRACT, &Values::new(), named, &mut reading);
                reading.end(tx.connection).await?;
                // By the year in which it begins; the number goes on through all years.
                let year = year(&values);
                let number = number(tx, "contract_no_seq", |n| format!("ГЭ-{year}/{n:06}")).await?;
                values.insert("contract_no".to_owned(), number);
                values.insert("status".to_owned(), "draft".into());
                let made = tx.insert(&CONTRACT, values).await?;
                tx.note_created(&CONTRACT, &made).await?;
                let location = format!("{}/{}", CONTRACT.path, made.id);
                Reply::created(&Contract::from_row(&made.row)?, made.version(), location)
            }) as Work<'_, Reply>
        })
        .await
}

fn year(contract: &Values) -> String {
    let start = contract.get("start_date").and_then(serde_json::Value::as_str);
    start.unwrap_or_default().chars().take(4).collect()
}

/// Changes one that is not over.
#[utoipa::path(patch, path = "/v2/contracts/{id}", tag = "contracts",
    params(Id, ChangeHeaders), request_body = ContractChange, responses((status = 200, body = Contract)))]
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<Contract>(id, posted, &CONTRACT).await
}

/// One item.
#[utoipa::path(get, path = "/v2/contracts/{id}/items/{part}", tag = "contracts",
    params(Ids), responses((status = 200, body = ContractItem)))]
pub(super) async fn item(caller: Caller, ids: Ids) -> Result<Response, Failure> {
    caller.part::<ContractItem>(ids, &PARTS).await
}

/// Adds an item.
#[utoipa::path(post, path = "/v2/contracts/{id}/items", tag = "contracts",
    params(Id, KeyedHeaders), request_body = NewContractItem, responses((status = 201, body = ContractItem)))]
pub(super) async fn create_item(
    caller: Caller,
    id: Id,
    posted: Posted,
) -> Result<Response, Failure> {
    caller.create_part::<ContractItem>(id, posted, &PARTS).await
}

/// Changes an item.
#[utoipa::path(patch, path = "/v2/contracts/{id}/items/{part}", tag = "contracts",
    params(Ids, ChangeHeaders), request_body = ContractItemChange, responses((status = 200, body = ContractItem)))]
pub(super) async fn update_item(
    caller: Caller,
    ids: Ids,
    posted: Posted,
) -> Result<Response, Failure> {
    caller.update_part::<ContractItem>(ids, posted, &PARTS).await
}

const STATUSES: Statuses = Statuses { entity: &CONTRACT, derived: &[], before_step: as_allowed };

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
