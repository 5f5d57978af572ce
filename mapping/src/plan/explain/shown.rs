//! A value as an explanation may show it.

use std::fmt;

use crate::{encode, plan::PgType, value::LegacyValue};

/// A value, already masked where it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// NULL.
    Null,
    /// The change does not carry it.
    Unchanged,
    /// There is a value, and it may not be shown.
    Masked,
    /// A text, cut when it is long.
    Text(String),
    /// Any other value.
    Value(String),
    /// There is no value.
    Nothing,
}

impl Shown {
    pub(super) fn legacy(value: &LegacyValue<'_>, masked: bool) -> Self {
        match value {
            LegacyValue::Null => Self::Null,
            LegacyValue::Unchanged => Self::Unchanged,
            _ if masked => Self::Masked,
            LegacyValue::Text(_) | LegacyValue::BrokenText(_) => Self::Text(value.to_string()),
            value => Self::Value(value.to_string()),
        }
    }

    /// A Postgres binary field.
    #[must_use]
    pub fn target(pg_type: PgType, field: Option<&[u8]>, masked: bool) -> Self {
        match (field, pg_type) {
            (None, _) => Self::Null,
            (Some(_), _) if masked => Self::Masked,
            (Some(bytes), PgType::Text) => {
                let text = encode::display(pg_type, bytes);
                Self::Text(text.chars().flat_map(escaped).collect())
            }
            (Some(bytes), _) => Self::Value(encode::display(pg_type, bytes)),
        }
    }

    /// The value without quotes; `None` for NULL and where there is none.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Null | Self::Unchanged | Self::Nothing => None,
            Self::Masked => Some("(masked)"),
            Self::Text(text) | Self::Value(text) => Some(text),
        }
    }
}

/// On one line, whatever control characters a text holds.
fn escaped(letter: char) -> impl Iterator<Item = char> {
    let escape = letter.is_control().then(|| letter.escape_default());
    let plain = escape.is_none().then_some(letter);
    escape.into_iter().flatten().chain(plain)
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Unchanged => f.write_str("(not in the event)"),
            Self::Masked => f.write_str("(masked)"),
            // In quotes, so that blanks at its ends show.
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Value(text) => f.write_str(text),
            Self::Nothing => f.write_str("-"),
        }
    }
}
