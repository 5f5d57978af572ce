//! `/v2/tenants`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    body::body,
    caller::{Asked, Caller, Failure, Id},
    entity::{Draft, Entity},
    field::{Field, Kind, TEXT_MAX, field},
    idempotency::Key,
    reading::Reading,
    record::record,
    value::now,
    view::View,
    write::Posted,
};
use crate::{money::MinorUnits, openapi::ChangeHeaders, page::Page};

record! {
    /// A tenant.
    Tenant {
        id: Uuid,
        name: Option<String>,
        register_no: Option<String>,
        phone: Option<String>,
        email: Option<String>,
        kind: Option<String>,
        #[schema(format = DateTime)]
        created_on: Option<String>,
        credit_limit: Option<MinorUnits>,
        vat_payer: Option<bool>,
        /// Of single tenants only.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        note: Option<String>,
        version: i32,
    }
}

pub(super) const TENANTS: View = View {
    entity: "tenants",
    columns: "id, name, register_no, phone, email, kind, credit_limit, vat_payer, version, \
              to_char(created_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as created_on",
    long: Some("note"),
    soft_delete: true,
    own: "select tenant_id from access.own_tenants",
};

/// What owners and tenants have in common: the legacy system keeps both as parties.
pub(super) const KINDS: Kind = Kind::OneOf(&["person", "company", "public"]);

const FIELDS: &[Field] = &[
    field("name", Kind::Line(100)).required(),
    field("register_no", Kind::Line(20)),
    field("phone", Kind::Line(100)),
    field("email", Kind::Line(100)),
    field("kind", KINDS).required(),
    field("note", Kind::Text(TEXT_MAX)),
    field("credit_limit", Kind::Amount),
    field("vat_payer", Kind::Bool).required(),
];

body!(NewTenant: Make FIELDS);
body!(TenantChange: Change FIELDS);

const TENANT: Entity = Entity {
    view: &TENANTS,
    domain: "tenants",
    noun: "tenant",
    path: "/v2/tenants",
    fields: FIELDS,
    tells: &[],
    rules: since_now,
    open: &[],
    has_version: true,
    key: Key::Optional,
};

/// A new party is one from now on.
pub(super) fn since_now(party: &mut Draft<'_>, _: &mut Reading) {
    party.row.entry("created_on").or_insert_with(now);
}

/// A page of them.
#[utoipa::path(get, path = "/v2/tenants", tag = "tenants", params(Asked),
    responses((status = 200, body = Page<Tenant>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Tenant>(asked, &TENANTS, None).await
}

/// One of them.
#[utoipa::path(get, path = "/v2/tenants/{id}", tag = "tenants", params(Id),
    responses((status = 200, body = Tenant)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Tenant>(id, &TENANTS).await
}

/// Makes one.
#[utoipa::path(post, path = "/v2/tenants", tag = "tenants",
    params(Posted), request_body = NewTenant, responses((status = 201, body = Tenant)))]
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller.create::<Tenant>(posted, &TENANT).await
}

/// Changes one.
#[utoipa::path(patch, path = "/v2/tenants/{id}", tag = "tenants",
    params(Id, ChangeHeaders), request_body = TenantChange, responses((status = 200, body = Tenant)))]
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<Tenant>(id, posted, &TENANT).await
}
