//! Codes: enums, types, colours.

use super::{Converted, Fault, Wrote, put_sized, wrong_type};
use crate::{plan::ObjectTypes, value::LegacyValue};

/// An enum's names, by number or by legacy text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EnumValues {
    pub(crate) numbers: Vec<(i64, Box<str>)>,
    pub(crate) texts: Vec<(Box<str>, Box<str>)>,
    /// What any other value becomes; rejected when nothing is said (trap 17).
    pub(crate) unknown: Option<Box<str>>,
}

impl EnumValues {
    /// Whether a target text is one of the enum's.
    pub(crate) fn has(&self, name: &str) -> bool {
        let numbers = self.numbers.iter().map(|(_, name)| name);
        let mut all = numbers.chain(self.texts.iter().map(|(_, name)| name)).chain(&self.unknown);
        all.any(|known| &**known == name)
    }
}

/// Which type name becomes which text; every known name itself when empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TypeValues(pub(crate) Vec<(Box<str>, Box<str>)>);

pub(super) fn enumeration(
    value: &LegacyValue<'_>,
    values: &EnumValues,
    out: &mut Vec<u8>,
) -> Converted {
    let name = match value {
        LegacyValue::Int(number) => values.numbers.iter().find(|(n, _)| n == number).map(|v| &v.1),
        LegacyValue::Bool(value) => {
            let number = i64::from(*value);
            values.numbers.iter().find(|(n, _)| *n == number).map(|v| &v.1)
        }
        LegacyValue::Text(text) => {
            let text = text.trim_end_matches(' ');
            values.texts.iter().find(|(t, _)| **t == *text).map(|v| &v.1)
        }
        LegacyValue::BrokenText(_) => None,
        _ => return Err(wrong_type()),
    };
    match name.or(values.unknown.as_ref()) {
        Some(name) => put_sized(out, name.as_bytes()),
        None => Err(Fault::new(
            "enum.unknown",
            "is not one of the enum's values; name it in `values`, or say `unknown = \"…\"`",
        )),
    }
}

/// The name of an `ObjectType`; `None` when the number is not in the dictionary.
pub(super) fn type_name(
    value: &LegacyValue<'_>,
    values: &TypeValues,
    types: &ObjectTypes,
    out: &mut Vec<u8>,
) -> Converted {
    let LegacyValue::Int(number) = value else { return Err(wrong_type()) };
    let Some(name) = types.get(number) else {
        return Err(Fault::new("type.unknown", "is a number that XPObjectType does not have"));
    };
    if values.0.is_empty() {
        return put_sized(out, name.as_bytes());
    }
    match values.0.iter().find(|(known, _)| **known == **name) {
        Some((_, text)) => put_sized(out, text.as_bytes()),
        None => Err(Fault::new(
            "type.unknown",
            format!("is the type {name}, which `values` does not name"),
        )),
    }
}

/// .NET's `Color.ToArgb()`: a signed number whose bits are alpha, red, green, blue.
pub(super) fn color(value: &LegacyValue<'_>, out: &mut Vec<u8>) -> Converted {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let LegacyValue::Int(number) = value else { return Err(wrong_type()) };
    let Ok(argb) = i32::try_from(*number) else {
        return Err(Fault::new("color.range", "is no 32-bit ARGB number"));
    };
    let mut text = *b"#00000000";
    let digits = argb.to_be_bytes().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for (room, digit) in text.iter_mut().skip(1).zip(digits) {
        *room = HEX.get(usize::from(digit)).copied().unwrap_or(b'0');
    }
    put_sized(out, &text)?;
    Ok(Wrote::Field)
}
