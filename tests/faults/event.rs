//! Change events as Debezium's SQL Server connector writes them without schemas, decimals as
//! texts. Written here by hand: what the engine reads must not come from a writer of its own.

use std::fmt::Write;

use crate::ledger::DATABASE;

/// Where an event is in the legacy log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    /// The transaction's commit LSN, as one number.
    pub(crate) lsn: u32,
    /// The event's number within the transaction. A read has none.
    pub(crate) order: Option<u64>,
}

/// The LSN as text.
pub(crate) fn lsn(number: u32) -> String {
    format!("00000027:{number:08x}:0001")
}

/// An envelope; `before` and `after` are JSON or nothing.
pub(crate) fn envelope(
    table: &str,
    op: char,
    before: Option<&str>,
    after: Option<&str>,
    at: At,
) -> String {
    let (before, after) = (before.unwrap_or("null"), after.unwrap_or("null"));
    let lsn = lsn(at.lsn);
    let snapshot = if op == 'r' { "incremental" } else { "false" };
    let mut text = format!(
        r#"{{"before":{before},"after":{after},"source":{{"version":"3.6.1.Final","connector":"sqlserver","name":"p","ts_ms":1753142401037,"snapshot":"{snapshot}","db":"{DATABASE}","sequence":null,"schema":"dbo","table":"{table}","change_lsn":"{lsn}","commit_lsn":"{lsn}","event_serial_no":1}},"transaction":"#
    );
    let written = match at.order {
        Some(order) => write!(
            text,
            r#"{{"id":"{lsn}","total_order":{order},"data_collection_order":{order}}}"#
        ),
        None => write!(text, "null"),
    };
    written.expect("a text takes everything");
    write!(text, r#","op":"{op}","ts_ms":1795244872827}}"#).expect("a text takes everything");
    text
}

/// A row of the marker's table.
pub(crate) fn marker(number: u32) -> String {
    let at = At { lsn: number, order: Some(1) };
    envelope("ficus_marker", 'c', None, Some(r#"{"token":"x","at":1}"#), at)
}
