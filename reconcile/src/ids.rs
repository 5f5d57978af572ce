//! From legacy keys to ids: looked up in batches, never minted.
//!
//! Before a scan, the keys of the entities that it reads are loaded whole, as far as a bound
//! allows: one COPY is cheaper than a look-up for each row ([`KeyTable`]). What is not there is
//! looked up. A row's own key comes by once in a scan; the keys that it refers to come again and
//! again, so only those are kept, in a table of fixed size in which a new key takes the place of
//! an older one with the same hash.

mod table;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use mapping::{key::CanonicalKey, plan::EntityId, row::RowBatch};
use target::Target;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use self::table::KeyTable;
use crate::Error;

/// Keys that are loaded whole, of all entities together: about 100 MiB.
const LOADED_MAX: u64 = 2_000_000;
/// Places in the cache: about 10 MiB with usual keys.
const PLACES: usize = 1 << 17;
const PLACES_U64: u64 = 1 << 17;

type Place = Option<(EntityId, CanonicalKey, Uuid)>;

/// The look-up and its cache.
pub(crate) struct Ids {
    target: Arc<Target>,
    places: Mutex<Vec<Place>>,
    loaded: RwLock<BTreeMap<EntityId, KeyTable>>,
}

/// Which ids of a batch could be found: one for each of its slots.
pub(crate) type Found = Vec<Option<Uuid>>;

/// A key of an entity.
pub(crate) type Entry = (EntityId, CanonicalKey);

struct Wanted {
    entry: Entry,
    batch: usize,
    slot: usize,
    /// A row's own key, or one of the same entity.
    is_own: bool,
}

impl Ids {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            places: Mutex::new(vec![None; PLACES]),
            loaded: RwLock::new(BTreeMap::new()),
        }
    }

    /// Loads the keys of some entities, each with an estimate of its rows; those that don't fit
    /// into the bound are looked up instead.
    pub(crate) async fn load(&self, entities: &BTreeMap<EntityId, u64>) -> Result<(), Error> {
        let mut room = LOADED_MAX;
        for (entity, estimate) in entities {
            if *estimate > room {
                continue;
            }
            let mut table = KeyTable::for_keys(*estimate);
            let mut each = |key: &[u8], id| table.insert(key, id);
            let count = self.target.scan_keys(*entity, &mut each).await;
            let count = count.map_err(Error::target("reading the ids of legacy keys"))?;
            room = room.saturating_sub(count.max(*estimate));
            let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
            loaded.insert(*entity, table);
        }
        Ok(())
    }

    /// Forgets the loaded keys: later passes read few rows, and ask for their keys exactly.
    pub(crate) fn unload(&self) {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Looks up every slot of the batches and fills in what is found.
    pub(crate) async fn fill(&self, batches: &mut [RowBatch]) -> Result<Vec<Found>, Error> {
        let mut found: Vec<Found> =
            batches.iter().map(|batch| vec![None; batch.slots.len()]).collect();
        let mut wanted = self.take_cached(batches, &mut found);
        wanted.sort_unstable_by(|a, b| a.entry.cmp(&b.entry));
        let mut entries: Vec<Entry> = wanted.iter().map(|one| one.entry.clone()).collect();
        entries.dedup();
        let ids = self.look_up(&entries).await?;
        let mut at = 0;
        for one in &wanted {
            while entries.get(at).is_some_and(|entry| *entry != one.entry) {
                at += 1;
            }
            let place = found.get_mut(one.batch).and_then(|batch| batch.get_mut(one.slot));
            if let (Some(place), Some(id)) = (place, ids.get(at)) {
                *place = *id;
            }
        }
        self.keep(&wanted, &found);
        for (batch, found) in batches.iter_mut().zip(&found) {
            write(batch, found);
        }
        Ok(found)
    }

    /// The ids of some keys, in their order.
    pub(crate) async fn look_up(&self, entries: &[Entry]) -> Result<Found, Error> {
        let ids = self.target.look_up(entries).await;
        ids.map_err(Error::target("looking up the ids of legacy keys"))
    }

    /// Takes what is cached; what is left to look up.
    fn take_cached(&self, batches: &[RowBatch], found: &mut [Found]) -> Vec<Wanted> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let mut left = Vec::new();
        for (number, (batch, found)) in batches.iter().zip(found).enumerate() {
            for (at, (slot, found)) in batch.slots.iter().zip(found).enumerate() {
                let table = loaded.get(&slot.entity);
                if let Some(id) = table.and_then(|table| table.get(slot.key.as_bytes())) {
                    *found = Some(Uuid::from_bytes(id));
                    continue;
                }
                let is_own = slot.entity == batch.entity;
                let place = places.get(place(slot.entity, &slot.key)).and_then(Option::as_ref);
                match place {
                    Some((entity, key, id)) if *entity == slot.entity && *key == slot.key => {
                        *found = Some(*id);
                    }
                    _ => {
                        let entry = (slot.entity, slot.key.clone());
                        left.push(Wanted { entry, batch: number, slot: at, is_own });
                    }
                }
            }
        }
        left
    }

    /// Keeps the ids of keys that were referred to.
    fn keep(&self, wanted: &[Wanted], found: &[Found]) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for one in wanted.iter().filter(|one| !one.is_own) {
            let id = found.get(one.batch).and_then(|found| *found.get(one.slot)?);
            let (entity, key) = &one.entry;
            if let (Some(place), Some(id)) = (places.get_mut(place(*entity, key)), id) {
                *place = Some((*entity, key.clone(), id));
            }
        }
    }
}

fn place(entity: EntityId, key: &CanonicalKey) -> usize {
    let hash = xxh3_64(key.as_bytes()).wrapping_add(u64::from(entity.0));
    usize::try_from(hash % PLACES_U64).unwrap_or(0)
}

fn write(batch: &mut RowBatch, found: &[Option<Uuid>]) {
    for (slot, id) in batch.slots.iter().zip(found) {
        let bytes = batch.fields.get_mut(slot.offset..slot.offset + 16);
        if let (Some(bytes), Some(id)) = (bytes, id) {
            bytes.copy_from_slice(id.as_bytes());
        }
    }
}
