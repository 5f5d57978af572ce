//! Runs over a part of a table: rows that an operator wants to be copied again.
//!
//! They have chunks like any other run, and the same guards. What they don't have is a say in
//! whether a table is copied: that is for runs over whole tables ([`crate::chunk`]).

use mapping::plan::TableId;

use crate::{
    Error, Target,
    chunk::{Run, run},
};

/// Which part of a table is copied again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The rows that a condition of the operator's holds for, as T-SQL.
    Where(String),
    /// Rows by their keys. Nothing goes on where such a run was stopped: the keys are not kept.
    Keys,
}

impl Part {
    fn stored(&self) -> String {
        match self {
            Self::Where(condition) => format!("where: {condition}"),
            Self::Keys => "keys".to_owned(),
        }
    }
}

impl Target {
    /// Starts a run over a part.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn start_part(&self, part: &Part, options: &serde_json::Value) -> Result<Run, Error> {
        let row = sqlx::query(
            "insert into ficus.backfill_run (mapping_version, options, part) values ($1, $2, $3)
             returning id, mapping_version, state, options",
        )
        .bind(&self.plan().version)
        .bind(options)
        .bind(part.stored())
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres("starting to copy a part again"))?;
        Ok(run(&row))
    }

    /// The unfinished run over this part of the table.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn open_part(&self, table: TableId, part: &Part) -> Result<Option<Run>, Error> {
        let row = sqlx::query(
            "select id, mapping_version, state, options from ficus.backfill_run r
             where state = 'running' and part = $2 and exists (
               select from ficus.backfill_chunk c where c.run = r.id and c.source_table = $1)
             order by id desc limit 1",
        )
        .bind(self.table_name(table)?)
        .bind(part.stored())
        .fetch_optional(self.pool())
        .await
        .map_err(Error::postgres("looking for a part that is copied again"))?;
        Ok(row.as_ref().map(run))
    }

    /// Gives up the runs over parts of the table on which nobody works any more; how many.
    /// What they copied stays.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn abandon_parts(&self, table: TableId) -> Result<u64, Error> {
        let result = sqlx::query(
            "with gone as (
               update ficus.backfill_run r
               set state = 'abandoned', finished_at = clock_timestamp()
               where state = 'running' and part is not null
                 and started_at < clock_timestamp() - interval '10 seconds'
                 and exists (
                   select from ficus.backfill_chunk c where c.run = r.id and c.source_table = $1)
                 and not exists (
                   select from ficus.backfill_chunk c
                   where c.run = r.id and c.state = 'running' and c.lease_until > clock_timestamp())
               returning id), fenced as (
               update ficus.backfill_chunk set owner_epoch = owner_epoch + 1, state = 'done'
               where run in (select id from gone) and state <> 'done')
             select from gone",
        )
        .bind(self.table_name(table)?)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("giving up parts that nobody copies"))?;
        Ok(result.rows_affected())
    }
}
