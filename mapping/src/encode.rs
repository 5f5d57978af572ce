//! Postgres binary fields: the one encoding.
//!
//! A field is a big-endian `i32` length (-1 for NULL) and the bytes as Postgres's `…send`
//! functions write them, so the same bytes go into COPY and are compared with what COPY
//! gives back. A value has one encoding only; `numeric` is the type that has to be watched:
//! its display scale is the declared one and its zero groups at both ends are stripped.

use crate::value::TICKS_PER_SECOND;

mod mutant;
mod numeric;
mod show;
#[cfg(test)]
mod tests;

pub(crate) use mutant::Mutant;
pub(crate) use numeric::put_numeric;
pub use show::display;

/// Days from 1970-01-01 to 2000-01-01, where Postgres counts from.
pub(crate) const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
/// Legacy ticks of 100 ns in a microsecond.
pub(crate) const TICKS_PER_MICROSECOND: i64 = TICKS_PER_SECOND / 1_000_000;
/// Legacy ticks in a day.
pub(crate) const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;

/// The largest field Postgres takes.
pub(crate) const FIELD_BYTES_MAX: usize = 0x3fff_ffff;

/// NULL.
pub(crate) const NULL: [u8; 4] = [0xff; 4];

/// A field of one byte.
pub(crate) fn put_bool(out: &mut Vec<u8>, value: bool) {
    let value = value != Mutant::Bool.is_on();
    out.extend_from_slice(&[0, 0, 0, 1, u8::from(value)]);
}

/// `int2`.
pub(crate) fn put_i16(out: &mut Vec<u8>, value: i16) {
    let [a, b] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 2, a, b]);
}

/// `int4` and `date`.
pub(crate) fn put_i32(out: &mut Vec<u8>, value: i32) {
    let [a, b, c, d] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 4, a, b, c, d]);
}

/// `int8`, `time` and the timestamps.
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
}

/// `float8`. Minus zero keeps its sign, as Postgres does.
pub(crate) fn put_f64(out: &mut Vec<u8>, value: f64) {
    let cut = if Mutant::Float.is_on() { !0 << 29 } else { !0 };
    let value = f64::from_bits(value.to_bits() & cut);
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
}

/// `uuid`.
pub(crate) fn put_uuid(out: &mut Vec<u8>, value: &[u8; 16]) {
    out.extend_from_slice(&[0, 0, 0, 16]);
    let wire = uuid::Uuid::from_bytes(*value).to_bytes_le();
    out.extend_from_slice(if Mutant::UuidBytes.is_on() { &wire } else { value });
}

/// `text` and `bytea`. Returns `false`, and writes nothing, when Postgres would refuse the size.
#[must_use]
pub(crate) fn put_bytes(out: &mut Vec<u8>, value: &[u8]) -> bool {
    let fewer: Vec<u8>;
    let mut value = value;
    if Mutant::TextBlank.is_on() {
        fewer = value.iter().copied().filter(|byte| *byte != b' ').collect();
        value = &fewer;
    }
    let Some(length) = u32::try_from(value.len()).ok().filter(|_| value.len() <= FIELD_BYTES_MAX)
    else {
        return false;
    };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    true
}

/// The object id of `text`, which arrays name as their elements' type.
const TEXT_OID: i32 = 25;

/// `text[]`: one dimension from 1 without NULLs, or none when it is empty. The texts are a mapping
/// file's, so they are smaller than a field.
pub(crate) fn put_texts<'t>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'t str>) {
    let begin = out.len();
    // Length, dimensions, whether there are NULLs, and the elements' type; then the dimension.
    put_words(out, &[0, 0, 0, TEXT_OID, 0, 1]);
    let mut count = 0;
    for text in texts {
        let written = put_bytes(out, text.as_bytes());
        debug_assert!(written, "a mapping file is smaller than a field");
        count += i32::from(written);
    }
    if count == 0 {
        out.truncate(begin);
        put_words(out, &[12, 0, 0, TEXT_OID]);
        return;
    }
    let length = i32::try_from(out.len() - begin - 4).unwrap_or(i32::MAX);
    for (place, word) in [(0, length), (4, 1), (16, count)] {
        if let Some(room) = out.get_mut(begin + place..begin + place + 4) {
            room.copy_from_slice(&word.to_be_bytes());
        }
    }
}

fn put_words(out: &mut Vec<u8>, words: &[i32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
