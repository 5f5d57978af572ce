//! `/v2/tenants`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    record::record,
    view::View,
};
use crate::{money::MinorUnits, page::Page};

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
        version: i32,
    }
}

const TENANTS: View = View {
    entity: "tenants",
    columns: "id, name, register_no, phone, email, kind, credit_limit, vat_payer, version, \
              to_char(created_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as created_on",
    long: None,
    soft_delete: true,
    own: "select tenant_id from access.own_tenants",
};

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
