//! Converters: one legacy value to one Postgres field.
//!
//! A [`Make`] is compiled from one line of a mapping file and never changes. It appends a
//! whole field to the row, or says that the value is NULL after all (an empty text, a
//! sentinel), or gives a [`Fault`]; it never panics and never rounds unless the file says so.

use std::{borrow::Cow, sync::Arc};

use crate::{
    encode,
    key::KeyPart,
    plan::{Context, EntityId, PgType},
    value::LegacyValue,
    zone::{Gap, Overlap, Zone},
};

mod code;
mod compose;
mod file;
mod flags;
mod lookup;
mod number;
mod object;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub(crate) use code::{EnumValues, TypeValues};
pub(crate) use compose::{Blank, Concat, Split, concat};
pub(crate) use file::inflate;
pub(crate) use flags::{Flags, width};
pub(crate) use lookup::Lookup;
pub(crate) use number::NumberRule;
pub(crate) use object::{Content, address};
pub(crate) use text::{TextRule, Trim};
pub(crate) use time::{Sentinel, Sentinels, parse_day, parse_timestamp};

/// Why a value can't be converted. The texts never hold the value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A stable code.
    pub(crate) rule: &'static str,
    /// What is wrong and what to do: the rest of a sentence that begins with the value.
    pub(crate) problem: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(rule: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { rule, problem: problem.into() }
    }
}

/// What a converter did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// It appended a field.
    Field,
    /// It appended nothing: the value means NULL.
    Nothing,
}

pub(crate) type Converted = Result<Wrote, Fault>;

/// How a column is made.
#[derive(Debug, Clone)]
pub(crate) enum Make {
    Bool,
    Int2,
    Int4,
    Int8,
    /// With whether the legacy column is a `real`.
    Float8 {
        single: bool,
    },
    Numeric(NumberRule),
    /// Minor units.
    Money(NumberRule),
    Text(TextRule),
    /// Written by the row, which has all the parts.
    Concat(Box<Concat>),
    Split(Box<Split>),
    Bytea,
    Uuid,
    Date {
        drop_time: bool,
        sentinels: Sentinels,
    },
    Time {
        truncate: bool,
    },
    Timestamp {
        truncate: bool,
        sentinels: Sentinels,
    },
    Timestamptz {
        zone: Option<Arc<Zone>>,
        gap: Gap,
        overlap: Overlap,
        truncate: bool,
        sentinels: Sentinels,
    },
    Enum(EnumValues),
    Lookup(Box<Lookup>),
    Flags(Box<Flags>),
    Color,
    Seconds,
    Type(TypeValues),
    /// With the place of the length in the row.
    XpoFile {
        size: usize,
    },
    /// The address of what goes to an object store; written by the row.
    Object(Content),
    /// The whole field.
    Const {
        field: Box<[u8]>,
        pg_type: PgType,
    },
    Ref(RefRule),
    /// NULL for a live row, the caller's clock for a soft-deleted one; written by the row.
    DeletedAt,
}

/// A reference to another entity.
#[derive(Debug, Clone)]
pub(crate) struct RefRule {
    pub(crate) entity: EntityId,
    /// The referring columns, compared as the entity's key is.
    pub(crate) parts: Vec<KeyPart>,
    /// Whether a blank text is no reference.
    pub(crate) empty_is_null: bool,
}

impl Make {
    /// The type of the column.
    pub(crate) fn pg_type(&self) -> PgType {
        match self {
            Self::Bool => PgType::Bool,
            Self::Int2 => PgType::Int2,
            Self::Int4 | Self::Seconds => PgType::Int4,
            Self::Int8 | Self::Money(_) => PgType::Int8,
            Self::Float8 { .. } => PgType::Float8,
            Self::Numeric(rule) => PgType::Numeric { scale: rule.scale },
            Self::Text(_)
            | Self::Concat(_)
            | Self::Split(_)
            | Self::Enum(_)
            | Self::Lookup(_)
            | Self::Color
            | Self::Type(_)
            | Self::Object(_) => PgType::Text,
            Self::Flags(_) => PgType::TextArray,
            Self::Bytea | Self::XpoFile { .. } => PgType::Bytea,
            Self::Uuid | Self::Ref(_) => PgType::Uuid,
            Self::Date { .. } => PgType::Date,
            Self::Time { .. } => PgType::Time,
            Self::Timestamp { .. } => PgType::Timestamp,
            Self::Timestamptz { .. } | Self::DeletedAt => PgType::Timestamptz,
            Self::Const { pg_type, .. } => *pg_type,
        }
    }

    /// Converts a value that is neither NULL nor unchanged. References, concatenations, files
    /// and `deleted_at` need the whole row and are written by it.
    pub(crate) fn convert(
        &self,
        value: &LegacyValue<'_>,
        context: &Context<'_>,
        out: &mut Vec<u8>,
    ) -> Converted {
        match self {
            Self::Bool => number::bool(value, out),
            Self::Int2 => number::int2(value, out),
            Self::Int4 => number::int4(value, out),
            Self::Int8 => number::int8(value, out),
            Self::Float8 { single } => number::float8(value, *single, out),
            Self::Numeric(rule) => number::numeric(value, rule, out),
            Self::Money(rule) => number::money(value, rule, out),
            Self::Text(rule) => text::text(value, rule, out),
            Self::Split(rule) => compose::split(value, rule, out),
            Self::Bytea => text::bytea(value, out),
            Self::Uuid => text::uuid(value, out),
            Self::Date { drop_time, sentinels } => time::date(value, *drop_time, sentinels, out),
            Self::Time { truncate } => time::time(value, *truncate, out),
            Self::Timestamp { truncate, sentinels } => {
                time::timestamp(value, *truncate, sentinels, out)
            }
            Self::Timestamptz { zone, gap, overlap, truncate, sentinels } => {
                let wall =
                    zone.as_deref().map(|zone| time::Wall { zone, gap: *gap, overlap: *overlap });
                time::timestamptz(value, wall.as_ref(), *truncate, sentinels, out)
            }
            Self::Enum(values) => code::enumeration(value, values, out),
            Self::Lookup(rule) => lookup::lookup(value, rule, out),
            Self::Flags(rule) => flags::flags(value, rule, out),
            Self::Color => code::color(value, out),
            Self::Seconds => number::seconds(value, out),
            Self::Type(values) => code::type_name(value, values, context.object_types, out),
            Self::Const { field, .. } => {
                out.extend_from_slice(field);
                Ok(Wrote::Field)
            }
            Self::Concat(_)
            | Self::XpoFile { .. }
            | Self::Object(_)
            | Self::Ref(_)
            | Self::DeletedAt => Ok(Wrote::Nothing),
        }
    }
}

/// The fault of a value whose kind the converter does not know. Only a reader that breaks its
/// promise makes one: the compiler has checked the column's type.
pub(crate) fn wrong_type() -> Fault {
    Fault::new(
        "value.type",
        "is not of the column's type in the catalogue; read the catalogue again",
    )
}

pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) -> Converted {
    if encode::put_bytes(out, bytes) { Ok(Wrote::Field) } else { Err(too_large()) }
}

fn too_large() -> Fault {
    Fault::new("field.large", "is larger than a Postgres field can be; leave the column out")
}
