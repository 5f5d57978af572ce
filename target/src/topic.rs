//! How many partitions the topics have.
//!
//! With more partitions the keys of rows move: a change in its new partition may be applied before
//! an older one in the old partition. Positions tell which of them is the newest, but not what the
//! newest left out. So the numbers are remembered, and more of them stop the tables for which that
//! matters, in one transaction: no process can pass by what another one has seen.

use std::collections::BTreeMap;

use sqlx::{Connection as _, Row as _};

use crate::{
    Error, Target,
    domain::Decision,
    follow::{StopReason, TableStop},
};

/// A topic that has more partitions than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    /// The topic.
    pub topic: String,
    /// What it had.
    pub before: i32,
    /// What it has.
    pub now: i32,
}

impl Target {
    /// Notes the topics' numbers of partitions, and stops the tables of those that have grown, as
    /// `stops` says. Comes back with the topics that have.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::NotFound`] for a table of another plan.
    pub async fn note_partitions(
        &self,
        group: &str,
        counts: &BTreeMap<String, i32>,
        stops: impl Fn(&Grown) -> Vec<TableStop>,
    ) -> Result<Vec<Grown>, Error> {
        let noting = || Error::postgres("noting the partitions of topics");
        let topics: Vec<&str> = counts.keys().map(String::as_str).collect();
        let partitions: Vec<i32> = counts.values().copied().collect();
        let mut connection = self.own_connection().await?;
        let mut transaction = connection.begin().await.map_err(noting())?;
        let rows = sqlx::query(
            "select t.topic, t.partitions as before, w.partitions as now
             from ficus.topic t
             join unnest($2::text[], $3::int4[]) as w (topic, partitions) using (topic)
             where t.consumer_group = $1 and t.partitions < w.partitions
             order by t.topic for update of t",
        )
        .bind(group)
        .bind(&topics)
        .bind(&partitions)
        .fetch_all(&mut *transaction)
        .await
        .map_err(noting())?;
        let grown: Vec<Grown> = rows
            .into_iter()
            .map(|row| Grown {
                topic: row.get("topic"),
                before: row.get("before"),
                now: row.get("now"),
            })
            .collect();
        sqlx::query(
            "insert into ficus.topic as t (consumer_group, topic, partitions)
             select $1, * from unnest($2::text[], $3::int4[]) order by 2
             on conflict (consumer_group, topic) do update set partitions = excluded.partitions
             where t.partitions < excluded.partitions",
        )
        .bind(group)
        .bind(&topics)
        .bind(&partitions)
        .execute(&mut *transaction)
        .await
        .map_err(noting())?;
        for stop in grown.iter().flat_map(stops) {
            self.store_stop(&mut transaction, &stop).await?;
        }
        transaction.commit().await.map_err(noting())?;
        Ok(grown)
    }

    /// Lets the stream go on with the tables that more partitions have stopped and that were copied
    /// from beginning to end since. Comes back with their names.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn go_on_with_copied(&self, decision: Decision<'_>) -> Result<Vec<String>, Error> {
        let names: Vec<String> = sqlx::query_scalar(
            "select s.source_table from ficus.stream_table s
             cross join lateral (
               select max(c.run) as run from ficus.backfill_chunk c
               join ficus.backfill_run r on r.id = c.run and r.state <> 'abandoned' and r.part is null
               where c.source_table = s.source_table) newest
             join ficus.backfill_chunk c
               on c.run = newest.run and c.source_table = s.source_table
             where s.state = 'stopped' and s.reason = $1
             group by s.source_table
             having bool_and(c.state = 'done' and coalesce(c.begun_at > s.since, false))
             order by 1",
        )
        .bind(StopReason::Partitions.as_str())
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("asking which tables were copied again"))?;
        let mut gone_on = Vec::with_capacity(names.len());
        for name in names {
            // A table of an older mapping is nobody's business here.
            if let Ok(table) = self.table_id(&name) {
                self.resume_table(table, decision).await?;
                gone_on.push(name);
            }
        }
        Ok(gone_on)
    }
}
