//! How a value is stored: exactly as a TDS `ROW` token carries it, so that a row goes onto the
//! wire by copying bytes.
//!
//! Three widths of length prefix exist. Large values (`max`, `text`, `ntext`, `image`, `xml`)
//! are one partially-length-prefixed chunk; the legacy `text`, `ntext` and `image` are sent as
//! their `max` successors.

pub(crate) mod read;
mod write;

use mapping::catalog::SqlType;

pub(crate) use self::{
    read::{Field, decode, split},
    write::{Refusal, encode, put_decimal},
};

/// The length prefix of a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// One byte; 0 is NULL.
    Byte,
    /// Two bytes; 0xFFFF is NULL.
    Short,
    /// Eight bytes and one chunk; all ones is NULL.
    Long,
}

impl Width {
    /// The width of a type.
    pub(crate) fn of(sql_type: &SqlType) -> Self {
        match sql_type {
            SqlType::Char { .. }
            | SqlType::VarChar { length: Some(_) }
            | SqlType::NChar { .. }
            | SqlType::NVarChar { length: Some(_) }
            | SqlType::Binary { .. }
            | SqlType::VarBinary { length: Some(_) }
            | SqlType::RowVersion => Self::Short,
            other if other.is_lob() => Self::Long,
            _ => Self::Byte,
        }
    }
}

/// Bytes of a `time` part with `scale` digits.
pub(crate) fn time_length(scale: u8) -> u8 {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

/// Bytes of a decimal, its sign included.
pub(crate) fn decimal_length(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

#[cfg(test)]
mod tests;
