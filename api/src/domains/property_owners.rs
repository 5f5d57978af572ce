//! `/v2/property-owners`.

use axum::response::Response;
use uuid::Uuid;

use super::{
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

record! {
    /// A property owner.
    PropertyOwner {
        id: Uuid,
        name: Option<String>,
        register_no: Option<String>,
        phone: Option<String>,
        email: Option<String>,
        kind: Option<String>,
        created_on: Option<String>,
        /// Of single owners only.
        #[serde(skip_serializing_if = "Option::is_none")]
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
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<PropertyOwner>(asked, &OWNERS, None).await
}

/// One of them.
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<PropertyOwner>(id, &OWNERS).await
}

/// A page of the owner's properties.
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

/// Makes one.
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller.create::<PropertyOwner>(posted, &OWNER).await
}

/// Changes one.
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<PropertyOwner>(id, posted, &OWNER).await
}
