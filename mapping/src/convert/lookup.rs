//! Look-ups: a named table of the mapping files instead of a join.

use std::borrow::Cow;

use super::{Converted, Fault, put_sized, wrong_type};
use crate::{
    key::{KeyKind, encoded},
    value::LegacyValue,
};

/// Which legacy value becomes which text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// How the legacy column compares.
    pub(crate) kind: KeyKind,
    /// By the key's bytes, sorted.
    pub(crate) texts: Vec<(Box<[u8]>, Box<str>)>,
    /// What any other value becomes; rejected when nothing is said.
    pub(crate) unknown: Option<Box<str>>,
    /// Its name in the files.
    pub(crate) name: Box<str>,
}

impl Lookup {
    /// Whether a target text is one of the look-up's.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.texts.iter().map(|(_, known)| known).chain(&self.unknown).any(|k| **k == *text)
    }
}

pub(super) fn lookup(value: &LegacyValue<'_>, lookup: &Lookup, out: &mut Vec<u8>) -> Converted {
    let find = |key: &[u8]| {
        let place = lookup.texts.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        lookup.texts.get(place).map(|(_, text)| text)
    };
    let found = match value {
        // What is broken is none of the texts of a file.
        LegacyValue::BrokenText(_) => None,
        value => encoded(lookup.kind, value, find).map_err(|_| wrong_type())?,
    };
    match found.or(lookup.unknown.as_ref()) {
        Some(text) => put_sized(out, text.as_bytes()),
        None => Err(Fault::new(
            "lookup.unknown",
            Cow::Owned(format!(
                "is not in the look-up `{}`; add it there, or say `unknown = \"…\"`",
                lookup.name
            )),
        )),
    }
}

#[cfg(test)]
mod tests;
