//! `/v2/properties` and `/v2/spaces`.

use axum::response::Response;
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    record::record,
    view::{View, Within},
};
use crate::{money::MinorUnits, page::Page};

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

const SPACES: View = View {
    entity: "spaces",
    columns: "id, property_id, parent_space_id, code, floor_no, area, monthly_rate, category, \
              usage, plate_no, location_x, location_y, kind, version",
    long: None,
    soft_delete: true,
    own: "select space_id from access.own_spaces",
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

/// A page of a property's spaces.
#[utoipa::path(get, path = "/v2/properties/{id}/spaces", tag = "properties", params(Id, Asked),
    responses((status = 200, body = Page<Space>)))]
pub(super) async fn spaces_of(
    caller: Caller,
    Id(id): Id,
    asked: Asked,
) -> Result<Response, Failure> {
    let within = Within { parent: &PROPERTIES, condition: "property_id = $3", id };
    caller.list::<Space>(asked, &SPACES, Some(within)).await
}

/// A page of spaces.
#[utoipa::path(get, path = "/v2/spaces", tag = "properties", params(Asked),
    responses((status = 200, body = Page<Space>)))]
pub(super) async fn spaces(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    caller.list::<Space>(asked, &SPACES, None).await
}

/// One space.
#[utoipa::path(get, path = "/v2/spaces/{id}", tag = "properties", params(Id),
    responses((status = 200, body = Space)))]
pub(super) async fn space(caller: Caller, id: Id) -> Result<Response, Failure> {
    caller.row::<Space>(id, &SPACES).await
}
