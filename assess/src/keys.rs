//! The keys of a table, as digests: enough to say whether a reference finds its row.
//!
//! A key costs about 16 bytes here, whatever its length: 64 bits of a hash of its canonical
//! form. Among ten million keys two share their digest with a probability of about 1 : 400,000;
//! then an orphan is overlooked, or a key is called a duplicate that is none, and nothing else
//! happens. All tables together hold [`KEYS_MAX`] digests at most; a table beyond that is left
//! out, and what refers to it is told as unchecked.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
};

use mapping::key::CanonicalKey;
use xxhash_rust::xxh3::xxh3_64;

/// Digests that are held at a time: about half a GiB.
pub(crate) const KEYS_MAX: usize = 32_000_000;

/// A digest is a hash already.
#[derive(Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

type Digests = HashSet<u64, BuildHasherDefault<Same>>;

/// A key's digest.
pub(crate) fn digest(key: &CanonicalKey) -> u64 {
    xxh3_64(key.as_bytes())
}

/// What is known of one table's keys.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    all: Digests,
    deleted: Digests,
    spellings: Digests,
}

impl KeySet {
    /// Adds a row's key; `false` when another row had it. `spelling` is the digest of the key
    /// as it is stored, where keys have spellings.
    pub(crate) fn insert(&mut self, key: u64, is_deleted: bool, spelling: Option<u64>) -> bool {
        if is_deleted {
            self.deleted.insert(key);
        }
        self.spellings.extend(spelling);
        self.all.insert(key)
    }

    pub(crate) fn contains(&self, key: u64) -> bool {
        self.all.contains(&key)
    }

    pub(crate) fn is_deleted(&self, key: u64) -> bool {
        self.deleted.contains(&key)
    }

    /// Whether a row spells its key so.
    pub(crate) fn is_spelled(&self, spelling: u64) -> bool {
        self.spellings.contains(&spelling)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len() + self.deleted.len() + self.spellings.len()
    }
}

/// The keys of all tables, by the table's place in the catalogue.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    sets: Vec<Option<KeySet>>,
    /// Tables whose keys will never be known.
    lost: HashSet<usize>,
    held: usize,
    held_max: usize,
}

impl Keys {
    pub(crate) fn new(tables: usize, held_max: usize) -> Self {
        let sets = (0..tables).map(|_| None).collect();
        Self { sets, lost: HashSet::new(), held: 0, held_max }
    }

    /// The finished keys of a table; `None` when they are not known, or not yet.
    pub(crate) fn of(&self, table: usize) -> Option<&KeySet> {
        self.sets.get(table)?.as_ref()
    }

    /// Takes the room for some digests; `false` when there is none left.
    pub(crate) fn take_room(&mut self, digests: usize) -> bool {
        let fits = self.held.saturating_add(digests) <= self.held_max;
        if fits {
            self.held += digests;
        }
        fits
    }

    /// Gives room back.
    pub(crate) fn give_room_back(&mut self, digests: usize) {
        self.held = self.held.saturating_sub(digests);
    }

    /// Whether a table's keys will never be known: it failed, or there are too many.
    pub(crate) fn is_lost(&self, table: usize) -> bool {
        self.lost.contains(&table)
    }

    /// Gives a table's keys up.
    pub(crate) fn lose(&mut self, table: usize) {
        self.lost.insert(table);
    }

    /// Keeps a table's keys, all of which were read.
    pub(crate) fn finish(&mut self, table: usize, set: KeySet) {
        if let Some(slot) = self.sets.get_mut(table) {
            *slot = Some(set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_and_given_back() {
        let mut keys = Keys::new(2, 3);
        assert!(keys.take_room(2) && keys.take_room(1) && !keys.take_room(1));
        keys.give_room_back(2);
        assert!(keys.take_room(2));
        let mut set = KeySet::default();
        assert!(set.insert(7, true, None) && !set.insert(7, false, Some(9)));
        assert_eq!(set.len(), 3, "a digest, a deletion and a spelling");
        keys.finish(1, set);
        let set = keys.of(1).expect("known");
        assert!(set.contains(7) && set.is_deleted(7) && set.is_spelled(9));
        assert!(keys.of(0).is_none() && !keys.is_lost(0));
        keys.lose(0);
        assert!(keys.is_lost(0));
    }
}
