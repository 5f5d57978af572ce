//! `/v2/properties`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    body::body,
    caller::{Asked, Caller, Failure, Id},
    entity::{Entity, no_rules},
    field::{Field, Kind, TEXT_MAX, field},
    idempotency::Key,
    property_owners::OWNERS,
    reading::{Purpose, Reading, Values},
    record::{Record as _, record},
    reply::Reply,
    view::View,
    write::Posted,
};
use crate::{database::Work, openapi::ChangeHeaders, page::Page};

record! {
    /// A property.
    Property {
        id: Uuid,
        code: Option<String>,
        name: Option<String>,
        address: Option<String>,
        total_area: Option<f64>,
        latitude: Option<f64>,
        longitude: Option<f64>,
        /// `#aarrggbb`.
        color: Option<String>,
        /// Seconds after midnight.
        opens_at: Option<i32>,
        version: i32,
    }
}

pub(super) const PROPERTIES: View = View {
    entity: "properties",
    columns: "id, code, name, address, total_area, latitude, longitude, color, opens_at, version",
    long: None,
    soft_delete: true,
    own: "select property_id from access.own_properties",
};

const FIELDS: &[Field] = &[
    field("code", Kind::Line(20)),
    field("name", Kind::Line(100)).required(),
    field("address", Kind::Text(TEXT_MAX)),
    field("total_area", Kind::Real(0.0, 1e9)),
    field("latitude", Kind::Real(-90.0, 90.0)),
    field("longitude", Kind::Real(-180.0, 180.0)),
    field("color", Kind::Color),
    field("opens_at", Kind::Whole(0, 86_399)),
    // Not a column, but a link: a property without an owner would be nobody's.
    field(OWNER_ID, Kind::Reference(&OWNERS)).required().fixed(),
];

body!(NewProperty: Make FIELDS);
body!(PropertyChange: Change FIELDS);

const OWNER_ID: &str = "property_owner_id";

const PROPERTY: Entity = Entity {
    view: &PROPERTIES,
    domain: "properties",
    noun: "property",
    path: "/v2/properties",
    fields: FIELDS,
    tells: &[],
    rules: no_rules,
    open: &[],
    has_version: true,
    key: Key::Optional,
};

const LINK: Entity = Entity {
    view: &View {
        entity: "property_owner_links",
        columns: "id",
        long: None,
        soft_delete: false,
        own: "select id from property_owner_links",
    },
    noun: "property-owner-link",
    tells: &["property_owner_id", "property_id"],
    fields: &[],
    ..PROPERTY
};

/// A page of properties.
#[utoipa::path(get, path = "/v2/properties", tag = "properties", params(Asked),
    responses((status = 200, body = Page<Property>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Property>(asked, &PROPERTIES, None).await
}

/// One property.
#[utoipa::path(get, path = "/v2/properties/{id}", tag = "properties", params(Id),
    responses((status = 200, body = Property)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Property>(id, &PROPERTIES).await
}

/// Makes one, with the link to its owner.
#[utoipa::path(post, path = "/v2/properties", tag = "properties",
    params(Posted), request_body = NewProperty, responses((status = 201, body = Property)))]
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller
        .write(posted, PROPERTY.terms(PROPERTY.key), |tx| {
            Box::pin(async move {
                let mut reading = Reading::default();
                let mut values = reading.object(tx.posted.object()?, "", FIELDS, Purpose::Make);
                reading.end(tx.connection).await?;
                let owner = values.remove(OWNER_ID).unwrap_or_default();
                let made = tx.insert(&PROPERTY, values).await?;
                tx.note_created(&PROPERTY, &made).await?;
                let mut link = Values::new();
                link.insert(OWNER_ID.to_owned(), owner);
                link.insert("property_id".to_owned(), made.id.to_string().into());
                let link = tx.insert(&LINK, link).await?;
                tx.note_created(&LINK, &link).await?;
                let location = format!("{}/{}", PROPERTY.path, made.id);
                Reply::created(&Property::from_row(&made.row)?, made.version(), location)
            }) as Work<'_, Reply>
        })
        .await
}

/// Changes one.
#[utoipa::path(patch, path = "/v2/properties/{id}", tag = "properties",
    params(Id, ChangeHeaders), request_body = PropertyChange, responses((status = 200, body = Property)))]
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<Property>(id, posted, &PROPERTY).await
}
