//! Keys are minted once (law 6): (entity, canonical key) → UUID v7.
//!
//! Postgres decides, whoever asks: a minted id is a proposal until the unique index has taken it.
//! The cache only ever holds ids that are on disk: new ones are minted without waiting for the
//! disk and enter the cache after the batch's own commit, which flushed the log behind them; and
//! it is emptied when a connection meets another server (a failover may have lost the tail).

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use mapping::{
    key::CanonicalKey,
    plan::EntityId,
    row::{Batches, RowBatch},
};
use sqlx::{PgConnection, Row as _};
use uuid::{ContextV7, Uuid};

use self::{cache::Cache, hope::Hope};
use crate::{Error, Target};

mod cache;
mod hope;
mod mint;

/// Ids asked for in one statement.
const CHUNK: usize = 20_000;

type Entry = (EntityId, CanonicalKey);

/// An id, and whether it was minted just now.
type Minted = (Uuid, bool);

/// Ids of a batch. The slots in the rows' fields are filled already.
#[derive(Default)]
pub(crate) struct Resolved {
    /// By batch and row: the row's own id; nil where it is not known.
    own: Vec<Vec<Minted>>,
    /// Ids of the other keys that were asked for.
    others: Vec<Uuid>,
    /// Not in the cache yet.
    fresh: Vec<(EntityId, CanonicalKey, Uuid)>,
}

impl Resolved {
    /// The own id of a row.
    pub(crate) fn own(&self, batch: usize, row: usize) -> Uuid {
        self.own_minted(batch, row).0
    }

    /// Whether the own id of a row was minted with this batch.
    pub(crate) fn is_new(&self, batch: usize, row: usize) -> bool {
        self.own_minted(batch, row).1
    }

    /// Whether that of any row was.
    pub(crate) fn has_new(&self) -> bool {
        self.own.iter().flatten().any(|(_, is_new)| *is_new)
    }

    fn own_minted(&self, batch: usize, row: usize) -> Minted {
        self.own.get(batch).and_then(|rows| rows.get(row)).copied().unwrap_or_default()
    }

    /// The id of one of the other keys.
    pub(crate) fn other(&self, index: usize) -> Uuid {
        self.others.get(index).copied().unwrap_or_default()
    }

    /// Fills all places of a key that was not in the cache.
    fn settle(&mut self, miss: &Miss, minted: Minted, batches: &mut [RowBatch]) {
        for place in &miss.places {
            self.set(*place, minted, batches);
        }
        let (entity, key) = &miss.entry;
        self.fresh.push((*entity, key.clone(), minted.0));
    }

    fn set(&mut self, place: Place, minted: Minted, batches: &mut [RowBatch]) {
        let (id, _) = minted;
        match place {
            Place::Own { batch, row } => {
                if let Some(own) = self.own.get_mut(batch).and_then(|rows| rows.get_mut(row)) {
                    *own = minted;
                }
                // The row's first slot is its own id; a delete has no fields.
                let Some(batch) = batches.get_mut(batch) else { return };
                let slots = batch.rows.get(row).map(|row| row.slots.clone()).unwrap_or_default();
                if !slots.is_empty() {
                    fill(batch, slots.start, id);
                }
            }
            Place::Slot { batch, slot } => {
                if let Some(batch) = batches.get_mut(batch) {
                    fill(batch, slot, id);
                }
            }
            Place::Other(index) => {
                if let Some(other) = self.others.get_mut(index) {
                    *other = id;
                }
            }
        }
    }
}

/// Where an id is wanted.
#[derive(Debug, Clone, Copy)]
enum Place {
    Own { batch: usize, row: usize },
    Slot { batch: usize, slot: usize },
    Other(usize),
}

/// A key that is wanted at some places.
struct Miss {
    entry: Entry,
    created_at_ms: Option<i64>,
    places: Vec<Place>,
}

/// The key registry.
#[derive(Default)]
pub(crate) struct Keys {
    cache: Mutex<Cache>,
    hopes: Mutex<HashMap<EntityId, Hope>>,
    clock: Mutex<ContextV7>,
}

impl Keys {
    /// Remembers which server the next look-ups are for.
    pub(crate) fn meet(&self, server: &str) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).meet(server);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Ids of a batch that committed are on disk now.
    pub(crate) fn committed(&self, resolved: Resolved) {
        if resolved.fresh.is_empty() {
            return;
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        for (entity, key, id) in resolved.fresh {
            cache.insert(entity, key, id);
        }
    }

    /// Sets what the cache knows; the rest comes back, each key once, sorted as all writers sort
    /// (so two that mint the same keys never wait for each other in a circle).
    fn look_in_cache(
        &self,
        batches: &mut [RowBatch],
        others: &[Entry],
        resolved: &mut Resolved,
    ) -> Vec<Miss> {
        let wanted = places(batches, others);
        let unknown = |batch: &RowBatch| vec![Minted::default(); batch.rows.len()];
        resolved.own = batches.iter().map(unknown).collect();
        resolved.others = vec![Uuid::nil(); others.len()];
        let mut known: Vec<(Place, Uuid)> = Vec::with_capacity(wanted.len());
        let mut missing: Vec<(EntityId, &CanonicalKey, Option<i64>, Place)> = Vec::new();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        for (entity, key, created_at, place) in wanted {
            match cache.get(entity, key) {
                Some(id) => known.push((place, id)),
                None => missing.push((entity, key, created_at, place)),
            }
        }
        drop(cache);
        missing.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let misses = group(&missing);
        for (place, id) in known {
            resolved.set(place, (id, false), batches);
        }
        misses
    }
}

/// Every place where an id is wanted, with the key.
fn places<'a>(
    batches: &'a [RowBatch],
    others: &'a [Entry],
) -> Vec<(EntityId, &'a CanonicalKey, Option<i64>, Place)> {
    let count = batches.iter().map(|batch| batch.rows.len() + batch.slots.len()).sum::<usize>();
    let mut all = Vec::with_capacity(count + others.len());
    for (index, batch) in batches.iter().enumerate() {
        for (row_index, row) in batch.rows.iter().enumerate() {
            let place = Place::Own { batch: index, row: row_index };
            all.push((batch.entity, &row.key, row.created_at_ms, place));
            let slots = row.slots.clone().skip(1);
            for slot_index in slots {
                let Some(slot) = batch.slots.get(slot_index) else { continue };
                let place = Place::Slot { batch: index, slot: slot_index };
                all.push((slot.entity, &slot.key, None, place));
            }
        }
    }
    for (index, (entity, key)) in others.iter().enumerate() {
        all.push((*entity, key, None, Place::Other(index)));
    }
    all
}

/// Brings the places of one key together; `sorted` is by key.
fn group(sorted: &[(EntityId, &CanonicalKey, Option<i64>, Place)]) -> Vec<Miss> {
    let mut misses: Vec<Miss> = Vec::new();
    for (entity, key, created_at_ms, place) in sorted {
        match misses.last_mut() {
            Some(last) if last.entry.0 == *entity && last.entry.1 == **key => {
                last.created_at_ms = last.created_at_ms.or(*created_at_ms);
                last.places.push(*place);
            }
            _ => misses.push(Miss {
                entry: (*entity, (*key).clone()),
                created_at_ms: *created_at_ms,
                places: vec![*place],
            }),
        }
    }
    misses
}

/// Writes an id into its slot.
fn fill(batch: &mut RowBatch, slot: usize, id: Uuid) {
    let Some(offset) = batch.slots.get(slot).map(|slot| slot.offset) else { return };
    if let Some(bytes) = batch.fields.get_mut(offset..offset + 16) {
        bytes.copy_from_slice(id.as_bytes());
    }
}

impl Target {
    fn columns<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<(Vec<i16>, Vec<&'a [u8]>), Error> {
        let mut entities = Vec::new();
        let mut keys = Vec::new();
        for (entity, key) in entries {
            entities.push(self.registered(*entity)?.number);
            keys.push(key.as_bytes());
        }
        Ok((entities, keys))
    }

    /// The ids of keys that were minted before; none is minted.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn look_up(
        &self,
        wanted: &[(EntityId, CanonicalKey)],
    ) -> Result<Vec<Option<Uuid>>, Error> {
        let mut connection = self.connection().await?;
        self.look_up_by(&mut connection, wanted).await
    }

    /// [`Target::look_up`] by a connection that the caller has already.
    pub(crate) async fn look_up_by(
        &self,
        connection: &mut PgConnection,
        wanted: &[(EntityId, CanonicalKey)],
    ) -> Result<Vec<Option<Uuid>>, Error> {
        let mut all = Vec::with_capacity(wanted.len());
        for chunk in wanted.chunks(CHUNK) {
            let (entities, keys) = self.columns(chunk.iter())?;
            all.extend(known(connection, &entities, &keys).await?);
        }
        Ok(all)
    }

    /// Fills the id slots of mapped rows with known ids, for a comparison; none is minted. Comes
    /// back with the keys that have no id: a row of its own key is missing in the target, a
    /// reference to one can't be equal (its 16 bytes stay zero).
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn fill_known(&self, batches: &mut Batches) -> Result<HashSet<Entry>, Error> {
        let mut parts = std::mem::take(batches).into_inner();
        let mut resolved = Resolved::default();
        let misses = self.keys.look_in_cache(&mut parts, &[], &mut resolved);
        let entries: Vec<Entry> = misses.iter().map(|miss| miss.entry.clone()).collect();
        let mut unknown = HashSet::new();
        for (miss, id) in misses.into_iter().zip(self.look_up(&entries).await?) {
            match id {
                Some(id) => {
                    for place in miss.places {
                        resolved.set(place, (id, false), &mut parts);
                    }
                }
                None => {
                    unknown.insert(miss.entry);
                }
            }
        }
        for part in parts {
            let place = batches.part(part.entity, part.part);
            *place = part;
        }
        Ok(unknown)
    }

    /// The keys behind ids; unknown ids are left out.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn keys_of(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Entry>, Error> {
        let mut keys = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let rows = sqlx::query(
                "select k.id, k.entity, k.key from unnest($1::uuid[]) as w (id)
                 join ficus.key_map k on k.id = w.id",
            )
            .bind(chunk)
            .fetch_all(self.pool())
            .await
            .map_err(Error::postgres("looking up the keys of ids"))?;
            for row in rows {
                let number: i16 = row.get("entity");
                let found = self.entities.iter().position(|entity| entity.number == number);
                // An entity that the mapping files don't name any more.
                let Some(index) = found.and_then(|index| u16::try_from(index).ok()) else {
                    continue;
                };
                let key = CanonicalKey::from_bytes(row.get("key"));
                keys.insert(row.get("id"), (EntityId(index), key));
            }
        }
        Ok(keys)
    }
}

/// The ids of keys, in their order; `None` for those that were never minted.
async fn known(
    connection: &mut PgConnection,
    entities: &[i16],
    keys: &[&[u8]],
) -> Result<Vec<Option<Uuid>>, Error> {
    let rows = sqlx::query(
        "select n, id from (
           select w.n, (select k.id from ficus.key_map k
                        where k.entity = w.entity and k.key = w.key) as id
           from unnest($1::int2[], $2::bytea[]) with ordinality as w (entity, key, n)) found
         where id is not null",
    )
    .bind(entities)
    .bind(keys)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("looking up keys"))?;
    let mut ids = vec![None; keys.len()];
    for row in rows {
        let n = usize::try_from(row.get::<i64, _>("n") - 1);
        let slot = n.ok().and_then(|n| ids.get_mut(n));
        let slot = slot.ok_or_else(|| Error::Corrupt { what: "an ordinal".to_owned() })?;
        *slot = Some(row.get("id"));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests;
