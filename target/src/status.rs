//! What was read and what became of it, for `ficus status` and the metrics.

use std::collections::BTreeMap;

use sqlx::Row as _;

use crate::{Counts, Error, Target, chunk::count};

/// One table's counts under one origin, since the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCounts {
    /// The legacy table, such as `dbo.Contract`.
    pub table: String,
    /// `backfill`, `stream` or `repair`.
    pub origin: String,
    /// The counts; they add up.
    pub counts: Counts,
    /// Those left out, by the rule's name.
    pub ignored: BTreeMap<String, u64>,
    /// When they last changed, milliseconds since 1970 UTC.
    pub updated_at_ms: i64,
}

/// One rule's share of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineCount {
    /// The legacy table, where it is known.
    pub table: Option<String>,
    /// The rule.
    pub rule: String,
    /// Open entries.
    pub open: u64,
    /// Entries that are settled.
    pub settled: u64,
}

/// Changes that wait for their row, by table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedCount {
    /// The legacy table.
    pub table: String,
    /// How many wait.
    pub parked: u64,
}

impl Target {
    /// All counts, by table and origin.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn counts(&self) -> Result<Vec<TableCounts>, Error> {
        let reading = || Error::postgres("reading the counts");
        let rows = sqlx::query(
            "select *, (extract(epoch from updated_at) * 1000)::int8 as updated_at_ms
             from ficus.table_count order by source_table, origin",
        )
        .fetch_all(self.pool())
        .await
        .map_err(reading())?;
        let ignored = sqlx::query("select * from ficus.ignored_count")
            .fetch_all(self.pool())
            .await
            .map_err(reading())?;
        let mut rules: BTreeMap<(String, String), BTreeMap<String, u64>> = BTreeMap::new();
        for row in ignored {
            let table = (row.get("source_table"), row.get("origin"));
            rules.entry(table).or_default().insert(row.get("rule"), count(row.get("rows")));
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let table: String = row.get("source_table");
                let origin: String = row.get("origin");
                let ignored = rules.remove(&(table.clone(), origin.clone())).unwrap_or_default();
                let number = |name: &str| count(row.get(name));
                let counts = Counts {
                    read: number("read"),
                    applied: number("applied"),
                    stale: number("stale"),
                    folded: number("folded"),
                    ignored: number("ignored"),
                    quarantined: number("quarantined"),
                };
                let updated_at_ms = row.get("updated_at_ms");
                TableCounts { table, origin, counts, ignored, updated_at_ms }
            })
            .collect())
    }

    /// The quarantine, by table and rule.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn quarantine_counts(&self) -> Result<Vec<QuarantineCount>, Error> {
        let rows = sqlx::query(
            "select source_table, rule, count(*) filter (where state = 'open') as open,
                    count(*) filter (where state <> 'open') as settled
             from ficus.quarantine group by 1, 2 order by 1, 2",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("counting the quarantine"))?;
        Ok(rows
            .into_iter()
            .map(|row| QuarantineCount {
                table: row.get("source_table"),
                rule: row.get("rule"),
                open: count(row.get("open")),
                settled: count(row.get("settled")),
            })
            .collect())
    }

    /// Changes that wait for their row.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn parked_counts(&self) -> Result<Vec<ParkedCount>, Error> {
        let rows = sqlx::query(
            "select source_table, count(*) as parked from ficus.parked group by 1 order by 1",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("counting parked changes"))?;
        Ok(rows
            .into_iter()
            .map(|row| ParkedCount {
                table: row.get("source_table"),
                parked: count(row.get("parked")),
            })
            .collect())
    }
}
