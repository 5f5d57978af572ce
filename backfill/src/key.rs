//! Keys as bytes, for the bounds and the progress of chunks.
//!
//! Unlike a [`mapping::key::CanonicalKey`] this is the key exactly as it was read: a text
//! keeps its case and its trailing blanks, so that the next range begins where the server
//! itself would begin it, under whatever collation. Part = tag, then: 1 byte for a bool, 8 for
//! integers, floats, times and instants, 17 for decimals, 16 for GUIDs, 4 for dates, a 4-byte
//! length and the bytes for text and binary. Everything is big-endian.

use std::borrow::Cow;

use legacy::LegacyRow;
use mapping::value::{Decimal, LegacyValue};

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

/// The bytes of a key; `None` when it can't be sent back to the server as a bound: a NULL, or
/// a text that is not Unicode.
pub(crate) fn encode<'a>(
    parts: impl IntoIterator<Item = &'a LegacyValue<'static>>,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(48);
    for part in parts {
        match part {
            LegacyValue::Bool(value) => bytes.extend([BOOL, u8::from(*value)]),
            LegacyValue::Int(value) => put(&mut bytes, INT, &value.to_be_bytes()),
            LegacyValue::Decimal(value) => {
                put(&mut bytes, DECIMAL, &[value.scale]);
                bytes.extend(value.unscaled.to_be_bytes());
            }
            LegacyValue::Float(value) => put(&mut bytes, FLOAT, &value.to_bits().to_be_bytes()),
            LegacyValue::Text(text) => put_long(&mut bytes, TEXT, text.as_bytes())?,
            LegacyValue::Guid(guid) => put(&mut bytes, GUID, guid.as_bytes()),
            LegacyValue::Date(days) => put(&mut bytes, DATE, &days.to_be_bytes()),
            LegacyValue::Time(ticks) => put(&mut bytes, TIME, &ticks.to_be_bytes()),
            LegacyValue::Timestamp(ticks) => put(&mut bytes, TIMESTAMP, &ticks.to_be_bytes()),
            LegacyValue::TimestampOffset { utc_ticks, .. } => {
                put(&mut bytes, INSTANT, &utc_ticks.to_be_bytes());
            }
            LegacyValue::Bytes(value) => put_long(&mut bytes, BYTES, value)?,
            LegacyValue::Null | LegacyValue::Unchanged | LegacyValue::BrokenText(_) => return None,
        }
    }
    Some(bytes)
}

fn put(bytes: &mut Vec<u8>, tag: u8, value: &[u8]) {
    bytes.push(tag);
    bytes.extend(value);
}

fn put_long(bytes: &mut Vec<u8>, tag: u8, value: &[u8]) -> Option<()> {
    put(bytes, tag, &u32::try_from(value.len()).ok()?.to_be_bytes());
    bytes.extend(value);
    Some(())
}

/// The key again; `None` when the bytes are not what [`encode`] writes.
pub(crate) fn decode(bytes: &[u8]) -> Option<LegacyRow> {
    let mut reader = Reader { rest: bytes };
    let mut parts = Vec::new();
    while let Some([tag]) = reader.take() {
        parts.push(match tag {
            BOOL => LegacyValue::Bool(reader.take()? != [0]),
            INT => LegacyValue::Int(i64::from_be_bytes(reader.take()?)),
            DECIMAL => {
                let [scale] = reader.take()?;
                let unscaled = i128::from_be_bytes(reader.take()?);
                LegacyValue::Decimal(Decimal { unscaled, scale })
            }
            FLOAT => LegacyValue::Float(f64::from_bits(u64::from_be_bytes(reader.take()?))),
            TEXT => {
                let text = String::from_utf8(reader.long()?.to_vec()).ok()?;
                LegacyValue::Text(Cow::Owned(text))
            }
            GUID => LegacyValue::Guid(uuid::Uuid::from_bytes(reader.take()?)),
            DATE => LegacyValue::Date(i32::from_be_bytes(reader.take()?)),
            TIME => LegacyValue::Time(i64::from_be_bytes(reader.take()?)),
            TIMESTAMP => LegacyValue::Timestamp(i64::from_be_bytes(reader.take()?)),
            INSTANT => LegacyValue::TimestampOffset {
                utc_ticks: i64::from_be_bytes(reader.take()?),
                offset_minutes: 0,
            },
            BYTES => LegacyValue::Bytes(Cow::Owned(reader.long()?.to_vec())),
            _ => return None,
        });
    }
    reader.rest.is_empty().then_some(parts)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take()?);
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = LegacyValue<'static>> {
        prop_oneof![
            any::<bool>().prop_map(LegacyValue::Bool),
            any::<i64>().prop_map(LegacyValue::Int),
            (any::<i128>(), 0_u8..39)
                .prop_map(|(unscaled, scale)| LegacyValue::Decimal(Decimal { unscaled, scale })),
            (-1e9..1e9).prop_map(LegacyValue::Float),
            "[ A-Яа-я\\x00]{0,12}".prop_map(|text| LegacyValue::Text(text.into())),
            any::<u128>().prop_map(|bits| LegacyValue::Guid(uuid::Uuid::from_u128(bits))),
            any::<i32>().prop_map(LegacyValue::Date),
            any::<i64>().prop_map(LegacyValue::Time),
            any::<i64>().prop_map(LegacyValue::Timestamp),
            any::<i64>().prop_map(|utc_ticks| LegacyValue::TimestampOffset {
                utc_ticks,
                offset_minutes: 0
            }),
            prop::collection::vec(any::<u8>(), 0..9)
                .prop_map(|bytes| LegacyValue::Bytes(bytes.into())),
        ]
    }

    proptest! {
        #[test]
        fn a_key_comes_back_as_it_was(key in prop::collection::vec(part(), 0..5)) {
            let bytes = encode(&key).unwrap();
            prop_assert_eq!(decode(&bytes), Some(key));
        }

        #[test]
        fn bytes_that_are_no_key_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(key) = decode(&bytes) {
                prop_assert_eq!(encode(&key).map(|again| again.len()), Some(bytes.len()));
            }
        }
    }

    #[test]
    fn what_can_be_no_bound_is_refused() {
        assert_eq!(encode(&[LegacyValue::Null]), None);
        assert_eq!(encode(&[LegacyValue::BrokenText("\u{FFFD}".into())]), None);
    }
}
