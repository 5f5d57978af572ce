//! What could not be mapped or written: kept whole, listed, retried or discarded with a reason.

use mapping::{key::CanonicalKey, plan::TableId, position::Position};
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow};

use crate::{Error, Target};

/// How [`FullEntry::payload`] is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadFormat {
    /// A message's value as received.
    Message,
    /// A row read from the table, as JSON.
    Row,
    /// Mapped fields (COPY BINARY bodies of the part's columns): the row was mapped, and Postgres
    /// refused it, and the caller gave no source for it.
    Mapped,
}

/// An entry of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// `open`, `superseded`, `retried` or `discarded`.
    pub state: String,
    /// The legacy table, such as `dbo.Contract`.
    pub table: Option<String>,
    /// The entity's name.
    pub entity: Option<String>,
    /// The key, where it could be made.
    pub key: Option<CanonicalKey>,
    /// The position of the change.
    pub position: Position,
    /// Stable code.
    pub rule: String,
    /// The legacy column.
    pub column: String,
    /// One sentence.
    pub detail: String,
    /// Topic, partition and offset of a message.
    pub source: Option<(String, i32, i64)>,
    /// `backfill`, `stream` or `repair`.
    pub origin: String,
    /// When it was put aside, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Why it was discarded, or what settled it.
    pub resolution: Option<String>,
}

/// An entry with what was received. Holds personal data: never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct FullEntry {
    /// All but the payload.
    pub entry: Entry,
    /// The message's value as received, or the row.
    pub payload: Vec<u8>,
    /// The message's key as received.
    pub payload_key: Option<Vec<u8>>,
    /// How to read the payload.
    pub format: PayloadFormat,
}

/// Which entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this state; of any when `None`.
    pub state: Option<String>,
    /// Of this table.
    pub table: Option<TableId>,
    /// Of this rule.
    pub rule: Option<String>,
    /// After this number.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

pub(crate) const COLUMNS: &str =
    "q.id, q.state, q.source_table, e.name as entity, q.key, q.position, q.rule,
    q.source_column, q.detail, q.topic, q.partition, q.\"offset\", q.origin,
    (extract(epoch from q.at) * 1000)::int8 as at_ms, q.resolution";

impl Target {
    /// Lists entries by number.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn quarantine_list(&self, filter: &Filter) -> Result<Vec<Entry>, Error> {
        let table = filter.table.map(|table| self.table_name(table)).transpose()?;
        let sql = format!(
            "select {COLUMNS} from ficus.quarantine q left join ficus.entity e on e.id = q.entity
             where ($1::text is null or q.state = $1) and ($2::text is null or q.source_table = $2)
               and ($3::text is null or q.rule = $3) and q.id > $4
             order by q.id limit $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(&filter.state)
            .bind(table)
            .bind(&filter.rule)
            .bind(filter.after)
            .bind(filter.limit)
            .fetch_all(self.pool())
            .await
            .map_err(Error::postgres("listing the quarantine"))?;
        Ok(rows.iter().map(entry).collect())
    }

    /// One entry with its payload.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn quarantine_get(&self, id: i64) -> Result<FullEntry, Error> {
        let sql = format!(
            "select {COLUMNS}, q.payload, q.payload_key, q.payload_format
             from ficus.quarantine q left join ficus.entity e on e.id = q.entity where q.id = $1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.pool())
            .await
            .map_err(Error::postgres("reading a quarantine entry"))?
            .ok_or_else(|| Error::NotFound { what: format!("quarantine entry {id}") })?;
        Ok(FullEntry {
            entry: entry(&row),
            payload: row.get("payload"),
            payload_key: row.get("payload_key"),
            format: match row.get("payload_format") {
                "message" => PayloadFormat::Message,
                "row" => PayloadFormat::Row,
                _ => PayloadFormat::Mapped,
            },
        })
    }

    /// Discards an open entry for good, with a reason, audited.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such open entry, [`Error::Settings`] without a reason.
    pub async fn quarantine_discard(
        &self,
        id: i64,
        actor: &str,
        reason: &str,
    ) -> Result<(), Error> {
        if reason.trim().is_empty() {
            let why = "a discarded row needs a reason".to_owned();
            return Err(Error::Settings { setting: "reason", why });
        }
        self.settle(id, "discarded", actor, reason).await
    }

    /// Marks an open entry as retried, after its change went through [`Target::apply`] with its
    /// own position. One that was superseded meanwhile stays so.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such entry.
    pub async fn quarantine_retried(&self, id: i64, actor: &str) -> Result<(), Error> {
        match self.settle(id, "retried", actor, "applied").await {
            Err(Error::NotFound { .. }) => self.quarantine_get(id).await.map(drop),
            settled => settled,
        }
    }

    async fn settle(&self, id: i64, state: &str, actor: &str, reason: &str) -> Result<(), Error> {
        let result = sqlx::query(
            "with settled as (
               update ficus.quarantine
               set state = $2, resolved_at = clock_timestamp(), resolution = $4
               where id = $1 and state = 'open' returning id)
             insert into ficus.audit (actor, action, subject, detail)
             select $3, 'quarantine.' || $2, id::text, $5 from settled",
        )
        .bind(id)
        .bind(state)
        .bind(actor)
        .bind(reason)
        .bind(json!({ "reason": reason }))
        .execute(self.pool())
        .await
        .map_err(Error::postgres(format!("settling quarantine entry {id}")))?;
        match result.rows_affected() {
            0 => Err(Error::NotFound { what: format!("open quarantine entry {id}") }),
            _ => Ok(()),
        }
    }
}

pub(crate) fn entry(row: &PgRow) -> Entry {
    let key: Option<Vec<u8>> = row.get("key");
    let position: Vec<u8> = row.get("position");
    let topic: Option<String> = row.get("topic");
    let partition: Option<i32> = row.get("partition");
    let offset: Option<i64> = row.get("offset");
    Entry {
        id: row.get("id"),
        state: row.get("state"),
        table: row.get("source_table"),
        entity: row.get("entity"),
        key: key.map(|key| CanonicalKey::from_bytes(&key)),
        position: Position::from_slice(&position).unwrap_or_default(),
        rule: row.get("rule"),
        column: row.get("source_column"),
        detail: row.get("detail"),
        source: match (topic, partition, offset) {
            (Some(topic), Some(partition), Some(offset)) => Some((topic, partition, offset)),
            _ => None,
        },
        origin: row.get("origin"),
        at_ms: row.get("at_ms"),
        resolution: row.get("resolution"),
    }
}
