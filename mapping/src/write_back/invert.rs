//! A converter undone: from a Postgres field to the legacy value that it is made from.

use uuid::Uuid;

use crate::{
    catalog::SqlType,
    convert::{Content, EnumValues, Fault, Flags, Make, NumberRule, TypeValues, inflate},
    decimal::{self, Misfit, Round},
    encode::{self, display},
    plan::{ObjectTypes, PgType},
    row,
    value::{Decimal, LegacyValue},
};

use super::time;

type Inverted = Result<LegacyValue<'static>, Fault>;

/// The fault of bytes that are no value of the column's Postgres type.
pub(super) fn not_a_value() -> Fault {
    Fault::new("value.type", "is not of the target column's type; this is a defect of the caller")
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| not_a_value())
}

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| not_a_value())
}

/// The legacy value that a field is made from, for a column of this type. Its limits are not
/// looked at yet.
pub(super) fn invert(
    make: &Make,
    bytes: &[u8],
    sql_type: &SqlType,
    types: &ObjectTypes,
) -> Inverted {
    let whole = |number: i64| number_as(Decimal { unscaled: number.into(), scale: 0 }, sql_type);
    match make {
        Make::Bool => match bytes {
            [value @ (0 | 1)] => whole(i64::from(*value)),
            _ => Err(not_a_value()),
        },
        Make::Int2 => whole(i16::from_be_bytes(array(bytes)?).into()),
        Make::Int4 | Make::Seconds => whole(i32::from_be_bytes(array(bytes)?).into()),
        Make::Int8 => whole(i64::from_be_bytes(array(bytes)?)),
        Make::Float8 { .. } => float(f64::from_be_bytes(array(bytes)?), sql_type),
        Make::Numeric(_) => numeric(bytes, sql_type),
        Make::Money(NumberRule { scale, .. }) => {
            let unscaled = i64::from_be_bytes(array(bytes)?).into();
            number_as(Decimal { unscaled, scale: *scale }, sql_type)
        }
        Make::Text(_) | Make::Object(Content::Text(_)) => text_as(utf8(bytes)?, sql_type),
        Make::Bytea | Make::Object(Content::Bytes) => Ok(LegacyValue::Bytes(bytes.to_vec().into())),
        Make::XpoFile { .. } | Make::Object(Content::XpoFile { .. }) => file(bytes),
        Make::Uuid => {
            let guid = Uuid::from_bytes(array(bytes)?);
            if *sql_type == SqlType::UniqueIdentifier {
                Ok(LegacyValue::Guid(guid))
            } else {
                Ok(LegacyValue::Text(guid.to_string().into()))
            }
        }
        Make::Date { sentinels, .. } => {
            time::day(i32::from_be_bytes(array(bytes)?), sentinels, sql_type)
        }
        Make::Time { .. } => time::time_of_day(i64::from_be_bytes(array(bytes)?)),
        Make::Timestamp { sentinels, .. } => {
            time::wall(i64::from_be_bytes(array(bytes)?), sentinels)
        }
        Make::Timestamptz { zone, gap, overlap, sentinels, .. } => {
            let zone = zone.as_deref().map(|zone| (zone, *gap, *overlap));
            time::instant(i64::from_be_bytes(array(bytes)?), zone, sentinels)
        }
        Make::Enum(values) => enumeration(utf8(bytes)?, values, sql_type),
        Make::Color => color(utf8(bytes)?),
        Make::Type(values) => type_value(utf8(bytes)?, values, types),
        Make::Flags(rule) => flags(bytes, rule),
        Make::Concat(_) | Make::Split(_) | Make::Lookup(_) => Err(Fault::new(
            "back.several",
            "is made in a way that several legacy values may give; keep its source as a column of its own",
        )),
        // Written by their own ways, or by none.
        Make::Const { .. } | Make::Ref(_) | Make::DeletedAt => Err(not_a_value()),
    }
}

/// The bits that names stand for, as the legacy column's width reads them.
fn flags(array: &[u8], rule: &Flags) -> Inverted {
    // Dimensions, a flag for NULLs and the type; then, unless it is empty, length and lower bound.
    let items = match array.len() {
        ..12 => return Err(not_a_value()),
        12 => &[],
        _ => array.get(20..).ok_or_else(not_a_value)?,
    };
    let mut bits = 0;
    for item in row::fields(items) {
        let name = utf8(item.ok_or_else(not_a_value)?)?;
        let named = rule.named.iter().find(|(_, known)| **known == *name);
        bits |= named.map(|(bit, _)| *bit).ok_or_else(|| {
            Fault::new("flags.unknown", "has a name that stands for no bit; name it in `values`")
        })?;
    }
    let signed = match (u32::try_from(bits), u16::try_from(bits)) {
        (_, Ok(short)) if rule.width == u64::from(u16::MAX) => short.cast_signed().into(),
        (Ok(int), _) if rule.width == u64::from(u32::MAX) => int.cast_signed().into(),
        _ => bits.cast_signed(),
    };
    Ok(LegacyValue::Int(signed))
}

/// Where the length of an XAF file is.
pub(super) fn length_column(make: &Make) -> Option<usize> {
    match make {
        Make::XpoFile { size } | Make::Object(Content::XpoFile { size }) => Some(*size),
        _ => None,
    }
}

/// The length of a content that is written as it is.
pub(super) fn length_of(content: &LegacyValue<'_>) -> Inverted {
    match content {
        LegacyValue::Bytes(bytes) => i64::try_from(bytes.len())
            .map(LegacyValue::Int)
            .map_err(|_| Fault::new("file.length", "is longer than its length column can say")),
        _ => Ok(LegacyValue::Null),
    }
}

/// An exact number as a column of this type holds it, without rounding.
fn number_as(number: Decimal, sql_type: &SqlType) -> Inverted {
    let rescaled = |scale: u8| {
        decimal::rescale(number, scale, Round::Never).map_err(|misfit| match misfit {
            Misfit::Inexact => Fault::new(
                "number.inexact",
                format!("has more than the {scale} digits after the point that the column holds"),
            ),
            Misfit::Range => Fault::new("number.range", "has more digits than a decimal can hold"),
        })
    };
    let exactly = |unscaled, scale| LegacyValue::Decimal(Decimal { unscaled, scale });
    match sql_type {
        SqlType::Bit => match rescaled(0)? {
            0 => Ok(LegacyValue::Bool(false)),
            1 => Ok(LegacyValue::Bool(true)),
            _ => Err(Fault::new("bit.range", "is neither 0 nor 1, and the column is a bit")),
        },
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            let number = i64::try_from(rescaled(0)?).ok();
            number.map(LegacyValue::Int).ok_or_else(|| Fault::new("int.range", "is no bigint"))
        }
        SqlType::Decimal { scale, .. } => Ok(exactly(rescaled(*scale)?, *scale)),
        SqlType::Money | SqlType::SmallMoney => Ok(exactly(rescaled(4)?, 4)),
        SqlType::Real | SqlType::Float => {
            let single = *sql_type == SqlType::Real;
            let text = decimal::display(number);
            let nearest = match single {
                true => text.parse::<f32>().map(f64::from).ok(),
                false => text.parse::<f64>().ok(),
            };
            let nearest = nearest.ok_or_else(not_a_value)?;
            let back = decimal::from_float(nearest, single).map(decimal::normalise);
            if back == Some(decimal::normalise(number)) {
                Ok(LegacyValue::Float(nearest))
            } else {
                Err(Fault::new("float.inexact", "has more digits than a float keeps"))
            }
        }
        _ => Ok(LegacyValue::Text(decimal::display(decimal::normalise(number)).into())),
    }
}

fn numeric(bytes: &[u8], sql_type: &SqlType) -> Inverted {
    let text = display(PgType::Numeric { scale: 0 }, bytes);
    let number = decimal::parse(text.as_bytes()).ok_or_else(|| {
        Fault::new("numeric.value", "is NaN or too large, and no legacy type holds that")
    })?;
    number_as(number, sql_type)
}

fn float(number: f64, sql_type: &SqlType) -> Inverted {
    match sql_type {
        SqlType::Real | SqlType::Float => Ok(LegacyValue::Float(number)),
        _ => match decimal::from_float(number, false) {
            Some(exact) => number_as(exact, sql_type),
            None => Err(Fault::new("float.range", "is no number that the column can hold")),
        },
    }
}

fn text_as(text: &str, sql_type: &SqlType) -> Inverted {
    match sql_type {
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => text
            .parse()
            .map(LegacyValue::Int)
            .map_err(|_| Fault::new("int.text", "is a text that is no whole number")),
        SqlType::UniqueIdentifier => Uuid::try_parse(text)
            .map(LegacyValue::Guid)
            .map_err(|_| Fault::new("uuid.text", "is a text that is no GUID")),
        _ => Ok(LegacyValue::Text(text.to_owned().into())),
    }
}

/// A key's part as the referring column holds it, whose type may be another one of its kind.
pub(super) fn as_column(part: LegacyValue<'static>, sql_type: &SqlType) -> Inverted {
    match part {
        LegacyValue::Int(number) => {
            number_as(Decimal { unscaled: number.into(), scale: 0 }, sql_type)
        }
        LegacyValue::Decimal(number) => number_as(number, sql_type),
        part => Ok(part),
    }
}

/// The content as it is, which XAF and this mapping read again: unless it happens to be the
/// compressed form of something as long as itself.
fn file(bytes: &[u8]) -> Inverted {
    let content = LegacyValue::Bytes(bytes.to_vec().into());
    let mut again = Vec::new();
    let mut wanted = Vec::new();
    inflate(&content, &length_of(&content)?, &mut again)?;
    if encode::put_bytes(&mut wanted, bytes) && again == wanted {
        return Ok(content);
    }
    Err(Fault::new("file.ambiguous", "would be read as a compressed file; compress it once more"))
}

fn enumeration(name: &str, values: &EnumValues, sql_type: &SqlType) -> Inverted {
    let mut numbers = values.numbers.iter().filter(|(_, known)| **known == *name);
    let mut texts = values.texts.iter().filter(|(_, known)| **known == *name);
    match (numbers.next(), texts.next(), numbers.next(), texts.next()) {
        (Some((number, _)), None, None, None) => {
            number_as(Decimal { unscaled: (*number).into(), scale: 0 }, sql_type)
        }
        (None, Some((text, _)), None, None) => Ok(LegacyValue::Text(text.to_string().into())),
        (None, None, ..) => Err(Fault::new(
            "enum.unknown",
            "is a name that `values` gives to no legacy value; name it in the mapping file",
        )),
        _ => Err(Fault::new(
            "enum.ambiguous",
            "is the name of several legacy values; give each a name of its own",
        )),
    }
}

/// `#aarrggbb` as .NET's signed ARGB.
fn color(text: &str) -> Inverted {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 8);
    let argb = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    argb.map(|argb| LegacyValue::Int(i32::from_ne_bytes(argb.to_ne_bytes()).into()))
        .ok_or_else(|| Fault::new("color.text", "is no colour of the form #aarrggbb"))
}

fn type_value(text: &str, values: &TypeValues, types: &ObjectTypes) -> Inverted {
    let mut named = values.0.iter().filter(|(_, known)| **known == *text);
    let name = match (named.next(), named.next()) {
        (Some((name, _)), None) => name,
        (None, _) if values.0.is_empty() => text,
        (None, _) => {
            return Err(Fault::new("type.unknown", "is a name that `values` does not give"));
        }
        (Some(_), Some(_)) => {
            let problem = "is the name of several types; give each a name of its own";
            return Err(Fault::new("type.ambiguous", problem));
        }
    };
    type_number(types, name).map(LegacyValue::Int)
}

pub(super) fn type_number(types: &ObjectTypes, name: &str) -> Result<i64, Fault> {
    let mut found = types.iter().filter(|(_, known)| *known == name);
    match (found.next(), found.next()) {
        (Some((number, _)), None) => Ok(*number),
        (None, _) => Err(Fault::new(
            "type.unknown",
            "is of a type that XPObjectType does not have; the legacy application makes the entry \
             when it first saves such an object",
        )),
        (Some(_), Some(_)) => {
            Err(Fault::new("type.ambiguous", "is of a type that XPObjectType has twice"))
        }
    }
}
