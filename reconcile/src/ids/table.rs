//! Keys and ids in little space: an open-addressed table of key hashes.
//!
//! Only a key's 64-bit hash is kept. Two keys with one hash are one in ten million tables of a
//! million keys, and then one of them gets the other's id: its row can't equal any target row,
//! becomes a suspect, and is read again with an exact look-up.

use xxhash_rust::xxh3::xxh3_64;

/// An empty place's hash; a key with this hash is not kept, and so is looked up.
const EMPTY: u64 = 0;

#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u64,
    id: [u8; 16],
}

/// Key hash → id.
#[derive(Debug)]
pub(super) struct KeyTable {
    places: Vec<Place>,
    count: usize,
}

impl KeyTable {
    /// For about so many keys.
    pub(super) fn for_keys(estimate: u64) -> Self {
        let count = usize::try_from(estimate).unwrap_or(usize::MAX / 4);
        Self { places: empty(count), count: 0 }
    }

    pub(super) fn insert(&mut self, key: &[u8], id: [u8; 16]) {
        let hash = xxh3_64(key);
        if hash == EMPTY {
            return;
        }
        if (self.count + 1) * 4 > self.places.len() * 3 {
            let old = std::mem::replace(&mut self.places, empty(self.count * 2));
            for place in old.into_iter().filter(|place| place.hash != EMPTY) {
                self.put(place);
            }
        }
        self.put(Place { hash, id });
        self.count += 1;
    }

    fn put(&mut self, new: Place) {
        let mut at = self.first(new.hash);
        loop {
            let mask = self.places.len() - 1;
            let place = self.places.get_mut(at).expect("a masked number is below the count");
            if place.hash == EMPTY || place.hash == new.hash {
                *place = new;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<[u8; 16]> {
        let hash = xxh3_64(key);
        let mut at = self.first(hash);
        loop {
            let place = self.places.get(at)?;
            if place.hash == EMPTY {
                return None;
            }
            if place.hash == hash {
                return Some(place.id);
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    fn first(&self, hash: u64) -> usize {
        let mask = self.places.len() - 1;
        usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0) & mask
    }
}

/// Room for so many keys with a third to spare; a power of two.
fn empty(keys: usize) -> Vec<Place> {
    let count = (keys + keys / 2 + 16).next_power_of_two();
    vec![Place { hash: EMPTY, id: [0; 16] }; count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        let mut table = KeyTable::for_keys(0);
        let id = |n: u32| u128::from(n).to_be_bytes();
        (0..5_000_u32).for_each(|n| table.insert(&n.to_be_bytes(), id(n)));
        for n in 0..5_000_u32 {
            assert_eq!(table.get(&n.to_be_bytes()), Some(id(n)), "{n}");
            assert_eq!(table.get(&(n + 5_000).to_be_bytes()), None);
        }
    }
}
