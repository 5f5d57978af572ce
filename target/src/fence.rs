//! Has the stream passed an LSN? A marker row that was written to the legacy database comes back
//! through Kafka; the consumer then stores the end offsets of all its partitions (a
//! [`crate::batch::Fence`]). Debezium publishes in LSN order, so whatever was committed up to the
//! marker is below these offsets.

use mapping::position::Lsn;
use sqlx::{PgConnection, Row as _};

use crate::{Error, Target, partition::lsn};

/// How far the stream provably is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Everything up to here is applied.
    pub lsn: Lsn,
    /// How long ago its marker was met, in milliseconds.
    pub age_ms: i64,
}

/// A fence is passed when every partition that it names has reached its end. Several consumer
/// groups do not mix.
const PASSED: &str = "
    select f.lsn,
           (extract(epoch from clock_timestamp() - max(f.seen_at)) * 1000)::int8 as age_ms
    from ficus.fence f
    left join ficus.partition p using (consumer_group, topic, partition)
    group by f.consumer_group, f.lsn
    having bool_and(coalesce(p.next_offset, 0) >= f.end_offset)
    order by f.lsn desc limit 1";

impl Target {
    /// Whether everything that was committed up to `lsn` is applied.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn passed(&self, lsn: Lsn) -> Result<bool, Error> {
        Ok(self.last_passed().await?.is_some_and(|passed| passed.lsn >= lsn))
    }

    /// The newest passed fence.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn last_passed(&self) -> Result<Option<Passed>, Error> {
        let mut connection = self.connection().await?;
        last_passed(&mut connection).await
    }

    /// Whether the stream of a group has met a marker, or any other proof, at or above `lsn`.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn has_fence(&self, group: &str, lsn: Lsn) -> Result<bool, Error> {
        sqlx::query_scalar(
            "select exists (select from ficus.fence where consumer_group = $1 and lsn >= $2)",
        )
        .bind(group)
        .bind(lsn.as_bytes().as_slice())
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres("looking for a fence"))
    }

    /// Forgets fences that are older than the newest passed one; returns how many marker rows went.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn forget_fences(&self) -> Result<u64, Error> {
        let Some(passed) = self.last_passed().await? else { return Ok(0) };
        let result = sqlx::query("delete from ficus.fence where lsn < $1")
            .bind(passed.lsn.as_bytes().as_slice())
            .execute(self.pool())
            .await
            .map_err(Error::postgres("forgetting old fences"))?;
        Ok(result.rows_affected())
    }
}

pub(crate) async fn last_passed(connection: &mut PgConnection) -> Result<Option<Passed>, Error> {
    let row = sqlx::query(PASSED)
        .fetch_optional(connection)
        .await
        .map_err(Error::postgres("asking how far the stream is"))?;
    Ok(row.and_then(|row| {
        let lsn = lsn(row.get("lsn"))?;
        Some(Passed { lsn, age_ms: row.get("age_ms") })
    }))
}
