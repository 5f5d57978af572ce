//! The step that accounts for a batch, and the commit whose answer may never come.

use std::time::Duration;

use mapping::position::Lsn;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::{
    Batch, Error, Target,
    batch::{Checkpoint, ChunkProgress, OffsetAdvance},
    hook,
};

/// How long a lost commit is asked after.
const DECIDE_ATTEMPTS: u32 = 40;

/// A transaction that is ready to commit.
pub(crate) struct Commit {
    /// Stands in the checkpoint's rows once the commit got through. It is the batch's, not the
    /// attempt's: so a chunk, whose step has no expected offset, isn't stepped twice either.
    tag: Uuid,
    /// For a batch without a checkpoint: the transaction's number.
    transaction: Option<String>,
}

impl Commit {
    /// Takes the step. The rows are the last that the transaction locks.
    pub(crate) async fn new(
        connection: &mut PgConnection,
        checkpoint: &Checkpoint,
        tag: Uuid,
    ) -> Result<Self, Error> {
        let transaction = match checkpoint {
            Checkpoint::None | Checkpoint::Retry(_) => Some(current_transaction(connection).await?),
            Checkpoint::Offsets { group, advances } => {
                step_offsets(connection, group, advances, tag).await?;
                None
            }
            Checkpoint::Chunk(progress) => {
                step_chunk(connection, progress, tag).await?;
                None
            }
        };
        Ok(Self { tag, transaction })
    }

    /// Commits. When the connection is lost in it, asks the state row what became of it.
    pub(crate) async fn finish(
        &self,
        target: &Target,
        connection: &mut PgConnection,
        checkpoint: &Checkpoint,
    ) -> Result<(), Error> {
        let committing = sqlx::raw_sql("commit").execute(connection);
        let result = hook::while_waiting("apply.in_commit", committing).await;
        let Err(error) = result.map_err(Error::postgres("committing a batch")) else {
            return Ok(());
        };
        if !error.lost_connection() {
            return Err(error);
        }
        let mut pause = Duration::from_millis(50);
        for _ in 0..DECIDE_ATTEMPTS {
            match self.decide(target, checkpoint).await {
                Ok(Some(true)) => return Ok(()),
                Ok(Some(false)) => return Err(error),
                // Still in progress, or the server is not back.
                Ok(None) => {}
                Err(asking) => tracing::debug!(error = %asking, "a lost commit is undecided"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        // Trying again is safe all the same: the step's own WHERE refuses to be taken twice.
        Err(error)
    }

    /// Whether the commit got through; `None` while the server is still at it. `for share` waits
    /// for a transaction that is still finishing.
    async fn decide(
        &self,
        target: &Target,
        checkpoint: &Checkpoint,
    ) -> Result<Option<bool>, Error> {
        let asking = || Error::postgres("asking for the fate of a commit");
        let mut connection = target.own_connection().await?;
        let found: Option<Option<Uuid>> = match checkpoint {
            Checkpoint::None | Checkpoint::Retry(_) => {
                let status: Option<String> = sqlx::query_scalar("select pg_xact_status($1::xid8)")
                    .bind(self.transaction.as_deref().unwrap_or("0"))
                    .fetch_one(&mut connection)
                    .await
                    .map_err(asking())?;
                return Ok(match status.as_deref() {
                    Some("committed") => Some(true),
                    Some("in progress") => None,
                    _ => Some(false),
                });
            }
            Checkpoint::Offsets { group, advances } => {
                let Some(first) = advances.first() else { return Ok(Some(false)) };
                sqlx::query_scalar(
                    "select last_batch from ficus.partition
                     where consumer_group = $1 and topic = $2 and partition = $3 for share",
                )
                .bind(group)
                .bind(&first.topic)
                .bind(first.partition)
                .fetch_optional(&mut connection)
                .await
                .map_err(asking())?
            }
            Checkpoint::Chunk(progress) => sqlx::query_scalar(
                "select last_batch from ficus.backfill_chunk where id = $1 for share",
            )
            .bind(progress.chunk)
            .fetch_optional(&mut connection)
            .await
            .map_err(asking())?,
        };
        Ok(Some(found.flatten() == Some(self.tag)))
    }
}

async fn current_transaction(connection: &mut PgConnection) -> Result<String, Error> {
    sqlx::query_scalar("select pg_current_xact_id()::text")
        .fetch_one(connection)
        .await
        .map_err(Error::postgres("asking for the transaction's number"))
}

/// One UPDATE with the expected offset and the owner's epoch in its WHERE: whoever was replaced
/// meets no row and can't commit.
async fn step_offsets(
    connection: &mut PgConnection,
    group: &str,
    advances: &[OffsetAdvance],
    tag: Uuid,
) -> Result<(), Error> {
    let mut advances: Vec<&OffsetAdvance> = advances.iter().collect();
    advances.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    let topics: Vec<&str> = advances.iter().map(|a| a.topic.as_str()).collect();
    let partitions: Vec<i32> = advances.iter().map(|a| a.partition).collect();
    let expected: Vec<i64> = advances.iter().map(|a| a.expected).collect();
    let next: Vec<i64> = advances.iter().map(|a| a.next).collect();
    let epochs: Vec<i64> = advances.iter().map(|a| a.epoch).collect();
    let lsns: Vec<Option<&[u8]>> = advances
        .iter()
        .map(|a| a.commit_lsn.as_ref().map(|lsn| lsn.as_bytes().as_slice()))
        .collect();
    let times: Vec<Option<i64>> = advances.iter().map(|a| a.source_ts_ms).collect();
    let kafka: Vec<Option<i64>> = advances.iter().map(|a| a.kafka_ts_ms).collect();
    let fingerprints: Vec<Option<i64>> = advances.iter().map(|a| a.fingerprint).collect();
    let rows = sqlx::query(
        "update ficus.partition p
         set next_offset = a.next, commit_lsn = greatest(p.commit_lsn, a.lsn),
             source_ts_ms = greatest(p.source_ts_ms, a.ts), fingerprint = a.fingerprint,
             kafka_ts_ms = coalesce(a.kafka_ts, p.kafka_ts_ms), last_batch = $9,
             updated_at = clock_timestamp(),
             applied_at = case when a.ts is null then p.applied_at else clock_timestamp() end
         from unnest($2::text[], $3::int4[], $4::int8[], $5::int8[], $6::int8[], $7::bytea[],
                     $8::int8[], $10::int8[], $11::int8[])
           as a (topic, partition, expected, next, epoch, lsn, ts, kafka_ts, fingerprint)
         where p.consumer_group = $1 and p.topic = a.topic and p.partition = a.partition
           and p.next_offset = a.expected and p.owner_epoch = a.epoch
         returning p.topic, p.partition",
    )
    .bind(group)
    .bind(topics)
    .bind(partitions)
    .bind(expected)
    .bind(next)
    .bind(epochs)
    .bind(lsns)
    .bind(times)
    .bind(tag)
    .bind(kafka)
    .bind(fingerprints)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("moving the offsets"))?;
    let moved: Vec<(String, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let lost = advances
        .iter()
        .find(|a| !moved.iter().any(|(topic, n)| *topic == a.topic && *n == a.partition));
    match lost {
        None => Ok(()),
        Some(lost) => Err(Error::Fenced {
            what: format!(
                "partition {}/{} at offset {}",
                lost.topic, lost.partition, lost.expected
            ),
        }),
    }
}

/// The same for a chunk; a step also renews the lease.
async fn step_chunk(
    connection: &mut PgConnection,
    progress: &ChunkProgress,
    tag: Uuid,
) -> Result<(), Error> {
    let high = progress.high_watermark.as_ref().map(|lsn| lsn.as_bytes().as_slice());
    let result = sqlx::query(
        "update ficus.backfill_chunk
         set last_key = coalesce($3, last_key), rows = rows + $4,
             state = case when $5 then 'done' else state end,
             high_watermark = coalesce($6, high_watermark), last_batch = $7,
             lease_until = case when $5 then null
               else clock_timestamp() + lease_ms * interval '1 ms' end,
             last_error = case when $5 then null else last_error end,
             updated_at = clock_timestamp()
         where id = $1 and owner_epoch = $2 and state = 'running'
           and last_batch is distinct from $7",
    )
    .bind(progress.chunk)
    .bind(progress.epoch)
    .bind(progress.last_key.as_deref())
    .bind(i64::try_from(progress.rows).unwrap_or(i64::MAX))
    .bind(progress.done)
    .bind(high)
    .bind(tag)
    .execute(connection)
    .await
    .map_err(Error::postgres(format!("stepping chunk {}", progress.chunk)))?;
    match result.rows_affected() {
        0 => Err(Error::Fenced { what: format!("chunk {}", progress.chunk) }),
        _ => Ok(()),
    }
}

/// New or changed type names.
pub(crate) async fn store_object_types(
    connection: &mut PgConnection,
    types: &[(i64, String)],
) -> Result<(), Error> {
    // The last one of a number wins; one statement can't write a row twice.
    let last: std::collections::BTreeMap<i64, &str> =
        types.iter().map(|(oid, name)| (*oid, name.as_str())).collect();
    if last.is_empty() {
        return Ok(());
    }
    let oids: Vec<i64> = last.keys().copied().collect();
    let names: Vec<&str> = last.values().copied().collect();
    sqlx::query(
        "insert into ficus.object_type as o (oid, type_name)
         select * from unnest($1::int8[], $2::text[])
         on conflict (oid) do update set type_name = excluded.type_name
         where o.type_name <> excluded.type_name",
    )
    .bind(oids)
    .bind(names)
    .execute(connection)
    .await
    .map_err(Error::postgres("storing type names"))?;
    Ok(())
}

/// Markers that came back.
pub(crate) async fn store_fences(
    connection: &mut PgConnection,
    batch: &Batch,
) -> Result<(), Error> {
    let group = match &batch.checkpoint {
        Checkpoint::Offsets { group, .. } => group.as_str(),
        Checkpoint::Chunk(_) | Checkpoint::Retry(_) | Checkpoint::None => "",
    };
    for fence in &batch.fences {
        let lsn: &Lsn = &fence.lsn;
        let topics: Vec<&str> = fence.ends.iter().map(|(topic, _, _)| topic.as_str()).collect();
        let partitions: Vec<i32> = fence.ends.iter().map(|(_, partition, _)| *partition).collect();
        let ends: Vec<i64> = fence.ends.iter().map(|(_, _, end)| *end).collect();
        sqlx::query(
            "insert into ficus.fence (consumer_group, lsn, topic, partition, end_offset)
             select $1, $2, * from unnest($3::text[], $4::int4[], $5::int8[])
             on conflict do nothing",
        )
        .bind(group)
        .bind(lsn.as_bytes().as_slice())
        .bind(topics)
        .bind(partitions)
        .bind(ends)
        .execute(&mut *connection)
        .await
        .map_err(Error::postgres(format!("storing the fence at {lsn}")))?;
    }
    Ok(())
}
