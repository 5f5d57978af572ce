//! Repair: rows that differ, read again from the legacy server and sent through the one way in.
//!
//! Each row goes with the position of its reading: what capture had reached before it (law 3). So
//! a repair never overwrites anything newer, races with nobody, and may be stopped and begun again
//! anywhere. A row that the target has too many is removed only where that was asked for, by a
//! delete at the same kind of position; one without a legacy key, which no delete can name, by the
//! target itself. What is about to be done is in the audit before it is done.

mod batch;

use std::{collections::BTreeMap, sync::Arc};

use legacy::session::Session;
use mapping::{
    key::CanonicalKey,
    plan::{EntityPlan, ObjectTypes, Plan, TablePlan},
    position::Position,
};
use serde::Serialize;
use serde_json::json;
use target::Target;
use uuid::Uuid;

use crate::{DifferenceKind, Error, Source, Watch, subject::table};
use batch::{Known, fill};

/// Rows of one reading and one transaction.
const ROWS: usize = 500;

/// A row that differs, as far as a repair needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Its entity.
    pub entity: String,
    /// How it differs.
    pub kind: DifferenceKind,
    /// Its legacy key; rows that differ only in how they were put together are known by their id.
    pub key: Option<CanonicalKey>,
    /// Its id, where the key has one.
    pub id: Option<Uuid>,
    /// Whether the target row has a position.
    pub has_position: bool,
}

impl Repair {
    /// What [`repair`] would do.
    #[must_use]
    pub fn action(&self, delete_extra: bool) -> &'static str {
        match (self.kind, delete_extra) {
            (DifferenceKind::Extra, true) => "remove from the target",
            (DifferenceKind::Extra, false) => "nothing without --delete-extra",
            (DifferenceKind::Unreported, _) => "read again and put into quarantine",
            (DifferenceKind::Composed, true) => "read again and write, or remove if nobody has it",
            (DifferenceKind::Missing | DifferenceKind::Changed | DifferenceKind::Composed, _) => {
                "read again and write"
            }
        }
    }
}

/// Who repairs, and how far that goes.
#[derive(Debug, Clone)]
pub struct Terms {
    /// For the audit.
    pub actor: String,
    /// The run that found the rows.
    pub run: String,
    /// Whether target rows that the legacy side does not have are removed.
    pub delete_extra: bool,
}

/// What became of the rows of one entity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Legacy rows that were read again, of all its tables.
    pub read: u64,
    /// Those that were written, and deletes.
    pub applied: u64,
    /// Those that the target had newer by then.
    pub stale: u64,
    /// Those that the mapping rejects: they are in quarantine now.
    pub quarantined: u64,
    /// Those left out by a rule, such as that of a domain that is cut over.
    pub ignored: u64,
    /// Rows that are gone from the legacy side: their deletes come with the stream.
    pub gone: u64,
    /// Rows without a legacy key that were removed.
    pub removed: u64,
    /// Rows that the target has too many, and that were left alone.
    pub left: u64,
}

/// Repairs rows, entity by entity.
///
/// # Errors
/// [`Error`]; what is repaired stays so, and the rest can be repaired by another run.
pub async fn repair(
    (source, target, plan): (&Source, &Target, &Arc<Plan>),
    rows: &[Repair],
    terms: &Terms,
    watch: &Watch,
) -> Result<BTreeMap<String, Repaired>, Error> {
    // Until it is done: comparisons of totals by other processes are told.
    let lock = target.begin_rereading().await.map_err(Error::target("beginning a repair"))?;
    let mut session =
        Session::connect(&source.reader).await.map_err(Error::legacy("connecting"))?;
    let object_types = session.object_types().await;
    let object_types = object_types.map_err(Error::legacy("reading dbo.XPObjectType"))?;
    let mut job = Job { session, target, plan, object_types, terms };
    let mut done = BTreeMap::new();
    let mut by_entity: BTreeMap<&str, Vec<&Repair>> = BTreeMap::new();
    for row in rows {
        by_entity.entry(&row.entity).or_default().push(row);
    }
    for (name, rows) in by_entity {
        let Some(entity) = plan.entity(name) else { continue };
        let mut repaired = Repaired::default();
        for some in rows.chunks(ROWS) {
            if watch.stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            job.some(entity, some, &mut repaired).await?;
        }
        let detail = json!({ "run": terms.run, "repaired": repaired });
        let noted = target.note(&terms.actor, ("reconcile.repaired", name), &detail).await;
        noted.map_err(Error::target("writing the audit"))?;
        done.insert(name.to_owned(), repaired);
    }
    drop(lock);
    Ok(done)
}

struct Job<'a> {
    session: Session,
    target: &'a Target,
    plan: &'a Arc<Plan>,
    object_types: ObjectTypes,
    terms: &'a Terms,
}

/// What is done about some rows of an entity.
#[derive(Default)]
struct Work {
    /// Keys to be read again, and whether a row that is not there is removed.
    keys: BTreeMap<CanonicalKey, bool>,
    /// Rows without a position.
    foreign: Vec<Uuid>,
    /// Rows without a key.
    unknown: Vec<Uuid>,
}

impl Job<'_> {
    async fn some(
        &mut self,
        entity: &EntityPlan,
        rows: &[&Repair],
        repaired: &mut Repaired,
    ) -> Result<(), Error> {
        let work = self.sort(entity, rows, repaired).await?;
        self.announce(entity, rows).await?;
        if !work.foreign.is_empty() {
            let taken = self.target.take_back(entity.id, &work.foreign).await;
            taken.map_err(Error::target("taking rows back"))?;
        }
        for part in &entity.parts {
            let Some(table) = table(self.plan, part.table) else { continue };
            self.table(table, &work.keys, repaired).await?;
        }
        if !work.unknown.is_empty() {
            let removed = self.target.remove_unknown(entity.id, &work.unknown).await;
            repaired.removed += removed.map_err(Error::target("removing rows"))?;
        }
        Ok(())
    }

    /// Decides what is done with each row.
    async fn sort(
        &self,
        entity: &EntityPlan,
        rows: &[&Repair],
        repaired: &mut Repaired,
    ) -> Result<Work, Error> {
        let ids: Vec<Uuid> =
            rows.iter().filter(|row| row.key.is_none()).filter_map(|row| row.id).collect();
        let known = self.target.keys_of(&ids).await;
        let known = known.map_err(Error::target("looking for legacy keys"))?;
        let of_id = |id: Uuid| known.get(&id).filter(|(of, _)| *of == entity.id);
        let mut work = Work::default();
        for row in rows {
            let is_extra = row.kind == DifferenceKind::Extra;
            let key = row.key.clone().or_else(|| Some(of_id(row.id?)?.1.clone()));
            if (is_extra || key.is_none()) && !self.terms.delete_extra {
                repaired.left += 1;
                continue;
            }
            match (key, row.id) {
                (Some(key), id) => {
                    work.keys.insert(key, self.terms.delete_extra);
                    work.foreign.extend(id.filter(|_| !row.has_position));
                }
                (None, Some(id)) => work.unknown.push(id),
                (None, None) => repaired.left += 1,
            }
        }
        Ok(work)
    }

    /// Before anything is done, so that a repair that dies half-way is not without a trace.
    async fn announce(&self, entity: &EntityPlan, rows: &[&Repair]) -> Result<(), Error> {
        let row = |row: &&Repair| {
            let done = row.action(self.terms.delete_extra);
            json!({ "id": row.id, "kind": row.kind, "action": done })
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        let detail = json!({ "run": self.terms.run, "rows": rows });
        let action = ("reconcile.repair", entity.name.as_str());
        let noted = self.target.note(&self.terms.actor, action, &detail).await;
        noted.map_err(Error::target("writing the audit"))
    }

    /// Reads some rows of a table and applies what they are now.
    async fn table(
        &mut self,
        table: &TablePlan,
        keys: &BTreeMap<CanonicalKey, bool>,
        repaired: &mut Repaired,
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let doing = format!("reading rows of {} again", table.table);
        // Before the rows: every change up to here is visible to the reading.
        let state = self.session.capture_state().await.map_err(Error::legacy(&doing))?;
        let position = state.max_lsn.map_or(Position::ZERO, Position::read_after);
        let wanted: Vec<CanonicalKey> = keys.keys().cloned().collect();
        let rows = self.session.read_keys(table, &wanted).await.map_err(Error::legacy(&doing))?;
        let known = Known { table, object_types: &self.object_types, position };
        let (batch, gone) = fill(known, rows, keys);
        repaired.gone += gone;
        if batch.read.is_empty() {
            return Ok(());
        }
        let applied = self.target.apply(batch).await;
        let applied = applied.map_err(Error::target(format!("writing rows of {}", table.table)))?;
        for counts in applied.tables.values() {
            repaired.read += counts.read;
            repaired.applied += counts.applied;
            repaired.stale += counts.stale + counts.folded;
            repaired.quarantined += counts.quarantined;
            repaired.ignored += counts.ignored;
        }
        Ok(())
    }
}
