//! How the stream fares, partition by partition, for `ficus status` and the metrics.
//!
//! Three clocks meet here: the legacy server's (commit time), Kafka's (message time) and
//! Postgres's (applied). A negative difference is a difference of clocks, and is shown as zero.

use mapping::position::Lsn;
use sqlx::Row as _;

use crate::{Error, Target, partition::lsn};

/// What a consumer tells of a partition that it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionLag {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The legacy table whose rows it carries; `None` for marks and heartbeats.
    pub table: Option<String>,
    /// The log's end.
    pub end_offset: i64,
    /// Messages that were applied a second, lately.
    pub messages_per_second: f64,
}

/// A partition as status shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionPace {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The legacy table whose rows it carries, once a consumer has told it.
    pub table: Option<String>,
    /// The offset after the last committed batch.
    pub next_offset: i64,
    /// The log's end, when a consumer last told it.
    pub end_offset: Option<i64>,
    /// The highest commit LSN written.
    pub commit_lsn: Option<Lsn>,
    /// The owner's own name for itself.
    pub owner: String,
    /// Messages a second, lately.
    pub messages_per_second: Option<f64>,
    /// From the newest applied change's commit in the legacy database to its arrival in Kafka.
    pub legacy_to_kafka_ms: Option<i64>,
    /// From there to Postgres.
    pub kafka_to_applied_ms: Option<i64>,
    /// How old the newest applied change is by now; zero when nothing is left to apply.
    pub behind_ms: Option<i64>,
    /// How long ago a consumer told the end.
    pub told_ms_ago: Option<i64>,
}

impl PartitionPace {
    /// Messages that are not applied yet.
    #[must_use]
    pub fn behind(&self) -> Option<i64> {
        self.end_offset.map(|end| (end - self.next_offset).max(0))
    }
}

impl Target {
    /// Notes what a consumer knows of Kafka.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn tell_lag(&self, group: &str, lags: &[PartitionLag]) -> Result<(), Error> {
        let topics: Vec<&str> = lags.iter().map(|lag| lag.topic.as_str()).collect();
        let partitions: Vec<i32> = lags.iter().map(|lag| lag.partition).collect();
        let tables: Vec<Option<&str>> = lags.iter().map(|lag| lag.table.as_deref()).collect();
        let ends: Vec<i64> = lags.iter().map(|lag| lag.end_offset).collect();
        let rates: Vec<f64> = lags.iter().map(|lag| lag.messages_per_second).collect();
        sqlx::query(
            "insert into ficus.partition_lag
               (consumer_group, topic, partition, source_table, end_offset, messages_per_second)
             select $1, * from unnest($2::text[], $3::int4[], $4::text[], $5::int8[], $6::float8[])
             order by 2, 3
             on conflict (consumer_group, topic, partition) do update
             set source_table = excluded.source_table, end_offset = excluded.end_offset,
                 messages_per_second = excluded.messages_per_second, told_at = clock_timestamp()",
        )
        .bind(group)
        .bind(topics)
        .bind(partitions)
        .bind(tables)
        .bind(ends)
        .bind(rates)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("telling how far the stream is behind"))?;
        Ok(())
    }

    /// How every partition that was ever read fares, by group, topic and number.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn pace(&self) -> Result<Vec<PartitionPace>, Error> {
        let rows = sqlx::query(
            "select p.consumer_group, p.topic, p.partition, p.next_offset, p.commit_lsn, p.owner,
                    l.source_table, greatest(l.end_offset, p.next_offset) as end_offset,
                    l.end_offset is not null as told, l.messages_per_second,
                    p.source_ts_ms, p.kafka_ts_ms,
                    (extract(epoch from p.applied_at) * 1000)::int8 as applied_ms,
                    (extract(epoch from clock_timestamp()) * 1000)::int8 as now_ms,
                    (extract(epoch from clock_timestamp() - l.told_at) * 1000)::int8 as told_ms_ago
             from ficus.partition p
             left join ficus.partition_lag l using (consumer_group, topic, partition)
             order by p.consumer_group, p.topic, p.partition",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("reading how the stream fares"))?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let source: Option<i64> = row.get("source_ts_ms");
                let kafka: Option<i64> = row.get("kafka_ts_ms");
                let applied: Option<i64> = row.get("applied_ms");
                let now: i64 = row.get("now_ms");
                let hop = |from: Option<i64>, to: Option<i64>| {
                    from.zip(to).map(|(from, to)| (to - from).max(0))
                };
                let next_offset: i64 = row.get("next_offset");
                let told: bool = row.get("told");
                let end_offset = told.then(|| row.get::<i64, _>("end_offset"));
                let is_behind = end_offset.is_none_or(|end| end > next_offset);
                PartitionPace {
                    group: row.get("consumer_group"),
                    topic: row.get("topic"),
                    partition: row.get("partition"),
                    table: row.get("source_table"),
                    next_offset,
                    end_offset,
                    commit_lsn: lsn(row.get("commit_lsn")),
                    owner: row.get("owner"),
                    messages_per_second: row.get("messages_per_second"),
                    legacy_to_kafka_ms: hop(source, kafka),
                    kafka_to_applied_ms: hop(kafka, applied),
                    behind_ms: if is_behind { hop(source, Some(now)) } else { Some(0) },
                    told_ms_ago: row.get("told_ms_ago"),
                }
            })
            .collect())
    }
}
