//! Rows of single-part entities into their table: stage, then one statement for each kind.

use std::collections::{BTreeMap, HashMap, HashSet};

use mapping::{plan::EntityId, row::RowKind};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::{
    Error, Target,
    copy::{Destination, StagedRow, copy_in},
    fold::Change,
    gate::Gate,
    hook,
    park::{self, Parked},
    statement::Staged,
    tally::{Outcome, Tally},
};

/// The transaction of one attempt.
pub(crate) struct Session<'s> {
    pub(crate) target: &'s Target,
    pub(crate) connection: &'s mut PgConnection,
    /// Staging tables that hold rows of this transaction.
    pub(crate) used: HashSet<String>,
    pub(crate) gates: BTreeMap<EntityId, Gate>,
    /// The quarantine entry that is tried again: it does not stand in its own way.
    pub(crate) retrying: Option<i64>,
    pub(crate) tally: Tally,
    /// Changes that this transaction has parked.
    pub(crate) parked: Vec<Parked>,
}

/// What became of each change of a round, in its order.
pub(crate) type Outcomes = Vec<Outcome>;

impl Session<'_> {
    /// Writes a round of one entity: no two changes are of the same row, sorted by id.
    pub(crate) async fn write(
        &mut self,
        entity: EntityId,
        changes: &[Change<'_>],
    ) -> Result<Outcomes, Error> {
        let mut outcomes = vec![Outcome::Stale; changes.len()];
        let deletes: Vec<usize> = indexes(changes, |change| change.kind == RowKind::Delete);
        if !deletes.is_empty() {
            self.delete(entity, changes, &deletes, &mut outcomes).await?;
            hook::point("apply.after_delete");
        }
        // Tombstones are looked for from the staging table.
        let straight =
            self.target.registered(entity)?.takes_copies && !self.gate(entity).has_tombstones;
        let goes_straight = |kind| straight && kind == Staged::New;
        let new = indexes(changes, |change| kind(change).is_some_and(goes_straight));
        let rows = indexes(changes, |change| kind(change).is_some_and(|kind| !goes_straight(kind)));
        let mut waiting = Vec::new();
        if !new.is_empty() {
            self.copy_new(entity, changes, &new, &mut outcomes).await?;
            hook::point("apply.after_copy");
        }
        if !rows.is_empty() {
            self.stage(entity, rows.iter().filter_map(|index| staged(changes, *index))).await?;
            hook::point("apply.after_stage");
            if !straight {
                self.insert_new(entity, changes, &mut outcomes).await?;
            }
            self.write_full(entity, changes, &mut outcomes).await?;
            waiting = self.write_partial(entity, changes, &mut outcomes).await?;
            self.end_restored(entity).await?;
            hook::point("apply.after_upsert");
        }
        waiting.extend(self.behind(entity, changes).await?);
        if !waiting.is_empty() {
            park::park(self, entity, changes, &waiting, &mut outcomes).await?;
        }
        if self.gate(entity).has_quarantine {
            park::supersede(self, entity, changes).await?;
        }
        Ok(outcomes)
    }

    /// Adds outcomes to the counts, once nothing can take them back but the whole transaction.
    pub(crate) fn count(&mut self, changes: &[Change<'_>], outcomes: &[Outcome]) {
        for (change, outcome) in changes.iter().zip(outcomes) {
            change.count(&mut self.tally, *outcome);
        }
    }

    pub(crate) fn gate(&self, entity: EntityId) -> Gate {
        self.gates.get(&entity).copied().unwrap_or_default()
    }

    async fn delete(
        &mut self,
        entity: EntityId,
        changes: &[Change<'_>],
        deletes: &[usize],
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        let picked = deletes.iter().filter_map(|index| changes.get(*index));
        let ids: Vec<Uuid> = picked.clone().map(|change| change.id).collect();
        let positions: Vec<&[u8]> =
            picked.map(|change| change.position.as_bytes().as_slice()).collect();
        let registered = self.target.registered(entity)?;
        let rows = sqlx::query(AssertSqlSafe(registered.statements.delete.clone()))
            .bind(&ids)
            .bind(&positions)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(Error::postgres(format!("deleting from {}", registered.statements.table)))?;
        let removed: HashMap<Uuid, bool> =
            rows.into_iter().map(|row| (row.get(0), row.get(1))).collect();
        for index in deletes {
            let Some(change) = changes.get(*index) else { continue };
            let outcome = match removed.get(&change.id) {
                // The entity never had the row.
                Some(false) if change.filtered => Outcome::Ignored,
                Some(_) => Outcome::Applied,
                None => Outcome::Stale,
            };
            set(outcomes, *index, outcome);
        }
        self.end_purged(entity, &ids, &positions).await
    }

    /// Sends rows into the entity's staging table, which is empty afterwards but for them.
    pub(crate) async fn stage<'a>(
        &mut self,
        entity: EntityId,
        rows: impl Iterator<Item = StagedRow<'a>>,
    ) -> Result<(), Error> {
        let statements = &self.target.registered(entity)?.statements;
        let doing = || Error::postgres(format!("staging rows of {}", statements.table));
        if !self.used.insert(statements.stage.clone()) {
            sqlx::raw_sql(AssertSqlSafe(format!("delete from pg_temp.{}", statements.stage)))
                .execute(&mut *self.connection)
                .await
                .map_err(doing())?;
        }
        let stage = (Destination::Stage, statements.copy.as_str());
        copy_in(self.connection, stage, statements.order.len(), rows).await
    }

    /// Sends new rows straight into their table.
    async fn copy_new(
        &mut self,
        entity: EntityId,
        changes: &[Change<'_>],
        new: &[usize],
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        let statements = &self.target.registered(entity)?.statements;
        let table = (Destination::Table, statements.copy_new.as_str());
        let rows = new.iter().filter_map(|index| staged(changes, *index));
        copy_in(self.connection, table, statements.order.len(), rows).await?;
        for index in new {
            set(outcomes, *index, Outcome::Applied);
        }
        Ok(())
    }

    /// The staged rows that nobody can have written yet.
    async fn insert_new(
        &mut self,
        entity: EntityId,
        changes: &[Change<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        let new = indexes(changes, |change| kind(change) == Some(Staged::New));
        if new.is_empty() {
            return Ok(());
        }
        let target = self.target;
        let checked = self.gate(entity).has_tombstones;
        let sql = target.registered(entity)?.statements.insert(checked);
        self.run(entity, (sql, None), changes, &new, outcomes).await?;
        Ok(())
    }

    /// The rows of which all columns are known, and full soft deletes.
    async fn write_full(
        &mut self,
        entity: EntityId,
        changes: &[Change<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        let target = self.target;
        let statements = &target.registered(entity)?.statements;
        let checked = self.gate(entity).has_tombstones;
        let full = indexes(changes, |change| kind(change) == Some(Staged::Full));
        if !full.is_empty() {
            let sql = statements.upsert(checked);
            self.run(entity, (sql, None), changes, &full, outcomes).await?;
        }
        let soft = indexes(changes, |change| kind(change) == Some(Staged::SoftDelete));
        if !soft.is_empty() && target.registered(entity)?.archive.is_some() {
            self.archive(entity, (changes, &soft), 0, outcomes).await?;
        } else if !soft.is_empty() {
            let sql = statements.soft_delete(checked);
            self.run(entity, (sql, None), changes, &soft, outcomes).await?;
        }
        Ok(())
    }

    /// The rows of which some columns are not known; comes back with those that have no row.
    async fn write_partial(
        &mut self,
        entity: EntityId,
        changes: &[Change<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<Vec<usize>, Error> {
        let target = self.target;
        let statements = &target.registered(entity)?.statements;
        let mut masks: BTreeMap<(Staged, u64), Vec<usize>> = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            if let Some(kind @ (Staged::Partial | Staged::PartialSoftDelete)) = kind(change) {
                masks.entry((kind, change.unchanged)).or_default().push(index);
            }
        }
        let mut unsure = false;
        let archives = target.registered(entity)?.archive.is_some();
        for ((kind, mask), which) in masks {
            if archives && kind == Staged::PartialSoftDelete {
                unsure |= !self.archive(entity, (changes, &which), mask, outcomes).await?;
                continue;
            }
            self.bring_back(entity, mask).await?;
            let sql = statements.partial(kind, mask);
            let mask = i64::from_ne_bytes(mask.to_ne_bytes());
            unsure |= !self.run(entity, (&sql, Some(mask)), changes, &which, outcomes).await?;
        }
        if !unsure {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(AssertSqlSafe(statements.missing.clone()))
            .bind(Staged::Partial.code())
            .fetch_all(&mut *self.connection)
            .await
            .map_err(Error::postgres(format!("looking for rows of {}", statements.table)))?;
        Ok(rows.into_iter().filter_map(|row| usize::try_from(row.get::<i32, _>(0)).ok()).collect())
    }

    /// Runs a statement over some of the staged rows and notes which of them it wrote; whether
    /// it wrote them all.
    async fn run(
        &mut self,
        entity: EntityId,
        (sql, argument): (&str, Option<i64>),
        changes: &[Change<'_>],
        which: &[usize],
        outcomes: &mut Outcomes,
    ) -> Result<bool, Error> {
        let table = &self.target.registered(entity)?.statements.table;
        let doing = || Error::postgres(format!("writing {table}"));
        if is_uniform(changes, which) {
            // All go to one account, so how many were written says it all.
            let query = bind(sqlx::query(AssertSqlSafe(sql.to_owned())), argument);
            let result = query.execute(&mut *self.connection).await.map_err(doing())?;
            let written = usize::try_from(result.rows_affected()).unwrap_or(usize::MAX);
            for (done, index) in which.iter().enumerate() {
                let outcome = if done < written { Outcome::Applied } else { Outcome::Stale };
                set(outcomes, *index, outcome);
            }
            return Ok(written >= which.len());
        }
        let query = bind(sqlx::query(AssertSqlSafe(format!("{sql} returning t.id"))), argument);
        let rows = query.fetch_all(&mut *self.connection).await.map_err(doing())?;
        let written: HashSet<Uuid> = rows.into_iter().map(|row| row.get(0)).collect();
        for index in which {
            let is_written = changes.get(*index).is_some_and(|c| written.contains(&c.id));
            set(outcomes, *index, if is_written { Outcome::Applied } else { Outcome::Stale });
        }
        Ok(written.len() >= which.len())
    }

    /// Partial images that wait behind a quarantined change, without those that are stale.
    async fn behind(
        &mut self,
        entity: EntityId,
        changes: &[Change<'_>],
    ) -> Result<Vec<usize>, Error> {
        let behind = indexes(changes, |change| change.behind);
        if behind.is_empty() {
            return Ok(behind);
        }
        let picked = behind.iter().filter_map(|index| changes.get(*index));
        let ids: Vec<Uuid> = picked.clone().map(|change| change.id).collect();
        let positions: Vec<&[u8]> =
            picked.map(|change| change.position.as_bytes().as_slice()).collect();
        let registered = self.target.registered(entity)?;
        let sql = registered.statements.settled(registered.number);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(ids)
            .bind(positions)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(Error::postgres("looking for newer rows"))?;
        let settled: HashSet<Uuid> = rows.into_iter().map(|row| row.get(0)).collect();
        Ok(behind
            .into_iter()
            .filter(|index| changes.get(*index).is_some_and(|c| !settled.contains(&c.id)))
            .collect())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind(query: Query<'_>, mask: Option<i64>) -> Query<'_> {
    match mask {
        None => query,
        Some(mask) => query.bind(mask),
    }
}

/// How a change is staged; `None` for one that is not.
fn kind(change: &Change<'_>) -> Option<Staged> {
    match (change.kind, change.unchanged) {
        (RowKind::Delete, _) => None,
        _ if change.behind => None,
        (RowKind::Upsert | RowKind::SoftDelete, 0) if change.is_new => Some(Staged::New),
        (RowKind::Upsert, 0) => Some(Staged::Full),
        (RowKind::Upsert, _) => Some(Staged::Partial),
        (RowKind::SoftDelete, 0) => Some(Staged::SoftDelete),
        (RowKind::SoftDelete, _) => Some(Staged::PartialSoftDelete),
    }
}

fn is_uniform(changes: &[Change<'_>], which: &[usize]) -> bool {
    let mut picked = which.iter().filter_map(|index| changes.get(*index));
    let Some(first) = picked.next() else { return true };
    first.counted && picked.all(|change| change.counted && change.account == first.account)
}

fn staged<'a>(changes: &'a [Change<'_>], index: usize) -> Option<StagedRow<'a>> {
    let change = changes.get(index)?;
    Some(StagedRow::new(change, kind(change)?, i32::try_from(index).ok()?))
}

fn indexes(changes: &[Change<'_>], wanted: impl Fn(&Change<'_>) -> bool) -> Vec<usize> {
    changes.iter().enumerate().filter(|(_, c)| wanted(c)).map(|(index, _)| index).collect()
}

pub(crate) fn set(outcomes: &mut Outcomes, index: usize, outcome: Outcome) {
    if let Some(slot) = outcomes.get_mut(index) {
        *slot = outcome;
    }
}
