//! `/v2/property-owners`.

use axum::{extract::Path, response::Response};
use serde::Serialize;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::request::{Asked, Caller, Failure, List, column};

/// A property owner.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PropertyOwner {
    id: Uuid,
    name: Option<String>,
    register_no: Option<String>,
    phone: Option<String>,
    email: Option<String>,
    kind: Option<String>,
    created_on: Option<String>,
    version: i32,
}

const LIST: &str = "\
    select id, name, register_no, phone, email, kind, version, \
           to_char(created_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as created_on \
    from property_owners \
    where id > $1 and deleted_at is null \
    order by id limit $2";

const GET: &str = "\
    select id, name, register_no, phone, email, kind, version, \
           to_char(created_on at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as created_on \
    from property_owners where id = $1 and deleted_at is null";

impl PropertyOwner {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: column(row, "id")?,
            name: column(row, "name")?,
            register_no: column(row, "register_no")?,
            phone: column(row, "phone")?,
            email: column(row, "email")?,
            kind: column(row, "kind")?,
            created_on: column(row, "created_on")?,
            version: column::<Option<i32>>(row, "version")?.unwrap_or_default(),
        })
    }
}

/// A page of them.
pub(super) async fn list(caller: Caller, asked: Asked) -> Result<Response, Failure> {
    let list = List {
        entity: "property_owners",
        sql: LIST,
        row: PropertyOwner::from_row,
        id: |owner| owner.id,
    };
    caller.list(asked, list, None).await
}

/// One of them.
pub(super) async fn get(caller: Caller, Path(id): Path<String>) -> Result<Response, Failure> {
    caller.row(id, GET, PropertyOwner::from_row).await
}

/// A property of an owner.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnedProperty {
    id: Uuid,
    code: Option<String>,
    name: Option<String>,
    address: Option<String>,
    total_area: Option<f64>,
    version: i32,
}

const PROPERTIES: &str = "\
    select p.id, p.code, p.name, p.address, p.total_area, p.version \
    from properties p \
    where p.id > $1 and p.deleted_at is null \
      and exists (select from property_owner_links l \
                  where l.property_id = p.id and l.property_owner_id = $3) \
    order by p.id limit $2";

impl OwnedProperty {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: column(row, "id")?,
            code: column(row, "code")?,
            name: column(row, "name")?,
            address: column(row, "address")?,
            total_area: column(row, "total_area")?,
            version: column::<Option<i32>>(row, "version")?.unwrap_or_default(),
        })
    }
}

/// A page of the owner's properties.
pub(super) async fn properties(
    caller: Caller,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    let list = List {
        entity: "properties",
        sql: PROPERTIES,
        row: OwnedProperty::from_row,
        id: |property| property.id,
    };
    caller.list(asked, list, Some(id)).await
}
