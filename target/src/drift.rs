//! Columns of the events that are not what the mapping was made for: what came, how often, and
//! what was done about it.

use mapping::{plan::TableId, position::Position};
use sqlx::{PgConnection, Row as _};

use crate::{Error, Target, chunk::count};

/// How a column surprises. Stored: a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftKind {
    /// The events have it, the mapping doesn't know it.
    Unknown,
    /// The mapping reads it, the events don't have it.
    Missing,
    /// Its values are of another type.
    Retyped,
}

impl DriftKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Missing, Self::Retyped];

    /// As stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Retyped => "retyped",
        }
    }
}

/// A column that surprised in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftNote {
    /// The table.
    pub table: TableId,
    /// The column, as the event or the mapping spells it.
    pub column: String,
    /// How.
    pub kind: DriftKind,
    /// What was done: `report` or `quarantine`.
    pub policy: &'static str,
    /// Events of the batch.
    pub events: u64,
    /// The position of the first of them.
    pub first: Position,
}

/// A column that surprised since somebody last looked into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The legacy table, such as `dbo.Contract`.
    pub table: String,
    /// The column.
    pub column: String,
    /// `unknown`, `missing` or `retyped`.
    pub kind: String,
    /// What was done: `report` or `quarantine`.
    pub policy: String,
    /// Events that had it.
    pub events: u64,
    /// When it was first met, milliseconds since 1970 UTC.
    pub first_at_ms: i64,
    /// When it was last met, milliseconds since 1970 UTC.
    pub last_at_ms: i64,
    /// The position of the first event.
    pub first: Position,
}

impl Target {
    /// All columns that surprised, by table and name.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn drift(&self) -> Result<Vec<Drift>, Error> {
        let rows = sqlx::query(
            "select *, (extract(epoch from first_at) * 1000)::int8 as first_at_ms,
                    (extract(epoch from last_at) * 1000)::int8 as last_at_ms
             from ficus.stream_drift order by source_table, source_column, kind",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("reading the columns that surprised"))?;
        Ok(rows
            .into_iter()
            .map(|row| Drift {
                table: row.get("source_table"),
                column: row.get("source_column"),
                kind: row.get("kind"),
                policy: row.get("policy"),
                events: count(row.get("events")),
                first_at_ms: row.get("first_at_ms"),
                last_at_ms: row.get("last_at_ms"),
                first: Position::from_slice(row.get("first_position")).unwrap_or_default(),
            })
            .collect())
    }

    /// Forgets unknown columns that the mapping knows by now: those that it reads, and those that
    /// it leaves out on purpose.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn forget_known_columns(&self) -> Result<u64, Error> {
        let (mut tables, mut columns) = (Vec::new(), Vec::new());
        for table in &self.plan().tables {
            let read = table.columns.iter().map(|column| column.name.to_lowercase());
            let left_out = table.left_out().iter().map(|left| left.column.to_lowercase());
            for column in read.chain(left_out) {
                tables.push(table.table.to_string());
                columns.push(column);
            }
        }
        let result = sqlx::query(
            "delete from ficus.stream_drift d
             using unnest($1::text[], $2::text[]) as w (source_table, source_column)
             where d.kind = 'unknown' and d.source_table = w.source_table
               and lower(d.source_column) = w.source_column",
        )
        .bind(tables)
        .bind(columns)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("forgetting columns that are known by now"))?;
        Ok(result.rows_affected())
    }

    /// Adds a batch's notes; sorted, so that two batches never wait for each other in a circle.
    pub(crate) async fn store_drift(
        &self,
        connection: &mut PgConnection,
        notes: &[DriftNote],
    ) -> Result<(), Error> {
        if notes.is_empty() {
            return Ok(());
        }
        let mut notes: Vec<&DriftNote> = notes.iter().collect();
        notes.sort_by_key(|note| (note.table, &note.column, note.kind));
        let mut tables = Vec::with_capacity(notes.len());
        for note in &notes {
            tables.push(self.table_name(note.table)?);
        }
        let columns: Vec<&str> = notes.iter().map(|note| note.column.as_str()).collect();
        let kinds: Vec<&str> = notes.iter().map(|note| note.kind.as_str()).collect();
        let policies: Vec<&str> = notes.iter().map(|note| note.policy).collect();
        let events: Vec<i64> =
            notes.iter().map(|note| i64::try_from(note.events).unwrap_or(i64::MAX)).collect();
        let firsts: Vec<&[u8]> =
            notes.iter().map(|note| note.first.as_bytes().as_slice()).collect();
        sqlx::query(
            "insert into ficus.stream_drift as d
               (source_table, source_column, kind, policy, events, first_position)
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::bytea[])
             on conflict (source_table, source_column, kind) do update
             set events = d.events + excluded.events, policy = excluded.policy,
                 last_at = clock_timestamp()",
        )
        .bind(tables)
        .bind(columns)
        .bind(kinds)
        .bind(policies)
        .bind(events)
        .bind(firsts)
        .execute(connection)
        .await
        .map_err(Error::postgres("noting columns that surprised"))?;
        Ok(())
    }
}
