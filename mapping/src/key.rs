//! Canonical keys: two spellings that SQL Server calls equal are one key here.
//!
//! The encoding is self-describing (tag, then a fixed width or a length prefix for each
//! part), so different keys never collide and a key can be shown and sent back to the
//! legacy server in a predicate.
//!
//! **The rule of the fold.** SQL Server's `=` ignores trailing blanks always and case under a
//! `_CI` collation. Folding must never join two keys that SQL Server keeps apart (two rows
//! would become one), so only letters whose upper and lower case are each other's are folded,
//! and only in blocks that every Windows collation knows; `ß`, `ı`, `ſ` and accents stay as
//! they are. Two spellings that the server would call equal and this fold does not (accents
//! under `_AI`, for instance) become two keys: a reference then shows up as an orphan, which
//! the gate lists, and no row is lost.

use std::{fmt, sync::Arc};

use crate::{
    catalog::SqlType,
    value::{LegacyValue, write_escaped},
};

mod fold;
mod part;
#[cfg(test)]
mod tests;

pub(crate) use fold::Fold;
pub(crate) use part::{KeyPart, canonical, encoded};

/// The canonical form of a legacy key, simple or composite. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalKey(Arc<[u8]>);

impl CanonicalKey {
    /// From stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes as stored in `ficus.key_map`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts as legacy values, in key order, for predicates and display. Text is in its
    /// folded form, which the legacy server's collation calls equal to the stored one.
    /// Empty when the bytes are not a canonical key.
    #[must_use]
    pub fn parts(&self) -> Vec<LegacyValue<'static>> {
        part::parts(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CanonicalKey {
    /// For people: `AB12/00017/3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts().iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            match part {
                // In full: two keys must not look like one.
                LegacyValue::Text(text) => write_escaped(text, f)?,
                part => write!(f, "{part}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CanonicalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a column of this type can be part of a key.
#[must_use]
pub fn can_be_key(sql_type: &SqlType) -> bool {
    KeyKind::of(sql_type, "").is_some()
}

/// Whether a column of type `from` can refer to a key column of type `to`.
#[must_use]
pub fn can_refer(from: &SqlType, to: &SqlType) -> bool {
    let kinds = KeyKind::of(to, "").zip(KeyKind::of(from, ""));
    kinds.is_some_and(|(to, from)| to.accepts(from))
}

/// What a key column holds: the comparison that makes two values one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Bool,
    Int,
    Decimal,
    Float,
    Text(Fold),
    Guid,
    Date,
    Time,
    Timestamp,
    TimestampOffset,
    Bytes,
}

impl KeyKind {
    /// By the column's type and collation; `None` for a type that can't be in a key.
    pub(crate) fn of(sql_type: &SqlType, collation: &str) -> Option<Self> {
        Some(match sql_type {
            SqlType::Bit => Self::Bool,
            SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => Self::Int,
            SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => Self::Decimal,
            SqlType::Real | SqlType::Float => Self::Float,
            SqlType::Date => Self::Date,
            SqlType::Time { .. } => Self::Time,
            SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => {
                Self::Timestamp
            }
            SqlType::DateTimeOffset { .. } => Self::TimestampOffset,
            SqlType::Char { .. }
            | SqlType::NChar { .. }
            | SqlType::VarChar { length: Some(_) }
            | SqlType::NVarChar { length: Some(_) } => Self::Text(Fold::of(collation)),
            SqlType::Binary { .. } | SqlType::VarBinary { length: Some(_) } => Self::Bytes,
            SqlType::UniqueIdentifier => Self::Guid,
            SqlType::VarChar { length: None }
            | SqlType::NVarChar { length: None }
            | SqlType::VarBinary { length: None }
            | SqlType::Text
            | SqlType::NText
            | SqlType::Image
            | SqlType::Xml
            | SqlType::RowVersion
            | SqlType::Other(_) => return None,
        })
    }

    /// Whether a column of kind `from` can refer to a key column of this kind.
    pub(crate) fn accepts(self, from: Self) -> bool {
        match (self, from) {
            (Self::Text(_), Self::Text(_))
            | (Self::Int | Self::Decimal, Self::Int | Self::Decimal) => true,
            (key, from) => key == from,
        }
    }
}
