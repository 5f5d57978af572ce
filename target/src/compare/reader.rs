//! `COPY … TO STDOUT (FORMAT BINARY)`, tuple by tuple, without copying values.

use futures_util::TryStreamExt as _;
use sqlx::PgConnection;

use super::ScannedPart;
use crate::Error;

/// Signature, flags, and the length of the header's extension.
const HEADER: usize = 19;

/// One tuple: its fields, each a big-endian `i32` length and the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuple<'a> {
    rest: &'a [u8],
}

impl<'a> Tuple<'a> {
    /// The next field; `None` when there is none, `Some(None)` for NULL.
    pub(super) fn next_field(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.rest = rest;
            return Some(None);
        };
        let (field, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(field))
    }

    /// The next field as an id, without taking it.
    pub(super) fn first_id(&self) -> Option<[u8; 16]> {
        let mut copy = *self;
        copy.next_field()??.try_into().ok()
    }

    /// The fields that are left, without the last, and the last one's value. None is taken.
    pub(super) fn all_but_last(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let mut copy = *self;
        let mut last = None;
        let mut before = self.rest;
        while !copy.rest.is_empty() {
            before = copy.rest;
            last = copy.next_field()?;
        }
        let length = self.rest.len().checked_sub(before.len())?;
        Some((self.rest.get(..length)?, last))
    }

    /// The four fields of a part: live, soft-deleted, of today's shape, fields.
    pub(super) fn next_part(&mut self) -> Option<Option<ScannedPart<'a>>> {
        let live = self.next_field()?;
        let soft_deleted = self.next_field()? == Some(&[1]);
        let same_shape = self.next_field()? == Some(&[1]);
        let fields = self.next_field()?.unwrap_or_default();
        let part =
            |live: &[u8]| ScannedPart { fields, live: live == [1], soft_deleted, same_shape };
        Some(live.map(part))
    }
}

/// Reads a query's rows as tuples; returns how many. `each` says `None` to a tuple that has
/// another shape than was asked for.
pub(super) async fn read_copy(
    connection: &mut PgConnection,
    sql: &str,
    doing: &str,
    each: &mut (dyn FnMut(Tuple<'_>) -> Option<()> + Send),
) -> Result<u64, Error> {
    let statement = format!("copy ({sql}) to stdout (format binary)");
    let corrupt = || Error::Corrupt { what: format!("the copy of rows while {doing}") };
    let mut stream = connection.copy_out_raw(&statement).await.map_err(Error::postgres(doing))?;
    let mut buffer: Vec<u8> = Vec::new();
    let mut is_first = true;
    let mut rows = 0;
    while let Some(data) = stream.try_next().await.map_err(Error::postgres(doing))? {
        // Postgres sends a tuple per message, so as a rule nothing is carried over.
        let joined =
            (!buffer.is_empty()).then(|| [std::mem::take(&mut buffer), data.to_vec()].concat());
        let mut rest: &[u8] = joined.as_deref().unwrap_or(&data);
        if is_first {
            let Some(after) = rest.get(HEADER..) else {
                buffer = rest.to_vec();
                continue;
            };
            (rest, is_first) = (after, false);
        }
        while let Some((tuple, after)) = split_tuple(rest) {
            each(tuple).ok_or_else(corrupt)?;
            rows += 1;
            rest = after;
        }
        if rest != [0xff, 0xff] {
            buffer = rest.to_vec();
        }
    }
    if buffer.is_empty() { Ok(rows) } else { Err(corrupt()) }
}

/// A whole tuple off the front; `None` when it is not there to its end, or is the trailer.
fn split_tuple(bytes: &[u8]) -> Option<(Tuple<'_>, &[u8])> {
    let (count, body) = bytes.split_first_chunk::<2>()?;
    let count = u16::try_from(i16::from_be_bytes(*count)).ok()?;
    let mut cursor = Tuple { rest: body };
    for _ in 0..count {
        cursor.next_field()?;
    }
    let length = body.len() - cursor.rest.len();
    let (tuple, rest) = body.split_at_checked(length)?;
    Some((Tuple { rest: tuple }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        for field in fields {
            match field {
                None => bytes.extend((-1_i32).to_be_bytes()),
                Some(field) => {
                    bytes.extend(i32::try_from(field.len()).unwrap().to_be_bytes());
                    bytes.extend_from_slice(field);
                }
            }
        }
        bytes
    }

    #[test]
    fn a_tuple_is_taken_whole_or_not_at_all() {
        let bytes = tuple(&[Some(&[7; 16]), None, Some(b""), Some(b"xyz")]);
        for end in 0..bytes.len() {
            assert!(split_tuple(&bytes[..end]).is_none(), "{end}");
        }
        let two = [bytes.clone(), vec![0xff, 0xff]].concat();
        let (mut first, rest) = split_tuple(&two).unwrap();
        assert_eq!(rest, [0xff, 0xff]);
        assert!(split_tuple(rest).is_none());
        assert_eq!(first.first_id(), Some([7; 16]));
        let (fields, last) = first.all_but_last().unwrap();
        assert_eq!(last, Some(&b"xyz"[..]));
        assert_eq!(fields, &bytes[2..bytes.len() - 7]);
        assert_eq!(first.next_field(), Some(Some(&[7_u8; 16][..])));
        assert_eq!(first.next_field(), Some(None));
    }
}
