//! `/v2/property-owners`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    body::body,
    caller::{Asked, Caller, Failure, Id},
    entity::Entity,
    field::{Field, Kind, TEXT_MAX, field},
    idempotency::Key,
    properties::{PROPERTIES, Property},
    record::record,
    tenants::{KINDS, since_now},
    view::{View, Within},
    write::Posted,
};
use crate::{openapi::ChangeHeaders, page::Page};

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
        /// Of single owners only.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        note: Option<String>,
        version: i32,
    }
}

pub(super) const OWNERS: View = View {
    entity: "property_owners",
    columns: "id, name, register_no, phone, email, kind, version, \
              to_char(created_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as created_on",
    long: Some("note"),
    soft_delete: true,
    own: "select access.owner_id()",
};

const FIELDS: &[Field] = &[
    field("name", Kind::Line(100)).required(),
    field("register_no", Kind::Line(20)),
    field("phone", Kind::Line(100)),
    field("email", Kind::Line(100)),
    field("kind", KINDS).required(),
    field("note", Kind::Text(TEXT_MAX)),
];

body!(NewPropertyOwner: Make FIELDS);
body!(PropertyOwnerChange: Change FIELDS);

/// Without the commission rate: an owner may change himself, and that is agreed with him.
const OWNER: Entity = Entity {
    view: &OWNERS,
    domain: "property-owners",
    noun: "property-owner",
    path: "/v2/property-owners",
    fields: FIELDS,
    tells: &[],
    rules: since_now,
    open: &[],
    has_version: true,
    key: Key::Optional,
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
                     where link.property_owner_id = $4)";
    let within = Within { parent: &OWNERS, condition, id };
    caller.list::<Property>(asked, &PROPERTIES, Some(within)).await
}

/// Makes one.
#[utoipa::path(post, path = "/v2/property-owners", tag = "property-owners",
    params(Posted), request_body = NewPropertyOwner, responses((status = 201, body = PropertyOwner)))]
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller.create::<PropertyOwner>(posted, &OWNER).await
}

/// Changes one.
#[utoipa::path(patch, path = "/v2/property-owners/{id}", tag = "property-owners",
    params(Id, ChangeHeaders), request_body = PropertyOwnerChange, responses((status = 200, body = PropertyOwner)))]
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<PropertyOwner>(id, posted, &OWNER).await
}
