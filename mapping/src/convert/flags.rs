//! `[Flags]` enums: an int's bits as a list of names.

use super::{Converted, Fault, Wrote, wrong_type};
use crate::{catalog::SqlType, encode, value::LegacyValue};

/// What the bits of a column are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Each a single bit with its name, lowest first.
    pub(crate) named: Vec<(u64, Box<str>)>,
    /// Bits that the file drops by name.
    pub(crate) ignored: u64,
    /// What all other bits become together; rejected when nothing is said.
    pub(crate) unknown: Option<Box<str>>,
    /// The bits that the legacy column has: a negative int has no others.
    pub(crate) width: u64,
}

/// The bits of a legacy column; `None` for one that is no integer.
pub(crate) fn width(sql_type: &SqlType) -> Option<u64> {
    Some(match sql_type {
        SqlType::TinyInt => u64::from(u8::MAX),
        SqlType::SmallInt => u64::from(u16::MAX),
        SqlType::Int => u64::from(u32::MAX),
        SqlType::BigInt => u64::MAX,
        _ => return None,
    })
}

pub(super) fn flags(value: &LegacyValue<'_>, flags: &Flags, out: &mut Vec<u8>) -> Converted {
    let LegacyValue::Int(number) = value else { return Err(wrong_type()) };
    let bits = number.cast_unsigned() & flags.width;
    let known = flags.named.iter().fold(flags.ignored, |known, (bit, _)| known | bit);
    let unknown = match (bits & !known, &flags.unknown) {
        (0, _) => None,
        (_, Some(name)) => Some(name),
        (rest, None) => {
            return Err(Fault::new(
                "flags.unknown",
                format!(
                    "has bits that nobody named ({rest}); name them in `values` or `ignore`, or say `unknown = \"…\"`"
                ),
            ));
        }
    };
    let named = flags.named.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name);
    encode::put_texts(out, named.chain(unknown).map(|name| &**name));
    Ok(Wrote::Field)
}

#[cfg(test)]
mod tests;
