//! Ids that are known to be on disk, within a bound.

use foldhash::HashMap;
use mapping::{key::CanonicalKey, plan::EntityId};
use uuid::Uuid;

/// Bytes that the cache may hold, keys and bookkeeping together.
const CACHE_BYTES_MAX: usize = 64 << 20;
/// What an entry costs beside its key's bytes.
const ENTRY_BYTES: usize = 96;

/// The cache: two generations, the younger of which is dropped into the place of the older when
/// it has grown to half of the bound. What is used survives, what is not goes; no list to keep.
pub(super) struct Cache {
    bytes_max: usize,
    server: String,
    young: Vec<HashMap<CanonicalKey, Uuid>>,
    old: Vec<HashMap<CanonicalKey, Uuid>>,
    young_bytes: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self::bounded(CACHE_BYTES_MAX)
    }
}

impl Cache {
    fn bounded(bytes_max: usize) -> Self {
        let (young, old) = (Vec::new(), Vec::new());
        Self { bytes_max, server: String::new(), young, old, young_bytes: 0 }
    }

    pub(super) fn get(&mut self, entity: EntityId, key: &CanonicalKey) -> Option<Uuid> {
        let index = usize::from(entity.0);
        if let Some(id) = self.young.get(index).and_then(|ids| ids.get(key)) {
            return Some(*id);
        }
        let id = self.old.get_mut(index)?.remove(key)?;
        self.insert(entity, key.clone(), id);
        Some(id)
    }

    pub(super) fn insert(&mut self, entity: EntityId, key: CanonicalKey, id: Uuid) {
        let index = usize::from(entity.0);
        if self.young.len() <= index {
            self.young.resize_with(index + 1, HashMap::default);
        }
        self.young_bytes += key.as_bytes().len() + ENTRY_BYTES;
        if let Some(ids) = self.young.get_mut(index) {
            ids.insert(key, id);
        }
        if self.young_bytes > self.bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    /// Ids of another server are not to be trusted: a failover may have lost the tail.
    pub(super) fn meet(&mut self, server: &str) {
        if self.server != server {
            self.clear();
            server.clone_into(&mut self.server);
        }
    }

    pub(super) fn clear(&mut self) {
        let server = std::mem::take(&mut self.server);
        *self = Self { server, ..Self::bounded(self.bytes_max) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: EntityId = EntityId(3);

    fn key(number: u64) -> CanonicalKey {
        CanonicalKey::from_bytes(format!("key {number:010}").as_bytes())
    }

    fn id(number: u64) -> Uuid {
        Uuid::from_u128(u128::from(number))
    }

    /// Entries of both generations.
    fn entries(cache: &Cache) -> usize {
        cache.young.iter().chain(&cache.old).map(HashMap::len).sum()
    }

    #[test]
    fn the_cache_keeps_within_its_bound_and_forgets_what_nobody_asks_for() {
        const BYTES_MAX: usize = 1 << 20;
        let entry_bytes = key(0).as_bytes().len() + ENTRY_BYTES;
        let mut cache = Cache::bounded(BYTES_MAX);
        for number in 0..100_000 {
            cache.insert(OF, key(number), id(number));
            assert!(entries(&cache) * entry_bytes <= BYTES_MAX + entry_bytes, "after {number}");
            // Somebody asks for this one again and again.
            assert_eq!(cache.get(OF, &key(0)), Some(id(0)), "after {number}");
        }
        assert!(entries(&cache) > BYTES_MAX / entry_bytes / 3, "and it is used");
        assert_eq!(cache.get(OF, &key(99_999)), Some(id(99_999)));
        assert_eq!(cache.get(OF, &key(1)), None, "old and never asked for");
        assert_eq!(cache.get(EntityId(2), &key(99_999)), None, "another entity's key");
    }
}
