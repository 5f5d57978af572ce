//! properties, property_owner_links, spaces and space_rates.

use std::collections::BTreeMap;

use mapping::value::LegacyValue;
use sandbox::legacy::Error;

use super::{
    Model,
    convert::{self, Converted},
    record::{Build, Tables},
};

const USAGES: &[&str] = &["office", "retail", "storage", "parking", "advertising"];

pub(super) fn expect(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    for record in tables.rows("Property")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .put("code", "Code", convert::filled)
            .put("name", "Name", convert::trimmed)
            .put("address", "Address", convert::surrogate_replaced)
            .put("total_area", "TotalArea", convert::float)
            .put("latitude", "Latitude", convert::float)
            .put("longitude", "Longitude", convert::float)
            .put("color", "Color", convert::color)
            .put("opens_at", "OpensAt", convert::seconds)
            .put("photo", "Photo", convert::bytes)
            .finish();
        model.add(("properties", "Property"), record.key(&["Oid"]), built);
    }
    const LINKS: &str = "PropertyProperties_OwnerOwners";
    for record in tables.rows(LINKS)? {
        let built = Build::new(&record)
            .version()
            .refer("property_owner_id", &["Owners"])
            .refer("property_id", &["Properties"])
            .finish();
        model.add(("property_owner_links", LINKS), record.key(&["OID"]), built);
    }
    spaces(tables, model)?;
    for record in tables.rows("SpaceRate")? {
        let built = Build::new(&record)
            .refer("space_id", &["SPACE_ID"])
            .put("rate_code", "RATE_CODE", convert::end_trimmed)
            .put("valid_from", "VALID_FROM", convert::rate_instant)
            .put("rate", "RATE", convert::money)
            .finish();
        let key = record.key(&["SPACE_ID", "RATE_CODE", "VALID_FROM"]);
        model.add(("space_rates", "SpaceRate"), key, built);
    }
    Ok(())
}

fn spaces(tables: &Tables<'_>, model: &mut Model) -> Result<(), Error> {
    let types = tables.type_names()?;
    for record in tables.rows("Space")? {
        let built = Build::new(&record)
            .soft_delete()
            .version()
            .refer("property_id", &["Property"])
            .refer("parent_space_id", &["ParentSpace"])
            .put("code", "Code", convert::filled)
            .put("floor_no", "FloorNo", convert::integer)
            .put("area", "Area", convert::float)
            .put("monthly_rate", "MonthlyRate", convert::money)
            .put("category", "Category", |value| {
                Ok(convert::end_trimmed(value)?.filter(|text| !text.is_empty()))
            })
            .put("usage", "SpaceKind", convert::one_of(USAGES, "office"))
            .put("plate_no", "PlateNo", convert::filled)
            .put("location_x", "LocationX", convert::integer)
            .put("location_y", "LocationY", convert::integer)
            .put("kind", "ObjectType", |value| kind(value, &types))
            .finish();
        model.add(("spaces", "Space"), record.key(&["OID"]), built);
    }
    Ok(())
}

fn kind(value: &LegacyValue<'static>, types: &BTreeMap<i64, String>) -> Converted {
    let LegacyValue::Int(number) = value else { return Err("null") };
    match types.get(number).map(String::as_str) {
        Some("Spacehub.Module.BusinessObjects.Space") => Ok(Some("space".into())),
        Some("Spacehub.Module.BusinessObjects.ParkingSpace") => Ok(Some("parking_space".into())),
        Some("Spacehub.Module.BusinessObjects.Billboard") => Ok(Some("billboard".into())),
        _ => Err("type.unknown"),
    }
}
