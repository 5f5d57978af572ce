//! What NULL becomes.

use std::collections::BTreeMap;

use super::Outline;
use crate::{
    convert::{Make, Wrote},
    encode,
    file::{ColumnSaid, Literal, Mistakes},
    plan::{Context, OnNull, SoftDelete},
    value::LegacyValue,
};

/// By `default` and `not_null`.
pub(super) fn on_null(
    said: &ColumnSaid,
    make: &Make,
    outline: &Outline<'_>,
    m: &mut Mistakes<'_>,
) -> OnNull {
    // Their rows are mapped, and have lost their references by then.
    let soft =
        matches!(outline.said.soft_delete, Some(SoftDelete::DeletedAt | SoftDelete::Archive));
    match (&said.default, said.not_null) {
        (Some(default), _) => match default_field(make, &default.value) {
            Ok(field) => OnNull::Field(field.into()),
            Err(why) => {
                let message = format!("the default of `{}` {why}", said.name);
                m.add(default.at, message, "write a value that the column can hold");
                OnNull::Null
            }
        },
        (None, true) if soft && matches!(make, Make::Ref(_)) => OnNull::RejectLive,
        (None, true) => OnNull::Reject,
        (None, false) => OnNull::Null,
    }
}

/// What a default becomes: the column's own converter decides, so that a default and the same
/// value in a row are the same bytes.
fn default_field(make: &Make, default: &Literal) -> Result<Vec<u8>, String> {
    let mut field = Vec::new();
    let named = |field: &mut Vec<u8>, text: &str| {
        let written = encode::put_bytes(field, text.as_bytes());
        debug_assert!(written, "a mapping file is smaller than a field");
    };
    match (make, default) {
        (Make::Enum(values), Literal::Text(text)) => {
            if !values.has(text) {
                return Err(format!("is `{text}`, which is none of its values"));
            }
            named(&mut field, text);
            return Ok(field);
        }
        (Make::Lookup(lookup), Literal::Text(text)) => {
            if !lookup.has(text) {
                return Err(format!("is `{text}`, which `{}` does not have", lookup.name));
            }
            named(&mut field, text);
            return Ok(field);
        }
        // The whole text, or the part itself.
        (Make::Concat(rule), Literal::Text(_)) => {
            return default_field(&Make::Text(rule.clean), default);
        }
        (Make::Split(rule), Literal::Text(_)) => {
            return default_field(&Make::Text(rule.clean), default);
        }
        (Make::Type(_), Literal::Text(text)) => {
            named(&mut field, text);
            return Ok(field);
        }
        (Make::Concat(_), _) => return Err("is of another type than the column".into()),
        (
            Make::Const { .. }
            | Make::Ref(_)
            | Make::XpoFile { .. }
            | Make::Object(_)
            | Make::Bytea,
            _,
        ) => {
            return Err("can't be written: the column has no default".into());
        }
        _ => {}
    }
    let value = match default {
        Literal::Text(text) => LegacyValue::Text(text.into()),
        Literal::Int(number) => LegacyValue::Int(*number),
        Literal::Float(number) => LegacyValue::Float(*number),
        Literal::Bool(value) => LegacyValue::Bool(*value),
    };
    let context = Context { object_types: &BTreeMap::new(), seen_at_us: 0 };
    match make.convert(&value, &context, &mut field) {
        Ok(Wrote::Field) => Ok(field),
        Ok(Wrote::Nothing) => Err("is NULL".into()),
        Err(fault) if fault.rule == "value.type" => {
            Err("is of another type than the column".into())
        }
        Err(fault) => Err(fault.problem.into_owned()),
    }
}
