//! `/v2/spaces`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    body::body,
    caller::{Asked, Caller, Failure, Id},
    entity::{Draft, Entity},
    field::{Field, Kind, field},
    idempotency::Key,
    properties::PROPERTIES,
    reading::Reading,
    record::record,
    view::{View, Within},
    write::Posted,
};
use crate::{money::MinorUnits, openapi::ChangeHeaders, page::Page};

record! {
    /// A space of a property: a room, a parking space, a billboard.
    Space {
        id: Uuid,
        property_id: Option<Uuid>,
        parent_space_id: Option<Uuid>,
        code: Option<String>,
        floor_no: Option<i16>,
        area: Option<f64>,
        monthly_rate: Option<MinorUnits>,
        category: Option<String>,
        usage: Option<String>,
        plate_no: Option<String>,
        location_x: Option<i32>,
        location_y: Option<i32>,
        kind: Option<String>,
        version: i32,
    }
}

pub(super) const SPACES: View = View {
    entity: "spaces",
    columns: "id, property_id, parent_space_id, code, floor_no, area, monthly_rate, category, \
              usage, plate_no, location_x, location_y, kind, version",
    long: None,
    soft_delete: true,
    own: "select space_id from access.own_spaces",
};

const I32: (i64, i64) = (-2_147_483_648, 2_147_483_647);

const FIELDS: &[Field] = &[
    field("property_id", Kind::Reference(&PROPERTIES)).required(),
    field("parent_space_id", Kind::Reference(&SPACES)),
    field("code", Kind::Line(20)).required(),
    field("floor_no", Kind::Whole(-32_768, 32_767)),
    field("area", Kind::Real(0.0, 1e9)),
    field("monthly_rate", Kind::Amount),
    field("category", Kind::Line(1)),
    field("usage", Kind::OneOf(&["office", "retail", "storage", "parking", "advertising"]))
        .required(),
    field("plate_no", Kind::Line(10)),
    field("location_x", Kind::Whole(I32.0, I32.1)),
    field("location_y", Kind::Whole(I32.0, I32.1)),
    field("kind", Kind::OneOf(&["space", "parking_space", "billboard"])).required().fixed(),
];

body!(NewSpace: Make FIELDS);
body!(SpaceChange: Change FIELDS);

const SPACE: Entity = Entity {
    view: &SPACES,
    domain: "properties",
    noun: "space",
    path: "/v2/spaces",
    fields: FIELDS,
    tells: &["property_id"],
    rules: not_its_own_parent,
    open: &[],
    has_version: true,
    key: Key::Optional,
};

fn not_its_own_parent(space: &mut Draft<'_>, reading: &mut Reading) {
    let own = space.row.get("id");
    if own.is_some() && own == space.named.get("parent_space_id") {
        reading.refuse("parentSpaceId", "must be another space");
    }
}

/// A page of a property's spaces.
#[utoipa::path(get, path = "/v2/properties/{id}/spaces", tag = "properties", params(Id, Asked),
    responses((status = 200, body = Page<Space>)))]
pub(super) async fn of_property(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let within = Within { parent: &PROPERTIES, condition: "property_id = $4", id };
    caller.list::<Space>(asked, &SPACES, Some(within)).await
}

/// A page of spaces.
#[utoipa::path(get, path = "/v2/spaces", tag = "properties", params(Asked),
    responses((status = 200, body = Page<Space>)))]
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Space>(asked, &SPACES, None).await
}

/// One space.
#[utoipa::path(get, path = "/v2/spaces/{id}", tag = "properties", params(Id),
    responses((status = 200, body = Space)))]
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Space>(id, &SPACES).await
}

/// Makes one.
#[utoipa::path(post, path = "/v2/spaces", tag = "properties",
    params(Posted), request_body = NewSpace, responses((status = 201, body = Space)))]
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller.create::<Space>(posted, &SPACE).await
}

/// Changes one.
#[utoipa::path(patch, path = "/v2/spaces/{id}", tag = "properties",
    params(Id, ChangeHeaders), request_body = SpaceChange, responses((status = 200, body = Space)))]
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<Space>(id, posted, &SPACE).await
}
