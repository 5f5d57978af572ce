//! The one way in: a batch is one transaction.
//!
//! In the order of the code: ids (their own short transaction) → objects → `begin` with locks → the state
//! of the domains → the rows of each entity (fold, stage, write) → quarantine → dictionaries and
//! fences → counts → checkpoint → `commit`. A process may die at any point between: before the
//! commit nothing has happened, after it everything has, and the checkpoint says which.

use std::{
    collections::{BTreeMap, HashSet},
    pin::Pin,
    time::Duration,
};

use mapping::{
    plan::{EntityId, EntityPlan, FILTER_RULE, SoftDelete},
    position::Position,
    row::RowKind,
};
use uuid::Uuid;

use crate::{
    Applied, Batch, Error, Target,
    aside::{part_of, put_aside},
    batch::Checkpoint,
    checkpoint::{self, Commit},
    error::{Disposition, FEATURE_NOT_SUPPORTED, UNIQUE_VIOLATION},
    fold::{Barriers, Change, fold, sort},
    gate, hook,
    keys::Resolved,
    lane::Session,
    park, parts,
    poison::{self, Record, Way},
    prepare::Prepared,
    retry, sequence, settle,
    tally::Tally,
    work::Work,
    writer::Writer,
    written,
};

/// Transient failures are met again and again for about half a minute; after that the caller
/// decides (it can always start again from what Postgres says).
const ATTEMPTS_MAX: u32 = 12;
/// Where others are in the way: each attempt may have waited for as long as `lock_timeout` says,
/// and the caller can do better than to try the same again.
const CONTENDED_ATTEMPTS_MAX: u32 = 4;
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The rule under which the rows of a domain that is cut over are ignored.
pub(crate) const CUT_OVER_RULE: &str = "domain-cut-over";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All rows at once, and those with new ids without a look at what is there: nearly always
    /// nobody can have written them.
    Insert,
    /// All rows at once.
    Merge,
    /// Postgres has refused a row of this batch: find it.
    Careful,
}

impl Mode {
    /// What is tried after a refusal; `None` where that is the last word.
    fn after(self, error: &Error) -> Option<Self> {
        match (self, error.sqlstate()) {
            // Another process met the same key between its minting and our locks, or row-level
            // security has come into force since the table was looked at.
            (Self::Insert, Some(UNIQUE_VIOLATION | FEATURE_NOT_SUPPORTED)) => Some(Self::Merge),
            (Self::Insert | Self::Merge, _) => {
                (error.disposition() == Disposition::Quarantine).then_some(Self::Careful)
            }
            (Self::Careful, _) => None,
        }
    }
}

/// Named, so that the compiler proves `Send` here and callers may spawn [`Target::apply`].
type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Applied, Error>> + Send + 'a>>;

impl Target {
    /// Writes a batch and what accounts for it, in one transaction.
    ///
    /// Transient failures are tried again; rows that Postgres refuses go to quarantine. When the
    /// connection is lost in the commit itself, the checkpoint's row tells whether it got through.
    /// Dropping the future is safe: the transaction is then rolled back, or committed, whole.
    ///
    /// # Errors
    /// [`Error::Fenced`] when somebody else owns the partition or chunk now, [`Error::Flood`],
    /// [`Error::Miscounted`], or [`Error::Postgres`] with a [`Error::disposition`]. Nothing is
    /// written then.
    pub async fn apply(&self, batch: Batch) -> Result<Applied, Error> {
        let work = self.prepare(batch)?;
        self.apply_prepared(Prepared { work, ahead: None }).await
    }

    /// [`Target::apply`] for a batch that has its ids.
    ///
    /// # Errors
    /// As [`Target::apply`].
    pub async fn apply_prepared(&self, prepared: Prepared) -> Result<Applied, Error> {
        let Prepared { mut work, mut ahead } = prepared;
        let mut pause = Duration::from_millis(20);
        let mut attempt = 1;
        loop {
            let trying: Attempt<'_> = Box::pin(self.attempt(&mut work, ahead.take()));
            let error = match trying.await {
                Ok(applied) => return Ok(applied),
                Err(error) => error,
            };
            self.forget(&error);
            if attempt >= attempts_max(error.disposition()) {
                return Err(error);
            }
            self.make_way(&error).await;
            tracing::debug!(attempt, error = %error, "a batch is tried again");
            tokio::time::sleep(jitter(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        work: &mut Work,
        ahead: Option<(Writer, Resolved)>,
    ) -> Result<Applied, Error> {
        hook::point("apply.before_begin");
        // On an error the writer is dropped, which closes the connection and so rolls back.
        let (mut writer, resolved) = match ahead {
            Some(ahead) => ahead,
            None => self.resolve(work).await?,
        };
        // Before the transaction that refers to them, and outside of it: no lock waits for a store.
        self.put_objects(&mut work.objects).await?;
        hook::point("apply.after_objects");
        for entity in work.demands.keys() {
            writer.ensure_stage(&self.registered(*entity)?.statements).await?;
        }
        let mut mode = if resolved.has_new() { Mode::Insert } else { Mode::Merge };
        let applied = loop {
            let error = match self.transaction(&mut writer, work, &resolved, mode).await {
                Ok(applied) => break applied,
                Err(error) => error,
            };
            mode = match mode.after(&error) {
                // Whoever tries one row again is told why it is refused.
                Some(Mode::Careful) if matches!(work.batch.checkpoint, Checkpoint::Retry(_)) => {
                    return Err(error);
                }
                Some(mode) => mode,
                None => return Err(error),
            };
            sqlx::raw_sql("rollback")
                .execute(&mut writer.connection)
                .await
                .map_err(Error::postgres("rolling a batch back"))?;
        };
        self.writers.put_back(writer);
        self.keys.committed(resolved);
        self.numbers.committed(&work.numbers);
        Ok(applied)
    }

    async fn transaction(
        &self,
        writer: &mut Writer,
        work: &Work,
        resolved: &Resolved,
        mode: Mode,
    ) -> Result<Applied, Error> {
        let Work { batch, demands, .. } = work;
        gate::begin(self, &mut writer.connection, demands, &batch.checkpoint).await?;
        hook::point("apply.after_begin");
        let gates = gate::look(self, &mut writer.connection, demands).await?;
        let retrying = retry::begin(&mut writer.connection, &batch.checkpoint).await?;
        let mut session = Session {
            target: self,
            connection: &mut writer.connection,
            used: HashSet::new(),
            gates,
            retrying,
            tally: Tally::default(),
            parked: Vec::new(),
        };
        let origin = origin(&batch.checkpoint);
        let mut refused = Vec::new();
        for entity in demands.keys() {
            let mut changes = changes(&mut session, work, resolved, *entity)?;
            if mode != Mode::Insert || session.gate(*entity).has_archived {
                changes.iter_mut().for_each(|change| change.is_new = false);
            }
            if session.gate(*entity).cut_over {
                for change in changes.iter().filter(|change| change.counted) {
                    session.tally.ignore(change.account, CUT_OVER_RULE, 1);
                }
                continue;
            }
            let mut rows = Rows { session: &mut session, work, resolved, entity: *entity, mode };
            refused.extend(rows.write(changes).await?);
        }
        put_aside(&mut session, work, resolved, refused, origin).await?;
        for (table, rows) in &work.outside {
            let account = work.account(&mut session.tally, *table, &self.table_name(*table)?);
            session.tally.ignore(account, FILTER_RULE, *rows);
        }
        settle::settle_left_out(&mut session, &batch.left_out).await?;
        checkpoint::store_object_types(session.connection, &batch.object_types).await?;
        checkpoint::store_fences(session.connection, batch).await?;
        sequence::store(&mut session, &work.parts, &work.numbers).await?;
        self.store_surprises(session.connection, batch).await?;
        self.ask_for(session.connection, &batch.reselect).await?;
        self.close_counts(&mut session.tally, work)?;
        session.tally.store(session.connection).await?;
        hook::point("apply.before_state");
        if let Checkpoint::Retry(step) = &batch.checkpoint {
            retry::close(session.connection, step, batch, &session.tally).await?;
        }
        let commit = Commit::new(session.connection, &batch.checkpoint, work.tag).await?;
        hook::point("apply.after_state");
        let applied = session.tally.applied();
        hook::point("apply.before_commit");
        commit.finish(self, &mut writer.connection, &batch.checkpoint).await?;
        hook::point("apply.after_commit");
        Ok(applied)
    }

    fn close_counts(&self, tally: &mut Tally, work: &Work) -> Result<(), Error> {
        for (table, read) in &work.batch.read {
            let account = work.account(tally, *table, &self.table_name(*table)?);
            match &work.batch.checkpoint {
                Checkpoint::Retry(_) => tally.ignored(account, read),
                _ => tally.close(account, read)?,
            }
        }
        Ok(())
    }
}

/// How often a batch is tried that fails like this.
fn attempts_max(disposition: Disposition) -> u32 {
    match disposition {
        Disposition::Retry => ATTEMPTS_MAX,
        Disposition::RetrySmaller => CONTENDED_ATTEMPTS_MAX,
        Disposition::RetrySlowly
        | Disposition::Quarantine
        | Disposition::Reclaim
        | Disposition::Stop => 1,
    }
}

/// Under which origin the rows are counted.
pub(crate) fn origin(checkpoint: &Checkpoint) -> &'static str {
    match checkpoint {
        Checkpoint::Offsets { .. } => "stream",
        Checkpoint::Chunk(_) => "backfill",
        Checkpoint::Retry(step) => step.origin(),
        Checkpoint::None => "repair",
    }
}

fn jitter(pause: Duration) -> Duration {
    // Any spread will do; the id's random tail is at hand.
    let spread = Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext)).as_bytes()[15];
    pause.mul_f64(0.5 + f64::from(spread) / 512.0)
}

/// The changes of one entity.
fn changes<'w>(
    session: &mut Session<'_>,
    work: &'w Work,
    resolved: &Resolved,
    entity: EntityId,
) -> Result<Vec<Change<'w>>, Error> {
    let mut changes = Vec::new();
    let archives = session.target.entity(entity)?.soft_delete == SoftDelete::Archive;
    for (index, part) in work.parts.iter().enumerate().filter(|(_, p)| p.entity == entity) {
        let Some(table) = session.target.table_of(entity, part.part) else { continue };
        let name = session.target.table_name(table)?;
        let account = work.account(&mut session.tally, table, &name);
        changes.reserve(part.rows.len());
        for (row_index, row) in part.rows.iter().enumerate() {
            let fields = part.fields.get(row.fields.clone()).unwrap_or_default();
            changes.push(Change {
                id: resolved.own(index, row_index),
                key: Some(row.key.clone()),
                part: part.part,
                kind: row.kind,
                filtered: row.filtered,
                position: row.position,
                unchanged: row.unchanged,
                fields: fields.into(),
                sequence: Some(row.sequence),
                account,
                counted: !work.seconds.contains(&(index, row_index)),
                behind: false,
                is_new: resolved.is_new(index, row_index)
                    && !(archives && row.kind == RowKind::SoftDelete),
            });
        }
    }
    Ok(changes)
}

/// The rows of one entity in one transaction.
struct Rows<'a, 's> {
    session: &'a mut Session<'s>,
    work: &'a Work,
    resolved: &'a Resolved,
    entity: EntityId,
    mode: Mode,
}

impl Rows<'_, '_> {
    /// Writes them; comes back with those that Postgres refused.
    async fn write(&mut self, mut changes: Vec<Change<'_>>) -> Result<Vec<Record>, Error> {
        let mut brought = Vec::new();
        if self.session.gate(self.entity).has_parked {
            // A soft delete brings the row that a change may wait for, but settles nothing; what is
            // tried again is what a change may wait behind.
            let retrying = self.session.retrying.is_some();
            let complete: Vec<_> = changes
                .iter()
                .filter(|c| c.is_complete() || c.kind == RowKind::SoftDelete || retrying)
                .map(|change| match change.kind {
                    RowKind::Upsert | RowKind::Delete if change.is_complete() => {
                        (change.id, change.position)
                    }
                    _ => (change.id, Position::ZERO),
                })
                .collect();
            if !complete.is_empty() {
                changes.extend(park::release(self.session, self.entity, &complete).await?);
            }
            brought.extend(complete.into_iter().filter(|(_, at)| *at == Position::ZERO));
        }
        let mut refused = self.write_changes(changes).await?;
        if !brought.is_empty() {
            // Older ones found no row a moment ago, because the soft delete came after them.
            let late = park::release(self.session, self.entity, &brought).await?;
            if !late.is_empty() {
                refused.extend(self.write_changes(late).await?);
            }
        }
        Ok(refused)
    }

    async fn write_changes(&mut self, mut changes: Vec<Change<'_>>) -> Result<Vec<Record>, Error> {
        let barriers = self.barriers(&changes).await?;
        let plan = self.session.target.entity(self.entity)?;
        if self.mode == Mode::Careful {
            sqlx::raw_sql("set constraints all immediate")
                .execute(&mut *self.session.connection)
                .await
                .map_err(Error::postgres("writing row by row"))?;
        }
        if plan.parts.len() > 1 {
            changes.sort_by_key(|change| (change.id, change.position, change.part));
            return self.write_composed(&changes, &barriers).await;
        }
        self.write_rounds(plan, changes, barriers.into_values().next().unwrap_or_default()).await
    }

    /// Quarantined changes that partial images of these rows must wait behind: those of this
    /// batch, and the open ones.
    async fn barriers(&mut self, changes: &[Change<'_>]) -> Result<BTreeMap<u8, Barriers>, Error> {
        let mut barriers: BTreeMap<u8, Barriers> = BTreeMap::new();
        for (entry, keyed) in self.work.batch.quarantine.iter().zip(&self.work.keyed_by_entry) {
            let (Some(keyed), true) = (keyed, entry.entity == Some(self.entity)) else { continue };
            let part = part_of(self.session.target.entity(self.entity)?, entry.table);
            let id = self.resolved.other(*keyed);
            barriers.entry(part).or_default().add(id, entry.position);
        }
        let has_partial = changes.iter().any(Change::is_partial);
        if has_partial {
            let plan = self.session.target.entity(self.entity)?;
            park::add_unknown(plan, &self.work.batch.quarantine, changes, &mut barriers);
        }
        if self.session.gate(self.entity).has_quarantine && has_partial {
            park::load_barriers(self.session, self.entity, changes, &mut barriers).await?;
        }
        Ok(barriers)
    }

    async fn write_rounds(
        &mut self,
        plan: &EntityPlan,
        mut changes: Vec<Change<'_>>,
        mut barriers: Barriers,
    ) -> Result<Vec<Record>, Error> {
        let special = parts::special(plan, 0);
        let merge = self.mode != Mode::Careful;
        let entity = self.entity;
        let joined = sort(&mut changes);
        if merge {
            written::load(self.session, entity, &joined, &mut barriers).await?;
        }
        let mut refused: Vec<Record> = Vec::new();
        for mut round in fold(changes, special, &barriers, merge, &mut self.session.tally) {
            if merge {
                let outcomes = self.session.write(entity, &round).await?;
                self.session.count(&round, &outcomes);
                continue;
            }
            // What Postgres refused in an earlier round is in quarantine now, too.
            for change in &mut round {
                let waits = change.kind == RowKind::Upsert && change.is_partial();
                change.behind |= waits && refused.iter().any(|r| r.row_id == Some(change.id));
            }
            let sources = self.work.sources();
            let (outcomes, more) =
                poison::write_carefully(self.session, entity, &round, sources, Way::Rows).await?;
            self.session.count(&round, &outcomes);
            refused.extend(more);
        }
        park::forget_settled(self.session, entity).await?;
        Ok(refused)
    }

    async fn write_composed(
        &mut self,
        changes: &[Change<'_>],
        barriers: &BTreeMap<u8, Barriers>,
    ) -> Result<Vec<Record>, Error> {
        let entity = self.entity;
        let (outcomes, refused) = if self.mode != Mode::Careful {
            (parts::write(self.session, entity, changes, barriers).await?, Vec::new())
        } else {
            let sources = self.work.sources();
            let way = Way::Parts(barriers);
            poison::write_carefully(self.session, entity, changes, sources, way).await?
        };
        self.session.count(changes, &outcomes);
        Ok(refused)
    }
}
