//! Which bytes of a row are compared, and their hash. Pure.
//!
//! A row is what mapping writes and `COPY … BINARY` gives (law 5): for each column a big-endian
//! `i32` length, -1 for NULL, and the bytes. NULL and an empty text differ by their lengths.

use mapping::plan::{Compare, TargetColumn};
use xxhash_rust::xxh3::xxh3_128;

/// Added to the hash of a row that refers to a key that has no id: no target row can equal it.
const NO_SUCH_PARENT: u128 = 0x6a09_e667_f3bc_c908_bb67_ae85_84ca_a73b;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Exact,
    Presence,
    Skip,
}

/// How the rows of one table are compared.
#[derive(Debug, Clone)]
pub(crate) struct Comparer {
    rules: Vec<Rule>,
    /// Which columns are references: a soft-deleted legacy row has lost them (trap 3).
    references: Vec<bool>,
    all_exact: bool,
}

/// A row that does not have the shape that the mapping says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadShape;

impl Comparer {
    /// For these columns, the first of which is the id.
    pub(crate) fn new<'a>(
        columns: impl IntoIterator<Item = &'a TargetColumn>,
        is_reference: impl Fn(&TargetColumn) -> bool,
    ) -> Self {
        let rule = |column: &TargetColumn| match column.compare {
            Compare::Exact => Rule::Exact,
            Compare::Presence => Rule::Presence,
            Compare::Skip(_) => Rule::Skip,
        };
        let (rules, references): (Vec<Rule>, Vec<bool>) =
            columns.into_iter().map(|column| (rule(column), is_reference(column))).unzip();
        let all_exact = rules.iter().all(|rule| *rule == Rule::Exact);
        Self { rules, references, all_exact }
    }

    /// The number of columns of a row.
    pub(crate) fn width(&self) -> usize {
        self.rules.len()
    }

    /// The hash of what is compared. A soft-deleted row has lost its references on the legacy
    /// side, so they are not.
    pub(crate) fn hash(
        &self,
        fields: &[u8],
        is_deleted: bool,
        scratch: &mut Vec<u8>,
    ) -> Result<u128, BadShape> {
        if self.all_exact && !is_deleted {
            return Ok(xxh3_128(fields));
        }
        scratch.clear();
        self.compared(fields, is_deleted, scratch)?;
        Ok(xxh3_128(scratch))
    }

    /// The hash of a row with a reference that cannot be resolved.
    pub(crate) fn hash_unresolved(hash: u128) -> u128 {
        hash.wrapping_add(NO_SUCH_PARENT)
    }

    /// Appends the compared bytes: equal bytes are an equal row.
    pub(crate) fn compared(
        &self,
        fields: &[u8],
        is_deleted: bool,
        into: &mut Vec<u8>,
    ) -> Result<(), BadShape> {
        let mut rest = fields;
        for (rule, is_reference) in self.rules.iter().zip(&self.references) {
            let (field, after) = split_field(rest)?;
            rest = after;
            let rule = if is_deleted && *is_reference { Rule::Skip } else { *rule };
            match rule {
                Rule::Exact => into.extend_from_slice(field.raw),
                Rule::Presence => into.push(u8::from(field.value.is_some())),
                Rule::Skip => {}
            }
        }
        into.push(u8::from(is_deleted));
        if rest.is_empty() { Ok(()) } else { Err(BadShape) }
    }

    /// The indexes of the compared columns in which two rows differ.
    pub(crate) fn differing(
        &self,
        legacy: &[u8],
        target: &[u8],
        is_deleted: bool,
    ) -> Result<Vec<usize>, BadShape> {
        let (legacy, target) = (values(legacy)?, values(target)?);
        if legacy.len() != self.width() || target.len() != self.width() {
            return Err(BadShape);
        }
        let rules = self.rules.iter().zip(&self.references);
        let pairs = rules.zip(legacy.iter().zip(&target)).enumerate();
        let differs = |rule: &Rule, a: &Option<&[u8]>, b: &Option<&[u8]>| match rule {
            Rule::Exact => a != b,
            Rule::Presence => a.is_some() != b.is_some(),
            Rule::Skip => false,
        };
        Ok(pairs
            .filter(|(_, ((rule, lost), (a, b)))| !(is_deleted && **lost) && differs(rule, a, b))
            .map(|(at, _)| at)
            .collect())
    }
}

/// A field with its length prefix, and its value.
pub(crate) struct Field<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

/// Takes one field off the front.
pub(crate) fn split_field(bytes: &[u8]) -> Result<(Field<'_>, &[u8]), BadShape> {
    let (length, body) = bytes.split_first_chunk::<4>().ok_or(BadShape)?;
    let length = i32::from_be_bytes(*length);
    let Ok(size) = usize::try_from(length) else {
        let raw = bytes.get(..4).ok_or(BadShape)?;
        return if length == -1 { Ok((Field { raw, value: None }, body)) } else { Err(BadShape) };
    };
    let (value, rest) = body.split_at_checked(size).ok_or(BadShape)?;
    let raw = bytes.get(..4 + size).ok_or(BadShape)?;
    Ok((Field { raw, value: Some(value) }, rest))
}

/// All fields' values.
pub(crate) fn values(fields: &[u8]) -> Result<Vec<Option<&[u8]>>, BadShape> {
    let mut values = Vec::new();
    let mut rest = fields;
    while !rest.is_empty() {
        let (field, after) = split_field(rest)?;
        values.push(field.value);
        rest = after;
    }
    Ok(values)
}

/// The id, which is the first field of every row.
pub(crate) fn id_of(fields: &[u8]) -> Result<[u8; 16], BadShape> {
    let (field, _) = split_field(fields)?;
    field.value.and_then(|value| value.try_into().ok()).ok_or(BadShape)
}

#[cfg(test)]
mod tests;
