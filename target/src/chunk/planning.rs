//! Which chunks a table has.

use mapping::plan::TableId;

use super::ChunkPlan;
use crate::{Error, Target};

impl Target {
    /// Writes a table's chunks; those that are already there stay as they are, so a planner that
    /// was killed can simply plan again.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn plan_chunks(&self, run: i64, chunks: &[ChunkPlan]) -> Result<(), Error> {
        let mut tables = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            tables.push(self.table_name(chunk.table)?);
        }
        let numbers: Vec<i32> = chunks.iter().map(|chunk| chunk.number).collect();
        let after: Vec<Option<&[u8]>> = chunks.iter().map(|chunk| chunk.after.as_deref()).collect();
        let up_to: Vec<Option<&[u8]>> = chunks.iter().map(|chunk| chunk.up_to.as_deref()).collect();
        sqlx::query(
            "insert into ficus.backfill_chunk (run, source_table, number, after_key, up_to_key)
             select $1, * from unnest($2::text[], $3::int4[], $4::bytea[], $5::bytea[])
             on conflict (run, source_table, number) do nothing",
        )
        .bind(run)
        .bind(tables)
        .bind(numbers)
        .bind(after)
        .bind(up_to)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("planning chunks"))?;
        Ok(())
    }

    /// Plans a table anew: its chunks give way to these, all of them ready. Owners are fenced,
    /// because the chunks that they have are gone.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn replan_chunks(
        &self,
        run: i64,
        table: TableId,
        chunks: &[ChunkPlan],
    ) -> Result<(), Error> {
        let failed = || Error::postgres("planning chunks anew");
        let numbers: Vec<i32> = chunks.iter().map(|chunk| chunk.number).collect();
        let after: Vec<Option<&[u8]>> = chunks.iter().map(|chunk| chunk.after.as_deref()).collect();
        let up_to: Vec<Option<&[u8]>> = chunks.iter().map(|chunk| chunk.up_to.as_deref()).collect();
        let mut transaction = self.pool().begin().await.map_err(failed())?;
        // The run's row is locked: of two that plan at once, the later one has the last word.
        sqlx::query(
            "update ficus.backfill_run set state = 'running', finished_at = null where id = $1",
        )
        .bind(run)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        let name = self.table_name(table)?;
        sqlx::query("delete from ficus.backfill_chunk where run = $1 and source_table = $2")
            .bind(run)
            .bind(&name)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        sqlx::query(
            "insert into ficus.backfill_chunk (run, source_table, number, after_key, up_to_key)
             select $1, $2, * from unnest($3::int4[], $4::bytea[], $5::bytea[])",
        )
        .bind(run)
        .bind(&name)
        .bind(numbers)
        .bind(after)
        .bind(up_to)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        transaction.commit().await.map_err(failed())
    }
}
