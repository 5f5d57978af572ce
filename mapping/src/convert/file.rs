//! XAF's `FileData.Content`: compressed or not, and never said which (trap 19).
//!
//! The column `size` is the length before compression. A reading is accepted only when its
//! length agrees. Gzip and zlib carry a check sum, so they are tried first; then the bytes as
//! they are; raw deflate, which almost any bytes begin to look like, comes last.

use std::{
    borrow::Cow,
    io::{Read, Take},
};

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::{Converted, Fault, put_sized, wrong_type};
use crate::{encode::FIELD_BYTES_MAX, value::LegacyValue};

/// Appends the content as it was before XAF compressed it.
pub(crate) fn inflate(
    content: &LegacyValue<'_>,
    size: &LegacyValue<'_>,
    out: &mut Vec<u8>,
) -> Converted {
    put_sized(out, &read(content, size)?)
}

/// The content as it was before XAF compressed it.
pub(super) fn read<'v>(
    content: &'v LegacyValue<'_>,
    size: &LegacyValue<'_>,
) -> Result<Cow<'v, [u8]>, Fault> {
    let LegacyValue::Bytes(content) = content else { return Err(wrong_type()) };
    let size = match size {
        LegacyValue::Int(size) => usize::try_from(*size).ok(),
        LegacyValue::Null => None,
        _ => return Err(wrong_type()),
    };
    let Some(size) = size.filter(|size| *size <= FIELD_BYTES_MAX) else {
        return Err(Fault::new("file.size", "has a length column that is NULL or out of range"));
    };
    let gzip = || exactly(GzDecoder::new(&**content).take(limit(size)), size);
    let zlib = || exactly(ZlibDecoder::new(&**content).take(limit(size)), size);
    let deflate = || exactly(DeflateDecoder::new(&**content).take(limit(size)), size);
    if let Some(inflated) = gzip().or_else(zlib) {
        return Ok(Cow::Owned(inflated));
    }
    if content.len() == size {
        return Ok(Cow::Borrowed(content));
    }
    match deflate() {
        Some(inflated) => Ok(Cow::Owned(inflated)),
        None => Err(Fault::new(
            "file.length",
            "has no reading (gzip, zlib, deflate, as it is) of the length that its length column says",
        )),
    }
}

/// One byte more than wanted, so that longer content shows without being inflated whole.
fn limit(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1)
}

fn exactly<R: Read>(mut reader: Take<R>, size: usize) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    reader.read_to_end(&mut inflated).ok()?;
    (inflated.len() == size).then_some(inflated)
}
