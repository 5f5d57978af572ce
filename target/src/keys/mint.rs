//! New keys into `ficus.key_map`, and the ids of those that turn out to be known.

use std::{
    collections::HashSet,
    sync::PoisonError,
    time::{SystemTime, UNIX_EPOCH},
};

use mapping::{plan::EntityId, row::RowBatch};
use sqlx::{PgConnection, Row as _};
use uuid::{NoContext, Timestamp, Uuid};

use super::{CHUNK, Entry, Hope, Keys, Minted, Miss, Resolved, known};
use crate::{Error, Target, copy};

/// Fewer keys are not worth a COPY's round trips.
const COPY_KEYS_MIN: usize = 500;

impl Target {
    /// Ids of all keys, minting the new ones; the rows' slots are filled.
    pub(crate) async fn resolve_or_mint(
        &self,
        connection: &mut PgConnection,
        batches: &mut [RowBatch],
        others: &[Entry],
    ) -> Result<Resolved, Error> {
        let mut resolved = Resolved::default();
        let misses = self.keys.look_in_cache(batches, others, &mut resolved);
        let (mut likely, mut unsure): (Vec<&Miss>, Vec<&Miss>) = Default::default();
        for of_entity in misses.chunk_by(|a, b| a.entry.0 == b.entry.0) {
            for part in of_entity.chunks(CHUNK) {
                if let Some(ids) = self.copy_keys(connection, part).await? {
                    for (miss, id) in part.iter().zip(ids) {
                        resolved.settle(miss, (id, true), batches);
                    }
                } else if self.keys.expects_known(part) {
                    likely.extend(part);
                } else {
                    unsure.extend(part);
                }
            }
        }
        for part in likely.chunks(CHUNK) {
            let found = self.find_keys(connection, part).await?;
            for (miss, id) in part.iter().zip(found) {
                match id {
                    Some(id) => resolved.settle(miss, (id, false), batches),
                    None => unsure.push(miss),
                }
            }
        }
        // As all writers sort.
        unsure.sort_unstable_by(|a, b| a.entry.cmp(&b.entry));
        for part in unsure.chunks(CHUNK) {
            let minted = self.insert_keys(connection, part).await?;
            for (miss, minted) in part.iter().zip(minted) {
                resolved.settle(miss, minted, batches);
            }
        }
        Ok(resolved)
    }

    /// New ids for keys of one entity that are all new; `None` when they are not, or there is no
    /// hope that they are.
    async fn copy_keys(
        &self,
        connection: &mut PgConnection,
        misses: &[Miss],
    ) -> Result<Option<Vec<Uuid>>, Error> {
        let Some(entity) = misses.first().map(|miss| miss.entry.0) else { return Ok(None) };
        if misses.len() < COPY_KEYS_MIN || !self.keys.learn(entity, |hope| hope.is_high()) {
            return Ok(None);
        }
        let number = self.registered(entity)?.number;
        let ids: Vec<Uuid> = misses.iter().map(|miss| self.keys.mint(miss.created_at_ms)).collect();
        let rows = misses.iter().zip(&ids);
        let rows = rows.map(|(miss, id)| (number, miss.entry.1.as_bytes(), *id));
        let copied = copy::keys(connection, rows).await?;
        self.keys.learn(entity, |hope| hope.copied(copied));
        Ok(copied.then_some(ids))
    }

    /// The ids of those keys that are known.
    async fn find_keys(
        &self,
        connection: &mut PgConnection,
        misses: &[&Miss],
    ) -> Result<Vec<Option<Uuid>>, Error> {
        let (entities, keys) = self.columns(misses.iter().map(|miss| &miss.entry))?;
        let ids = known(connection, &entities, &keys).await?;
        self.keys.met(misses.iter().zip(&ids).map(|(miss, id)| (miss.entry.0, id.is_some())));
        Ok(ids)
    }

    /// The ids of keys of which some may be known.
    async fn insert_keys(
        &self,
        connection: &mut PgConnection,
        misses: &[&Miss],
    ) -> Result<Vec<Minted>, Error> {
        let mut ids: Vec<Minted> =
            misses.iter().map(|miss| (self.keys.mint(miss.created_at_ms), true)).collect();
        let (entities, keys) = self.columns(misses.iter().map(|miss| &miss.entry))?;
        let proposed: Vec<Uuid> = ids.iter().map(|(id, _)| *id).collect();
        // Most of them are new, as far as one knows: to look first would cost a third more. Ids are
        // new, so only (entity, key) can conflict.
        let minted: Option<Vec<Uuid>> = sqlx::query(
            "with minted as (
               insert into ficus.key_map (entity, key, id)
               select * from unnest($1::int2[], $2::bytea[], $3::uuid[])
               on conflict (entity, key) do nothing returning id)
             select array_agg(id), set_config('synchronous_commit', 'off', true) from minted",
        )
        .bind(&entities)
        .bind(&keys)
        .bind(&proposed)
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::postgres("minting keys"))?
        .get(0);
        let minted = minted.unwrap_or_default();
        if minted.len() < ids.len() {
            let minted: HashSet<Uuid> = minted.into_iter().collect();
            ids.iter_mut().for_each(|(id, is_new)| *is_new = minted.contains(id));
        }
        self.keys.met(misses.iter().zip(&ids).map(|(miss, id)| (miss.entry.0, !id.1)));
        let rest: Vec<_> = (entities.into_iter().zip(keys).zip(&mut ids))
            .filter(|(_, (_, is_new))| !is_new)
            .collect();
        if !rest.is_empty() {
            reread(connection, rest).await?;
        }
        Ok(ids)
    }
}

impl Keys {
    /// What is made of what is known of an entity's keys.
    fn learn<T>(&self, entity: EntityId, make: impl FnOnce(&mut Hope) -> T) -> T {
        let mut hopes = self.hopes.lock().unwrap_or_else(PoisonError::into_inner);
        make(hopes.entry(entity).or_default())
    }

    /// Whether an entity's keys are looked for before any is inserted.
    fn expects_known(&self, misses: &[Miss]) -> bool {
        misses.first().is_some_and(|miss| self.learn(miss.entry.0, |hope| hope.are_known()))
    }

    /// Notes which keys were known; those of one entity are together.
    fn met(&self, keys: impl Iterator<Item = (EntityId, bool)>) {
        let keys: Vec<_> = keys.collect();
        for of_entity in keys.chunk_by(|a, b| a.0 == b.0) {
            if let Some((entity, _)) = of_entity.first() {
                let known = of_entity.iter().filter(|(_, is_known)| *is_known).count();
                self.learn(*entity, |hope| hope.met(known, of_entity.len()));
            }
        }
    }

    /// A new id. Its time part is the row's creation time where the mapping names it, so that id
    /// order is creation order; else now, never going back within this process.
    pub(super) fn mint(&self, created_at_ms: Option<i64>) -> Uuid {
        let timestamp = match created_at_ms {
            Some(ms) => {
                // 48 bits of milliseconds: years 1970 to 10889.
                let ms = u64::try_from(ms).unwrap_or(0).min((1 << 48) - 1);
                Timestamp::from_unix(NoContext, ms / 1000, nanoseconds(ms % 1000))
            }
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
                Timestamp::from_unix(&*clock, now.as_secs(), now.subsec_nanos())
            }
        };
        Uuid::new_v7(timestamp)
    }
}

fn nanoseconds(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(0) * 1_000_000
}

/// The ids of keys that others have minted: the insert has waited for whoever was at one.
async fn reread(
    connection: &mut PgConnection,
    rest: Vec<((i16, &[u8]), &mut Minted)>,
) -> Result<(), Error> {
    let (wanted, ids): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
    let (entities, keys): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
    let gone = || Error::Corrupt { what: "ficus.key_map (a minted key is gone)".to_owned() };
    for (slot, id) in ids.into_iter().zip(known(connection, &entities, &keys).await?) {
        *slot = (id.ok_or_else(gone)?, false);
    }
    Ok(())
}
