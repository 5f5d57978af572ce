//! Rows as `COPY … BINARY`: mapping's bytes as they are (law 5). Destination a staging table, or new ones
//! straight into theirs.

use mapping::position::Position;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error,
    error::UNIQUE_VIOLATION,
    fold::Change,
    hook,
    statement::{STAGE_COLUMNS, Staged},
};

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &[0xff, 0xff];
/// Sent when so much is gathered, so that a batch of large rows is never in memory twice.
const CHUNK_BYTES: usize = 1 << 20;

/// One staged row.
pub(crate) struct StagedRow<'a> {
    pub(crate) fields: &'a [u8],
    pub(crate) position: Position,
    pub(crate) kind: Staged,
    pub(crate) unchanged: u64,
    pub(crate) number: i32,
}

impl<'a> StagedRow<'a> {
    pub(crate) fn new(change: &'a Change<'_>, kind: Staged, number: i32) -> Self {
        Self {
            fields: &change.fields,
            position: change.position,
            kind,
            unchanged: change.unchanged,
            number,
        }
    }
}

/// Where rows go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The staging table, with what the statements after it ask for.
    Stage,
    /// The table itself.
    Table,
}

/// Sends rows; `columns` is how many fields each of them has.
pub(crate) async fn copy_in<'a>(
    connection: &mut PgConnection,
    (into, statement): (Destination, &str),
    columns: usize,
    rows: impl Iterator<Item = StagedRow<'a>>,
) -> Result<(), Error> {
    let doing = || Error::postgres("copying rows");
    let more = match into {
        Destination::Stage => STAGE_COLUMNS.len(),
        Destination::Table => 1,
    };
    let count = i16::try_from(columns + more)
        .map_err(|_| Error::Corrupt { what: "a table of more than 32,000 columns".to_owned() })?;
    let mut copy = connection.copy_in_raw(statement).await.map_err(doing())?;
    let mut buffer = Vec::with_capacity(CHUNK_BYTES + (CHUNK_BYTES >> 2));
    buffer.extend_from_slice(HEADER);
    for row in rows {
        encode(&mut buffer, (into, count), &row);
        if buffer.len() >= CHUNK_BYTES {
            if let Err(error) = copy.send(buffer.as_slice()).await {
                return Err(doing()(error));
            }
            buffer.clear();
        }
    }
    buffer.extend_from_slice(TRAILER);
    copy.send(buffer.as_slice()).await.map_err(doing())?;
    hook::point("apply.mid_copy");
    copy.finish().await.map_err(doing())?;
    Ok(())
}

fn encode(buffer: &mut Vec<u8>, (into, count): (Destination, i16), row: &StagedRow<'_>) {
    buffer.extend_from_slice(&count.to_be_bytes());
    buffer.extend_from_slice(row.fields);
    buffer.extend_from_slice(&18_i32.to_be_bytes());
    buffer.extend_from_slice(row.position.as_bytes());
    if into == Destination::Table {
        return;
    }
    buffer.extend_from_slice(&2_i32.to_be_bytes());
    buffer.extend_from_slice(&row.kind.code().to_be_bytes());
    buffer.extend_from_slice(&8_i32.to_be_bytes());
    buffer.extend_from_slice(&row.unchanged.to_be_bytes());
    buffer.extend_from_slice(&4_i32.to_be_bytes());
    buffer.extend_from_slice(&row.number.to_be_bytes());
}

const KEYS: &str = "copy ficus.key_map (entity, key, id) from stdin (format binary)";

/// Sends new keys into the key map, in a transaction of their own that does not wait for the disk.
/// `false` when one of them is known: then nothing is written.
pub(crate) async fn keys<'a>(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = (i16, &'a [u8], Uuid)>,
) -> Result<bool, Error> {
    let doing = || Error::postgres("minting keys");
    sqlx::raw_sql("begin; set local synchronous_commit = off")
        .execute(&mut *connection)
        .await
        .map_err(doing())?;
    let mut buffer = HEADER.to_vec();
    for (entity, key, id) in rows {
        buffer.extend_from_slice(&3_i16.to_be_bytes());
        buffer.extend_from_slice(&2_i32.to_be_bytes());
        buffer.extend_from_slice(&entity.to_be_bytes());
        let length = i32::try_from(key.len())
            .map_err(|_| Error::Corrupt { what: "a key of more than 2 GiB".to_owned() })?;
        buffer.extend_from_slice(&length.to_be_bytes());
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(&16_i32.to_be_bytes());
        buffer.extend_from_slice(id.as_bytes());
    }
    buffer.extend_from_slice(TRAILER);
    let mut copy = connection.copy_in_raw(KEYS).await.map_err(doing())?;
    copy.send(buffer).await.map_err(doing())?;
    let copied = copy.finish().await.map_err(doing());
    let is_known = copied.as_ref().is_err_and(|error| error.sqlstate() == Some(UNIQUE_VIOLATION));
    if !is_known {
        copied?;
    }
    let end = if is_known { "rollback" } else { "commit" };
    sqlx::raw_sql(end).execute(connection).await.map_err(doing())?;
    Ok(!is_known)
}
