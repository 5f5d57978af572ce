//! Rows into a staging table as `COPY … BINARY`: mapping's bytes as they are (law 5).

use mapping::position::Position;
use sqlx::PgConnection;

use crate::{
    Error,
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

/// Sends rows; `columns` is how many fields each of them has.
pub(crate) async fn copy_in<'a>(
    connection: &mut PgConnection,
    statement: &str,
    columns: usize,
    rows: impl Iterator<Item = StagedRow<'a>>,
) -> Result<(), Error> {
    let doing = || Error::postgres("staging rows");
    let count = i16::try_from(columns + STAGE_COLUMNS.len())
        .map_err(|_| Error::Corrupt { what: "a table of more than 32,000 columns".to_owned() })?;
    let mut copy = connection.copy_in_raw(statement).await.map_err(doing())?;
    let mut buffer = Vec::with_capacity(CHUNK_BYTES + (CHUNK_BYTES >> 2));
    buffer.extend_from_slice(HEADER);
    for row in rows {
        encode(&mut buffer, count, &row);
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

fn encode(buffer: &mut Vec<u8>, count: i16, row: &StagedRow<'_>) {
    buffer.extend_from_slice(&count.to_be_bytes());
    buffer.extend_from_slice(row.fields);
    buffer.extend_from_slice(&18_i32.to_be_bytes());
    buffer.extend_from_slice(row.position.as_bytes());
    buffer.extend_from_slice(&2_i32.to_be_bytes());
    buffer.extend_from_slice(&row.kind.code().to_be_bytes());
    buffer.extend_from_slice(&8_i32.to_be_bytes());
    buffer.extend_from_slice(&row.unchanged.to_be_bytes());
    buffer.extend_from_slice(&4_i32.to_be_bytes());
    buffer.extend_from_slice(&row.number.to_be_bytes());
}
