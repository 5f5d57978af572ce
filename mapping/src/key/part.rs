//! The bytes of a key.
//!
//! Part = tag, then: bool 1 byte; integer 8 bytes; decimal scale (1) and unscaled (16);
//! float 8; text and binary a 2-byte length and the bytes; guid 16; date 4; time, timestamp
//! and instant 8. Signed numbers have their sign bit flipped, so that byte order is number
//! order within a column.

use std::borrow::Cow;

use super::{CanonicalKey, Fold, KeyKind};
use crate::{
    decimal::normalise,
    value::{Decimal, LegacyValue},
};

const BOOL: u8 = 1;
const INT: u8 = 2;
const DECIMAL: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const GUID: u8 = 6;
const DATE: u8 = 7;
const TIME: u8 = 8;
const TIMESTAMP: u8 = 9;
const INSTANT: u8 = 10;
const BYTES: u8 = 11;

/// A column of a key: where its value is in a row, and how it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyPart {
    pub(crate) source: usize,
    pub(crate) kind: KeyKind,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyFault {
    /// The column's place in the row.
    pub(crate) source: usize,
    pub(crate) rule: &'static str,
    pub(crate) problem: &'static str,
}

/// The canonical key of a row.
pub(crate) fn canonical(
    parts: &[KeyPart],
    values: &[LegacyValue<'_>],
) -> Result<CanonicalKey, KeyFault> {
    let mut out = Scratch::new();
    for part in parts {
        let value = values.get(part.source).unwrap_or(&LegacyValue::Unchanged);
        append(part.kind, value, &mut out).map_err(|(rule, problem)| KeyFault {
            source: part.source,
            rule,
            problem,
        })?;
    }
    Ok(CanonicalKey::from_bytes(out.as_slice()))
}

/// One value as a key column of this kind compares it: equal bytes are equal values. Nothing is
/// allocated for a short one.
pub(crate) fn encoded<R>(
    kind: KeyKind,
    value: &LegacyValue<'_>,
    look: impl FnOnce(&[u8]) -> R,
) -> Result<R, PartFault> {
    let mut out = Scratch::new();
    append(kind, value, &mut out)?;
    Ok(look(out.as_slice()))
}

/// A stable code, and what is wrong.
pub(crate) type PartFault = (&'static str, &'static str);

const UNREADABLE: PartFault = ("key.type", "is not of the key column's type");

fn append(kind: KeyKind, value: &LegacyValue<'_>, out: &mut Scratch) -> Result<(), PartFault> {
    match (kind, value) {
        (_, LegacyValue::Null) => return Err(("key.null", "is NULL, and a key has no NULLs")),
        (_, LegacyValue::Unchanged) => {
            return Err(("key.missing", "is a key column that the change does not carry"));
        }
        (KeyKind::Bool, LegacyValue::Bool(value)) => out.push(&[BOOL, u8::from(*value)]),
        (KeyKind::Int, value) => {
            let value = int(value).ok_or(UNREADABLE)?;
            out.tagged(INT, &flip(value));
        }
        (KeyKind::Decimal, value) => {
            let Decimal { unscaled, scale } = normalise(decimal(value).ok_or(UNREADABLE)?);
            out.push(&[DECIMAL, scale]);
            out.push(&(unscaled ^ i128::MIN).to_be_bytes());
        }
        (KeyKind::Float, LegacyValue::Float(value)) => {
            // Both zeros are one number.
            let value = if *value == 0.0 { 0.0 } else { *value };
            out.tagged(FLOAT, &value.to_bits().to_be_bytes());
        }
        (KeyKind::Text(fold), LegacyValue::Text(text)) => text_part(fold, text, out)?,
        (KeyKind::Text(_), LegacyValue::BrokenText(_)) => {
            return Err(("key.surrogate", "is a key with a lone surrogate: correct the row"));
        }
        (KeyKind::Guid, LegacyValue::Guid(value)) => out.tagged(GUID, value.as_bytes()),
        (KeyKind::Date, LegacyValue::Date(days)) => {
            out.tagged(DATE, &(days ^ i32::MIN).to_be_bytes());
        }
        (KeyKind::Time, LegacyValue::Time(ticks)) => out.tagged(TIME, &flip(*ticks)),
        (KeyKind::Timestamp, LegacyValue::Timestamp(ticks)) => {
            out.tagged(TIMESTAMP, &flip(*ticks));
        }
        (KeyKind::TimestampOffset, LegacyValue::TimestampOffset { utc_ticks, .. }) => {
            out.tagged(INSTANT, &flip(*utc_ticks));
        }
        (KeyKind::Bytes, LegacyValue::Bytes(bytes)) => {
            let length = u16::try_from(bytes.len()).map_err(|_| TOO_LONG)?;
            out.tagged(BYTES, &length.to_be_bytes());
            out.push(bytes);
        }
        _ => return Err(UNREADABLE),
    }
    Ok(())
}

const TOO_LONG: PartFault = ("key.long", "is longer than any key column");

fn text_part(fold: Fold, text: &str, out: &mut Scratch) -> Result<(), PartFault> {
    out.push(&[TEXT]);
    let length_at = out.reserve_length();
    let begin = out.length;
    fold.append(text.trim_end_matches(' '), |bytes| out.push(bytes));
    let length = u16::try_from(out.length - begin).map_err(|_| TOO_LONG)?;
    out.set_length(length_at, length);
    Ok(())
}

fn flip(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

fn int(value: &LegacyValue<'_>) -> Option<i64> {
    match value {
        LegacyValue::Int(value) => Some(*value),
        LegacyValue::Decimal(value) => {
            let normal = normalise(*value);
            i64::try_from(normal.unscaled).ok().filter(|_| normal.scale == 0)
        }
        _ => None,
    }
}

fn decimal(value: &LegacyValue<'_>) -> Option<Decimal> {
    match value {
        LegacyValue::Int(value) => Some(Decimal { unscaled: i128::from(*value), scale: 0 }),
        LegacyValue::Decimal(value) => Some(*value),
        _ => None,
    }
}

/// Reads a key back; `None` when the bytes are not one.
pub(super) fn parts(bytes: &[u8]) -> Option<Vec<LegacyValue<'static>>> {
    let mut reader = Reader { rest: bytes };
    let mut parts = Vec::new();
    while let Some(tag) = reader.byte() {
        parts.push(match tag {
            BOOL => LegacyValue::Bool(reader.byte()? != 0),
            INT => LegacyValue::Int(reader.i64()?),
            DECIMAL => {
                let scale = reader.byte()?;
                let unscaled = i128::from_be_bytes(reader.take()?) ^ i128::MIN;
                LegacyValue::Decimal(Decimal { unscaled, scale })
            }
            FLOAT => LegacyValue::Float(f64::from_be_bytes(reader.take()?)),
            TEXT => {
                let text = std::str::from_utf8(reader.prefixed()?).ok()?;
                LegacyValue::Text(Cow::Owned(text.to_owned()))
            }
            GUID => LegacyValue::Guid(uuid::Uuid::from_bytes(reader.take()?)),
            DATE => LegacyValue::Date(i32::from_be_bytes(reader.take()?) ^ i32::MIN),
            TIME => LegacyValue::Time(reader.i64()?),
            TIMESTAMP => LegacyValue::Timestamp(reader.i64()?),
            INSTANT => LegacyValue::TimestampOffset { utc_ticks: reader.i64()?, offset_minutes: 0 },
            BYTES => LegacyValue::Bytes(Cow::Owned(reader.prefixed()?.to_vec())),
            _ => return None,
        });
    }
    Some(parts)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take()?) ^ i64::MIN)
    }

    fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take()?);
        let (bytes, rest) = self.rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(bytes)
    }
}

/// A key in the making: on the stack as long as it is short, as nearly all are.
struct Scratch {
    stack: [u8; 128],
    heap: Vec<u8>,
    length: usize,
}

impl Scratch {
    fn new() -> Self {
        Self { stack: [0; 128], heap: Vec::new(), length: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if self.heap.is_empty()
            && let Some(room) = self.stack.get_mut(self.length..end)
        {
            room.copy_from_slice(bytes);
        } else {
            if self.heap.is_empty() {
                let begun = self.stack.get(..self.length).unwrap_or_default();
                self.heap.extend_from_slice(begun);
            }
            self.heap.extend_from_slice(bytes);
        }
        self.length = end;
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.push(&[tag]);
        self.push(bytes);
    }

    fn reserve_length(&mut self) -> usize {
        self.push(&[0, 0]);
        self.length - 2
    }

    fn set_length(&mut self, at: usize, length: u16) {
        let bytes: &mut [u8] = if self.heap.is_empty() { &mut self.stack } else { &mut self.heap };
        if let Some(room) = bytes.get_mut(at..at + 2) {
            room.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn as_slice(&self) -> &[u8] {
        if self.heap.is_empty() {
            self.stack.get(..self.length).unwrap_or_default()
        } else {
            &self.heap
        }
    }
}
