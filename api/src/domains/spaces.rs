//! `/v2/spaces`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    entity::{Entity, no_rules},
    field::{Field, Kind, field},
    idempotency::Key,
    properties::PROPERTIES,
    record::record,
    view::{View, Within},
    write::Posted,
};
use crate::money::MinorUnits;

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

const SPACE: Entity = Entity {
    view: &SPACES,
    domain: "properties",
    noun: "space",
    path: "/v2/spaces",
    fields: FIELDS,
    tells: &["property_id"],
    rules: no_rules,
    open: &[],
    has_version: true,
    key: Key::Optional,
};

/// A page of a property's spaces.
pub(super) async fn of_property(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let within = Within { parent: &PROPERTIES, condition: "property_id = $3", id };
    caller.list::<Space>(asked, &SPACES, Some(within)).await
}

/// A page of spaces.
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Space>(asked, &SPACES, None).await
}

/// One space.
pub(super) async fn get(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Space>(id, &SPACES).await
}

/// Makes one.
pub(super) async fn create(caller: Caller, posted: Posted) -> Result<Response, Failure> {
    caller.create::<Space>(posted, &SPACE).await
}

/// Changes one.
pub(super) async fn update(caller: Caller, id: Id, posted: Posted) -> Result<Response, Failure> {
    caller.update::<Space>(id, posted, &SPACE).await
}
