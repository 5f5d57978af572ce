//! A row while it is looked at, and the rows that a hazard concerns.

use mapping::{key::CanonicalKey, value::LegacyValue};

use crate::{assessment::EXAMPLES_MAX, subject::Subject};

/// A row, with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r> {
    pub(crate) values: &'r [LegacyValue<'static>],
    /// Its key in canonical form; the rule that is in its way otherwise.
    pub(crate) key: Result<&'r CanonicalKey, &'static str>,
    /// Whether it is soft-deleted, here or in the root of its hierarchy.
    pub(crate) is_deleted: bool,
    pub(crate) subject: &'r Subject<'r>,
}

impl Row<'_> {
    /// The value at a place of the scan.
    pub(crate) fn value(&self, place: usize) -> &LegacyValue<'static> {
        self.values.get(place).unwrap_or(&LegacyValue::Null)
    }

    /// The key as people write it, parts with `/` between them; what its column's name calls
    /// personal is masked. `None` in a table without a key.
    pub(crate) fn key_text(&self) -> Option<String> {
        let stored = || {
            let places = self.subject.scan.key.iter();
            places.map(|&place| self.value(place).clone()).collect::<Vec<_>>()
        };
        let is_masked = self.subject.masked_key_parts.contains(&true);
        match self.key {
            Ok(key) if !is_masked => return Some(key.to_string()),
            _ if self.subject.scan.key.is_empty() => return None,
            _ => {}
        }
        let parts = self.key.map_or_else(|_| stored(), CanonicalKey::parts);
        let shown = parts
            .iter()
            .zip(&self.subject.masked_key_parts)
            .map(|(part, is_masked)| if *is_masked { "***".to_owned() } else { part.to_string() });
        Some(shown.collect::<Vec<_>>().join("/"))
    }
}

/// How many rows, and the keys of the first few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

impl Tally {
    /// One more row.
    pub(crate) fn add(&mut self, row: &Row<'_>) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.extend(row.key_text());
        }
    }

    /// One more row, whose key was written down before.
    pub(crate) fn add_text(&mut self, key: Option<String>) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.extend(key);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}
