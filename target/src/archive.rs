//! Entities whose soft-deleted rows leave their table (`soft_delete = "archive"`).
//!
//! The row moves into `ficus.archive` in one statement, guarded by its position as every write
//! (law 3), and leaves a tombstone there: to the table it is a delete. What moves is the target's
//! own row, because XPO has cleared the legacy row's references by then (trap 3), under the other
//! columns that the change brings. Without a target row, what the legacy row still has is kept.
//!
//! An undelete ends the open entry as `restored`. When it comes without its LOBs, the row is
//! taken out of the archive first, so that it has them.

use std::collections::HashSet;

use mapping::plan::EntityId;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::{
    Error,
    fold::{Change, Special, is_unchanged},
    lane::{Outcomes, Session, set},
    statement::{Ident, Staged, literal, not_buried, replaces},
    tally::Outcome,
};

/// The statements of one entity. `s` is the staging table, `t` the target, `a` the archive.
pub(crate) struct ArchiveStatements {
    stage: String,
    table: Ident,
    number: i16,
    columns: Vec<Ident>,
    special: Special,
    /// Names of the references, as a Postgres array.
    references: String,
    /// Moves the staged full soft deletes.
    full: String,
    /// Moves composed rows: their parts have decided already, so nothing guards but that the row
    /// is the engine's.
    pub(crate) composed: String,
    /// Ends the entries of staged rows that are there again.
    restored: String,
    /// Ends the entries of rows (`$1`) that were deleted for good (`$2` positions).
    purged: String,
}

impl ArchiveStatements {
    pub(crate) fn new(
        (stage, table, number): (&str, &Ident, i16),
        columns: &[Ident],
        special: Special,
    ) -> Self {
        let lost = columns.iter().enumerate().skip(1);
        let lost = lost.filter(|(index, _)| !is_unchanged(special.brought, *index));
        let lost: Vec<String> = lost.map(|(_, name)| literal(name.name())).collect();
        let mut statements = Self {
            stage: stage.to_owned(),
            table: table.clone(),
            number,
            columns: columns.to_vec(),
            special,
            references: format!("array[{}]::text[]", lost.join(", ")),
            full: String::new(),
            composed: String::new(),
            restored: String::new(),
            purged: String::new(),
        };
        statements.full = statements.move_full();
        statements.composed = statements.move_composed();
        statements.restored = format!(
            "update ficus.archive as a set state = 'restored', ended_position = s.source_position, \
             ended_at = clock_timestamp() from pg_temp.{stage} as s \
             where s.stage_kind in ({}, {}) and a.entity = {number} and a.row_id = s.id \
             and a.state = 'archived' and {} \
             and (select t.source_position = s.source_position from {table} as t where t.id = s.id)",
            Staged::Full.code(),
            Staged::Partial.code(),
            replaces("a.position", "s.source_position"),
        );
        statements.purged = format!(
            "update ficus.archive as a set state = 'purged', ended_position = w.position, \
             ended_at = clock_timestamp() from unnest($1::uuid[], $2::bytea[]) as w (id, position) \
             where a.entity = {number} and a.row_id = w.id and a.state = 'archived' \
             and a.position < w.position"
        );
        statements
    }

    /// The staged columns that a soft delete with this mask brings, as an object.
    fn brought(&self, unchanged: u64) -> String {
        let known = self.columns.iter().enumerate().skip(1).filter(|(index, _)| {
            is_unchanged(self.special.brought, *index) && !is_unchanged(unchanged, *index)
        });
        object("s", known.map(|(_, name)| name))
    }

    /// The insert that keeps the rows of the CTE `kept`, laid over an open entry by `laid`.
    fn keep(&self, laid: &str, guard: &str) -> String {
        format!(
            "insert into ficus.archive as a (entity, row_id, key, position, row) \
             select {}, kept.id, (select k.key from ficus.key_map as k where k.id = kept.id), \
             kept.position, kept.row from kept order by kept.id \
             on conflict (entity, row_id) where state = 'archived' do update \
             set position = excluded.position, row = {laid}{guard}",
            self.number
        )
    }

    /// The tombstones of the rows of a CTE; the ids of those that count.
    fn bury(&self, kept: &str) -> String {
        format!(
            "buried as (insert into ficus.tombstone as b (entity, id, position) \
             select {}, k.id, k.position from {kept} as k order by k.id \
             on conflict (entity, id) do update set position = excluded.position where {} \
             returning b.id) select id from buried",
            self.number,
            replaces("b.position", "excluded.position")
        )
    }

    fn move_full(&self) -> String {
        let Self { stage, table, .. } = self;
        format!(
            "with s as materialized (select s.* from pg_temp.{stage} as s where s.stage_kind = {} \
               and {}), \
             gone as (delete from {table} as t using s where t.id = s.id and {} \
               returning t.id, s.source_position as position, \
               to_jsonb(t) - 'source_position' || {} as row), \
             kept as (select * from gone union all \
               select s.id, s.source_position, {} from s \
               where (select true from {table} as t where t.id = s.id) is null), \
             archived as ({}), {}",
            Staged::SoftDelete.code(),
            not_buried(self.number),
            replaces("t.source_position", "s.source_position"),
            self.brought(0),
            object("s", self.columns.iter()),
            self.keep(
                &format!("a.row || (excluded.row - {})", self.references),
                &format!(" where {}", replaces("a.position", "excluded.position"))
            ),
            self.bury("kept"),
        )
    }

    fn move_composed(&self) -> String {
        let Self { stage, table, .. } = self;
        let all = object("s", self.columns.iter());
        format!(
            "with s as materialized (select s.* from pg_temp.{stage} as s where s.stage_kind = {}), \
             gone as (delete from {table} as t using s \
               where t.id = s.id and t.source_position is not null \
               returning t.id, s.source_position as position, \
               to_jsonb(t) - 'source_position' || {all} as row), \
             kept as (select * from gone union all \
               select s.id, s.source_position, {all} from s \
               where (select true from {table} as t where t.id = s.id) is null), \
             archived as ({}), {}",
            Staged::SoftDelete.code(),
            self.keep("a.row || excluded.row", ""),
            self.bury("kept"),
        )
    }

    /// Moves the staged soft deletes with this mask (`$1`): onto the target's row, or onto an open
    /// entry. One that finds neither is left for its full image.
    fn move_partial(&self, unchanged: u64) -> String {
        let Self { stage, table, number, .. } = self;
        let brought = self.brought(unchanged);
        format!(
            "with s as materialized (select s.* from pg_temp.{stage} as s where s.stage_kind = {} \
               and s.stage_mask = $1 and {}), \
             kept as (delete from {table} as t using s where t.id = s.id and {} \
               returning t.id, s.source_position as position, \
               to_jsonb(t) - 'source_position' || {brought} as row), \
             laid as (update ficus.archive as a set position = s.source_position, \
               row = a.row || {brought} from s where a.entity = {number} and a.row_id = s.id \
               and a.state = 'archived' and {} \
               and (select true from {table} as t where t.id = s.id) is null \
               returning a.row_id as id, a.position), \
             archived as ({}), {}",
            Staged::PartialSoftDelete.code(),
            not_buried(*number),
            replaces("t.source_position", "s.source_position"),
            replaces("a.position", "s.source_position"),
            self.keep("a.row || excluded.row", ""),
            self.bury("(select id, position from kept union all select id, position from laid)"),
        )
    }

    /// Brings archived rows back for the staged images with this mask (`$1`), which lack some of
    /// their columns. Only where the entry has those columns: one that was kept under an earlier
    /// mapping may not.
    fn bring_back(&self, unchanged: u64) -> String {
        let Self { stage, table, number, .. } = self;
        let names = self.columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let values = self.columns.iter().map(|name| format!("r.{name}"));
        let lacking = self.columns.iter().enumerate();
        let lacking = lacking.filter(|(index, _)| is_unchanged(unchanged, *index));
        let lacking: Vec<String> = lacking.map(|(_, name)| literal(name.name())).collect();
        format!(
            "insert into {table} as t ({names}, source_position) select {}, a.position \
             from pg_temp.{stage} as s join ficus.archive as a on a.entity = {number} \
             and a.row_id = s.id and a.state = 'archived' \
             cross join lateral jsonb_populate_record(null::{table}, a.row) as r \
             where s.stage_kind = {} and s.stage_mask = $1 and {} \
             and a.row ?& array[{}]::text[] and {} \
             on conflict (id) do nothing",
            values.collect::<Vec<_>>().join(", "),
            Staged::Partial.code(),
            replaces("a.position", "s.source_position"),
            lacking.join(", "),
            not_buried(*number),
        )
    }
}

/// Columns of a row as a jsonb object. (`jsonb_build_object` takes 50 of them at most.)
fn object<'a>(row: &str, columns: impl Iterator<Item = &'a Ident>) -> String {
    let columns: Vec<String> = columns.map(|name| format!("{row}.{name}")).collect();
    match columns.is_empty() {
        true => "'{}'::jsonb".to_owned(),
        false => format!("(select to_jsonb(x) from (select {}) as x)", columns.join(", ")),
    }
}

impl<'s> Session<'s> {
    /// Moves staged soft deletes of an entity with one part; `unchanged` is the mask of the
    /// changes in `which`. Whether it moved them all.
    pub(crate) async fn archive(
        &mut self,
        entity: EntityId,
        (changes, which): (&[Change<'_>], &[usize]),
        unchanged: u64,
        outcomes: &mut Outcomes,
    ) -> Result<bool, Error> {
        let Some(statements) = &self.target.registered(entity)?.archive else { return Ok(false) };
        let doing = || Error::postgres(format!("archiving rows of {}", statements.table));
        let rows = if unchanged == 0 {
            sqlx::query(AssertSqlSafe(statements.full.clone()))
        } else {
            sqlx::query(AssertSqlSafe(statements.move_partial(unchanged)))
                .bind(i64::from_ne_bytes(unchanged.to_ne_bytes()))
        };
        let rows = rows.fetch_all(&mut *self.connection).await.map_err(doing())?;
        let moved: HashSet<Uuid> = rows.into_iter().map(|row| row.get(0)).collect();
        for index in which {
            let is_moved = changes.get(*index).is_some_and(|change| moved.contains(&change.id));
            set(outcomes, *index, if is_moved { Outcome::Applied } else { Outcome::Stale });
        }
        self.has_archived(entity);
        Ok(moved.len() >= which.len())
    }

    /// Moves the staged composed rows of an entity with several parts.
    pub(crate) async fn archive_composed(&mut self, entity: EntityId) -> Result<(), Error> {
        let Some(statements) = &self.target.registered(entity)?.archive else { return Ok(()) };
        sqlx::query(AssertSqlSafe(statements.composed.clone()))
            .execute(&mut *self.connection)
            .await
            .map_err(Error::postgres(format!("archiving rows of {}", statements.table)))?;
        self.has_archived(entity);
        Ok(())
    }

    /// Brings archived rows back that these partial images are of.
    pub(crate) async fn bring_back(
        &mut self,
        entity: EntityId,
        unchanged: u64,
    ) -> Result<(), Error> {
        let Some(statements) = self.open_archive(entity)? else { return Ok(()) };
        sqlx::query(AssertSqlSafe(statements.bring_back(unchanged)))
            .bind(i64::from_ne_bytes(unchanged.to_ne_bytes()))
            .execute(&mut *self.connection)
            .await
            .map_err(Error::postgres(format!("restoring rows of {}", statements.table)))?;
        Ok(())
    }

    /// Ends the entries of staged rows that are in their table again.
    pub(crate) async fn end_restored(&mut self, entity: EntityId) -> Result<(), Error> {
        let Some(statements) = self.open_archive(entity)? else { return Ok(()) };
        sqlx::query(AssertSqlSafe(statements.restored.clone()))
            .execute(&mut *self.connection)
            .await
            .map_err(Error::postgres(format!("restoring rows of {}", statements.table)))?;
        Ok(())
    }

    /// Ends the entries of rows that the legacy side has deleted for good.
    pub(crate) async fn end_purged(
        &mut self,
        entity: EntityId,
        ids: &[Uuid],
        positions: &[&[u8]],
    ) -> Result<(), Error> {
        let Some(statements) = self.open_archive(entity)? else { return Ok(()) };
        sqlx::query(AssertSqlSafe(statements.purged.clone()))
            .bind(ids)
            .bind(positions)
            .execute(&mut *self.connection)
            .await
            .map_err(Error::postgres(format!("purging rows of {}", statements.table)))?;
        Ok(())
    }

    /// The statements, when the archive has open entries of the entity.
    fn open_archive(&self, entity: EntityId) -> Result<Option<&'s ArchiveStatements>, Error> {
        let target = self.target;
        let statements = target.registered(entity)?.archive.as_ref();
        Ok(statements.filter(|_| self.gate(entity).has_archived))
    }

    fn has_archived(&mut self, entity: EntityId) {
        self.gates.entry(entity).or_default().has_archived = true;
    }
}
