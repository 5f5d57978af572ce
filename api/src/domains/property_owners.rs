//! `/v2/property-owners`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    properties::{PROPERTIES, Property},
    record::record,
    view::{View, Within},
};
use crate::page::Page;

record! {
    /// A property owner.
    PropertyOwner {
        id: Uuid,
        name: Option<String>,
        register_no: Option<String>,
        phone: Option<String>,
        email: Option<String>,
        kind: Option<String>,
        #[schema(format = DateTime)]
        created_on: Option<String>,
        version: i32,
    }
}

const OWNERS: View = View {
    entity: "property_owners",
    columns: "id, name, register_no, phone, email, kind, version, \
              to_char(created_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as created_on",
    long: None,
    soft_delete: true,
    own: "select access.owner_id()",
};

/// A page of them.
#[utoipa::path(get, path = "/v2/property-owners", tag = "property-owners", params(Asked),
    responses((status = 200, body = Page<PropertyOwner>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<PropertyOwner>(asked, &OWNERS, None).await
}

/// One of them.
#[utoipa::path(get, path = "/v2/property-owners/{id}", tag = "property-owners", params(Id),
    responses((status = 200, body = PropertyOwner)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<PropertyOwner>(id, &OWNERS).await
}

/// A page of the owner's properties.
#[utoipa::path(get, path = "/v2/property-owners/{id}/properties", tag = "properties", params(Id, Asked),
    responses((status = 200, body = Page<Property>)))]
pub(super) async fn properties(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let condition = "id in (select link.property_id from property_owner_links as link \
                     where link.property_owner_id = $3)";
    let within = Within { parent: &OWNERS, condition, id };
    caller.list::<Property>(asked, &PROPERTIES, Some(within)).await
}
