//! Who reads which Kafka partition, and from where: Postgres decides, not the broker.

use mapping::position::Lsn;
use sqlx::Row as _;

use crate::{Error, Target};

/// A claimed partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The owner's epoch; goes into every [`crate::batch::OffsetAdvance`].
    pub epoch: i64,
    /// Where to go on; `None` for a partition that was never read (then
    /// [`crate::batch::OffsetAdvance::expected`] is 0 at first).
    pub next_offset: Option<i64>,
    /// [`crate::batch::OffsetAdvance::fingerprint`] of the last step.
    pub fingerprint: Option<i64>,
    /// The highest commit LSN written.
    pub commit_lsn: Option<Lsn>,
}

/// How far a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionPosition {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset after the last committed batch.
    pub next_offset: i64,
    /// The owner's epoch.
    pub epoch: i64,
    /// The owner's own name for itself.
    pub owner: String,
    /// The highest commit LSN written.
    pub commit_lsn: Option<Lsn>,
    /// Commit time of the newest change by the legacy server's clock, milliseconds since 1970 UTC.
    pub source_ts_ms: Option<i64>,
    /// When it last moved, milliseconds since 1970 UTC by Postgres's clock.
    pub updated_at_ms: i64,
    /// Postgres's clock now, to subtract from.
    pub now_ms: i64,
}

impl Target {
    /// Takes a partition over: the epoch goes up, so that whoever had it can't commit any more.
    /// Waits for a batch of the old owner that is in flight.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn claim_partition(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        owner: &str,
    ) -> Result<Claim, Error> {
        let claimed = sqlx::query(
            "insert into ficus.partition as p (consumer_group, topic, partition, owner)
             values ($1, $2, $3, $4)
             on conflict (consumer_group, topic, partition) do update
             set owner_epoch = p.owner_epoch + 1, owner = excluded.owner
             returning p.owner_epoch, p.next_offset, p.fingerprint, p.commit_lsn, p.last_batch is null and p.next_offset = 0 as fresh",
        )
        .bind(group)
        .bind(topic)
        .bind(partition)
        .bind(owner)
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres(format!("claiming {topic}/{partition}")));
        let row = match claimed {
            Ok(row) => row,
            Err(error) => {
                self.make_way(&error).await;
                return Err(error);
            }
        };
        let fresh: bool = row.get("fresh");
        let next_offset: i64 = row.get("next_offset");
        Ok(Claim {
            epoch: row.get("owner_epoch"),
            next_offset: (!fresh).then_some(next_offset),
            fingerprint: row.get("fingerprint"),
            commit_lsn: lsn(row.get("commit_lsn")),
        })
    }

    /// All partitions that were ever read, by group, topic and number.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn positions(&self) -> Result<Vec<PartitionPosition>, Error> {
        let rows = sqlx::query(
            "select consumer_group, topic, partition, next_offset, owner_epoch, owner, commit_lsn,
                    source_ts_ms,
                    (extract(epoch from updated_at) * 1000)::int8 as updated_at_ms,
                    (extract(epoch from clock_timestamp()) * 1000)::int8 as now_ms
             from ficus.partition order by consumer_group, topic, partition",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("reading the positions"))?;
        Ok(rows
            .into_iter()
            .map(|row| PartitionPosition {
                group: row.get("consumer_group"),
                topic: row.get("topic"),
                partition: row.get("partition"),
                next_offset: row.get("next_offset"),
                epoch: row.get("owner_epoch"),
                owner: row.get("owner"),
                commit_lsn: lsn(row.get("commit_lsn")),
                source_ts_ms: row.get("source_ts_ms"),
                updated_at_ms: row.get("updated_at_ms"),
                now_ms: row.get("now_ms"),
            })
            .collect())
    }
}

pub(crate) fn lsn(bytes: Option<Vec<u8>>) -> Option<Lsn> {
    bytes.and_then(|bytes| bytes.try_into().ok()).map(Lsn::from_bytes)
}
