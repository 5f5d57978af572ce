//! What the OpenAPI document says of bodies: what their tables of fields say.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

use super::{
    field::{Field, Kind},
    reading::Purpose,
};

/// A list of objects in a body: its name, what its objects are made of, and how many there may be.
pub(super) type List = (&'static str, &'static [Field], (usize, usize));

/// The schema of a body.
pub(super) fn schema(fields: &[Field], lists: &[List], purpose: Purpose) -> RefOr<Schema> {
    let mut object = object(fields, purpose);
    for (name, fields, (from, to)) in lists {
        let item = self::object(fields, Purpose::Make);
        let list = json!({ "type": "array", "items": item, "minItems": from, "maxItems": to });
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            properties.insert((*name).to_owned(), list);
        }
        if let (Some(Value::Array(required)), true) = (object.get_mut("required"), *from > 0) {
            required.push(json!(name));
        }
    }
    serde_json::from_value(Value::Object(object))
        .map_or_else(|_| RefOr::T(Schema::default()), RefOr::T)
}

fn object(fields: &[Field], purpose: Purpose) -> Map<String, Value> {
    let change = purpose == Purpose::Change;
    let settable = || fields.iter().filter(|field| !(change && field.is_fixed));
    let properties: Map<String, Value> =
        settable().map(|field| (field.name(), property(field))).collect();
    let required: Vec<String> =
        settable().filter(|field| field.is_required && !change).map(Field::name).collect();
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Value::Object(properties));
    object.insert("required".to_owned(), json!(required));
    object.insert("additionalProperties".to_owned(), json!(false));
    if change {
        object.insert("minProperties".to_owned(), json!(1));
    }
    object
}

fn property(field: &Field) -> Value {
    let mut property = of_kind(field.kind);
    if field.is_required {
        if let (Kind::Line(_) | Kind::Text(_), Some(pattern)) =
            (field.kind, property.get_mut("pattern"))
        {
            *pattern = json!(not_blank(pattern.as_str().unwrap_or_default()));
        }
        return property;
    }
    if let Some(kind) = property.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(words)) = property.get_mut("enum") {
        words.push(Value::Null);
    }
    property
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Line(max) => json!({ "type": "string", "maxLength": max, "pattern": LINE }),
        Kind::Text(max) => json!({ "type": "string", "maxLength": max, "pattern": TEXT }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Whole(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Kind::Real(from, to) => json!({ "type": "number", "minimum": from, "maximum": to }),
        Kind::Amount => amount("^[0-9]{1,17}$"),
        Kind::PositiveAmount => amount("^[0-9]{0,16}[1-9][0-9]{0,16}$"),
        Kind::Price => json!({
            "type": "string", "pattern": "^[0-9]{1,18}([.][0-9]{1,10})?$",
            "description": "In minor units, perhaps with fractions of them."
        }),
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Month => json!({ "type": "string", "format": "date", "pattern": "-01$" }),
        Kind::Moment => json!({ "type": "string", "format": "date-time" }),
        Kind::Color => json!({ "type": "string", "pattern": "^#[0-9A-Fa-f]{8}$" }),
        Kind::Reference(_) => json!({ "type": "string", "format": "uuid" }),
    }
}

/// No control characters; of those, texts may have line breaks and tabs.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
const TEXT: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";

/// The same with something to see in it.
fn not_blank(pattern: &str) -> String {
    let class = pattern.trim_start_matches("^[").trim_end_matches("]*$");
    format!(r"^[{class}]*[{class}\s][{class}]*$")
}

fn amount(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern, "description": "Minor units." })
}

/// Names a body for the document.
macro_rules! body {
    ($name:ident: $purpose:ident $fields:expr $(, $list:expr)?) => {
        #[doc = "A body, for the document."]
        pub(super) enum $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let purpose = $crate::domains::reading::Purpose::$purpose;
                $crate::domains::body::schema($fields, &[$($list)?], purpose)
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(super) use body;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains::field::field;

    const FIELDS: &[Field] = &[
        field("name", Kind::Line(5)).required(),
        field("kind", Kind::OneOf(&["a", "b"])),
        field("total", Kind::Amount).required().fixed(),
    ];

    #[test]
    fn the_schema_of_a_body_follows_from_its_fields() {
        let read = |lists: &[List], purpose| {
            serde_json::to_value(schema(FIELDS, lists, purpose)).expect("JSON")
        };
        let pattern = not_blank(LINE);
        assert!(pattern.ends_with(r"\u009f\s][^\u0000-\u001f\u007f-\u009f]*$"), "{pattern}");
        let name = json!({ "type": "string", "maxLength": 5, "pattern": pattern });
        let kind = json!({ "type": ["string", "null"], "enum": ["a", "b", null] });
        let made = read(&[("lines", FIELDS, (1, 2))], Purpose::Make);
        assert_eq!(made["required"], json!(["name", "total", "lines"]));
        assert_eq!(made["additionalProperties"], false);
        assert_eq!(made["properties"]["kind"], kind);
        assert_eq!(made["properties"]["lines"]["items"]["required"], json!(["name", "total"]));
        assert_eq!(made["properties"]["lines"]["maxItems"], 2);
        let changed = read(&[], Purpose::Change);
        assert_eq!(changed["properties"], json!({ "name": name, "kind": kind }));
        assert_eq!((&changed["required"], &changed["minProperties"]), (&Value::Null, &json!(1)));
    }
}
