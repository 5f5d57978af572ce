//! What a transaction takes and asks before it writes: locks, domain states, and what is waiting.
//!
//! **Why locks.** Postgres serialises two writers of one *existing* row, and two inserts of one id.
//! It does not serialise a delete that finds nothing with an insert that is not committed yet: a
//! backfill batch could insert a row that the stream is deleting just now, and both would commit.
//! The same goes for parking a partial image because its row is not there. So a batch that may
//! act on the *absence* of a row excludes all other batches that may write the same row:
//! - the stream's partitions have disjoint keys, so each locks its own *lane* (a hash of topic
//!   and partition): exclusively when it has deletes or partial images, else shared;
//! - reads from the table (backfill, repair) overlap with any partition, so they lock all lanes,
//!   shared; exclusively when they have deletes or partial images themselves;
//! - the parts of an entity come from different topics, so every batch locks lane 0 exclusively.
//!
//! Sorted by entity and lane, before any row is touched.

use std::collections::BTreeMap;

use mapping::{
    plan::{EntityId, SoftDelete},
    row::{RowBatch, RowKind},
};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::{
    Error, Target,
    batch::{Checkpoint, QuarantineEntry},
    writer::LOCK_SPACE,
};

const LANES: i32 = 16;

/// What an entity looks like to this transaction. Exact, because of the locks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gate {
    /// The domain is cut over: its tables belong to Postgres, and the stream is only an echo.
    pub(crate) cut_over: bool,
    pub(crate) has_tombstones: bool,
    pub(crate) has_parked: bool,
    pub(crate) has_quarantine: bool,
    /// Rows of the entity are in the archive.
    pub(crate) has_archived: bool,
    /// Rows of the entity have document numbers that could not be read.
    pub(crate) has_unread: bool,
}

/// How a batch meets an entity.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Demand {
    /// It has deletes, partial images, quarantined rows, or rows for the archive.
    pub(crate) acts_on_absence: bool,
    /// The entity has several parts.
    pub(crate) composed: bool,
}

impl Target {
    /// How the batch meets each entity that it touches.
    pub(crate) fn demands(
        &self,
        parts: &[RowBatch],
        quarantine: &[QuarantineEntry],
    ) -> Result<BTreeMap<EntityId, Demand>, Error> {
        let mut demands: BTreeMap<EntityId, Demand> = BTreeMap::new();
        for part in parts.iter().filter(|part| !part.rows.is_empty()) {
            let demand = demands.entry(part.entity).or_default();
            let plan = self.entity(part.entity)?;
            demand.composed = plan.parts.len() > 1;
            let archives = plan.soft_delete == SoftDelete::Archive;
            demand.acts_on_absence |= part.rows.iter().any(|row| {
                row.kind == RowKind::Delete
                    || row.unchanged != 0
                    || (archives && row.kind == RowKind::SoftDelete)
            });
        }
        for entry in quarantine {
            let fed = self.entities_fed(entry.table);
            // Without an entity it may be of any that its table feeds: none may move meanwhile.
            let entities = match entry.entity {
                Some(entity) => vec![entity],
                None => fed.into_iter().map(|(entity, _)| entity).collect(),
            };
            for entity in entities {
                let demand = demands.entry(entity).or_default();
                demand.composed = self.entity(entity)?.parts.len() > 1;
                demand.acts_on_absence = true;
            }
        }
        Ok(demands)
    }
}

/// Begins the transaction with the locks, in one round trip.
pub(crate) async fn begin(
    target: &Target,
    connection: &mut PgConnection,
    demands: &BTreeMap<EntityId, Demand>,
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    let lanes = lanes(checkpoint);
    let mut locks = Vec::new();
    for (entity, demand) in demands {
        let number = i32::from(target.registered(*entity)?.number);
        let exclusive = demand.acts_on_absence || demand.composed;
        let lanes = if demand.composed { &[0][..] } else { &lanes };
        let shared = if exclusive { "" } else { "_shared" };
        for lane in lanes {
            locks.push((number, *lane, shared));
        }
    }
    locks.sort_unstable();
    let mut sql = String::from("begin");
    for (number, lane, shared) in locks {
        let space = LOCK_SPACE + number;
        sql.push_str(&format!("; select pg_advisory_xact_lock{shared}({space}, {lane})"));
    }
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .map_err(Error::postgres("beginning a batch"))?;
    Ok(())
}

fn lanes(checkpoint: &Checkpoint) -> Vec<i32> {
    match checkpoint {
        Checkpoint::Offsets { advances, .. } => {
            let lane = |topic: &str, partition: i32| {
                // FNV-1a: the same in every process and version.
                let bytes = topic.bytes().chain(partition.to_be_bytes());
                let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
                    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
                });
                i32::try_from(hash >> 16).unwrap_or(0) % LANES
            };
            let mut lanes: Vec<i32> =
                advances.iter().map(|advance| lane(&advance.topic, advance.partition)).collect();
            lanes.sort_unstable();
            lanes.dedup();
            lanes
        }
        Checkpoint::Chunk(_) | Checkpoint::None => (0..LANES).collect(),
    }
}

/// Asks for the state of each entity; the domains' rows stay share-locked until the end, so a
/// cutover waits for this batch and no batch slips past a cutover.
pub(crate) async fn look(
    target: &Target,
    connection: &mut PgConnection,
    demands: &BTreeMap<EntityId, Demand>,
) -> Result<BTreeMap<EntityId, Gate>, Error> {
    if demands.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut numbers = Vec::with_capacity(demands.len());
    let mut domains = Vec::with_capacity(demands.len());
    for entity in demands.keys() {
        numbers.push(target.registered(*entity)?.number);
        domains.push(target.entity(*entity)?.domain.as_str());
    }
    let rows = sqlx::query(
        "with held as materialized (
           select name, state from ficus.domain where name = any($2) order by name for share)
         select h.state in ('cut_over', 'retired') as cut_over,
                exists (select from ficus.tombstone x where x.entity = w.entity) as tombstones,
                exists (select from ficus.parked x where x.entity = w.entity) as parked,
                exists (select from ficus.quarantine x
                        where (x.entity = w.entity or x.entity is null)
                          and x.state = 'open') as quarantine,
                exists (select from ficus.archive x
                        where x.entity = w.entity and x.state = 'archived') as archived,
                exists (select from ficus.sequence_unread x where x.entity = w.entity) as unread
         from unnest($1::int2[], $2::text[]) with ordinality as w (entity, domain, n)
         left join held h on h.name = w.domain order by w.n",
    )
    .bind(numbers)
    .bind(domains)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("asking for the state of the domains"))?;
    let gates = rows.into_iter().map(|row| Gate {
        cut_over: row.get::<Option<bool>, _>("cut_over").unwrap_or(false),
        has_tombstones: row.get("tombstones"),
        has_parked: row.get("parked"),
        has_quarantine: row.get("quarantine"),
        has_archived: row.get("archived"),
        has_unread: row.get("unread"),
    });
    Ok(demands.keys().copied().zip(gates).collect())
}
