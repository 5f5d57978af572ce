//! What is known of each table's place in the legacy log, to tell whether changes were lost before
//! they came here. Who asks the legacy server compares; here are the facts.

use std::collections::BTreeMap;

use mapping::{plan::TableId, position::Lsn};
use sqlx::Row as _;

use crate::{Error, Target};

/// How far a table's newest copy speaks for its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Every change up to here is visible in what has been copied so far. Zero for a copy that was
    /// made without CDC.
    pub low: Lsn,
    /// Whether the whole table is copied.
    pub done: bool,
}

impl Target {
    /// How far the newest copy of each table speaks for its changes; tables of which nothing is
    /// copied yet are not among them.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn copied(&self) -> Result<BTreeMap<TableId, Copied>, Error> {
        let rows = sqlx::query(
            "select c.source_table, bool_and(c.state = 'done') as done,
                    min(coalesce(encode(c.low_watermark, 'hex'), repeat('0', 20)))
                      filter (where c.state <> 'ready' or c.rows > 0) as low
             from ficus.backfill_chunk c
             join (select c.source_table, max(c.run) as run
                   from ficus.backfill_chunk c
                   join ficus.backfill_run r
                     on r.id = c.run and r.state <> 'abandoned' and r.part is null
                   group by 1) newest using (source_table, run)
             group by 1",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("asking how far the copy is"))?;
        let mut copied = BTreeMap::new();
        for row in rows {
            let low: Option<&str> = row.get("low");
            let known = self.table_id(row.get("source_table"));
            // A table of an older mapping is nobody's business here.
            if let (Ok(table), Some(low)) = (known, low.and_then(|low| Lsn::parse(low).ok())) {
                copied.insert(table, Copied { low, done: row.get("done") });
            }
        }
        Ok(copied)
    }

    /// The highest commit LSN that was written of each topic, by name.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn followed(&self, group: &str) -> Result<BTreeMap<String, Lsn>, Error> {
        let rows = sqlx::query(
            "select topic, max(encode(commit_lsn, 'hex')) as lsn from ficus.partition
             where consumer_group = $1 and commit_lsn is not null group by 1",
        )
        .bind(group)
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("reading the positions"))?;
        let lsn = |text: &str| Lsn::parse(text).ok();
        Ok(rows
            .into_iter()
            .filter_map(|row| Some((row.get("topic"), lsn(row.get("lsn"))?)))
            .collect())
    }

    /// Notes that no change of these tables up to the LSN is missing from Kafka. It only goes
    /// forward. A loss that was accepted is behind it now.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn note_verified(&self, tables: &[(TableId, Lsn)]) -> Result<(), Error> {
        let mut names = Vec::with_capacity(tables.len());
        for (table, _) in tables {
            names.push(self.table_name(*table)?);
        }
        let lsns: Vec<&[u8]> = tables.iter().map(|(_, lsn)| lsn.as_bytes().as_slice()).collect();
        sqlx::query(
            "insert into ficus.stream_table as t (source_table, verified_lsn)
             select * from unnest($1::text[], $2::bytea[]) as w (source_table, lsn) order by 1
             on conflict (source_table) do update
             set verified_lsn = greatest(t.verified_lsn, excluded.verified_lsn),
                 gap_accepted = false",
        )
        .bind(names)
        .bind(lsns)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("noting how far no change is missing"))?;
        Ok(())
    }
}
