//! Rows: a range as one ordered stream, rows by key, keys that cut a table.
//!
//! One long stream instead of pages: a page costs a round trip and a plan each, and three
//! times the time in all. Whoever loses the connection goes on after the last key that it has.
//!
//! An answer is whole when as many rows have come as the server says, behind them, that it gave.
//! The driver passes over an error that comes after a DONE; rows that are not there because of it
//! would be taken for rows that do not exist.

use std::time::Duration;

use futures_util::TryStreamExt;
use mapping::{
    catalog::SqlType,
    key::CanonicalKey,
    plan::{SourceColumn, TablePlan},
    position::Lsn,
    value::LegacyValue,
};
use tiberius::{QueryItem, QueryStream};
use tokio::time::{error::Elapsed, timeout};

use crate::{
    Error, KeyRange, LegacyRow, RangePart, RowSink, Session, TableScan,
    session::{Connection, send},
    statement::{self, Condition, KEY_PARAMETERS_MAX, Source, Statement, Total},
    value::{Shape, count, from_driver},
};

/// Rows of one batch at most.
const BATCH_ROWS_MAX: usize = 1000;
/// A server that is slow gives a batch of so long.
const GATHERING: Duration = Duration::from_millis(500);
/// A server that is slow may take so long to come to the end of a row, or to begin its answer, when
/// nobody wants more: ended in order, the connection can be used again.
const FAREWELL: Duration = Duration::from_secs(3);
/// Memory of one batch at most, but for the one row that crosses it.
const BATCH_BYTES_MAX: usize = 1 << 20;

impl Session {
    /// Keys that cut the table into ranges of about `rows` rows each, in key order: the last
    /// key of each range but the final one. Empty for a small table.
    ///
    /// # Errors
    /// Any failure of the connection, [`Error::NoKey`], or [`Error::KeyType`].
    pub async fn split(&mut self, plan: &TablePlan, rows: u64) -> Result<Vec<LegacyRow>, Error> {
        self.cut(plan.into(), rows).await
    }

    /// As [`Session::split`], of the rows that a condition holds for.
    ///
    /// # Errors
    /// As [`Session::split`], and whatever the condition leads to.
    pub async fn split_where(
        &mut self,
        plan: &TablePlan,
        condition: Option<&Condition>,
        rows: u64,
    ) -> Result<Vec<LegacyRow>, Error> {
        self.cut(Source::from(plan).only(condition), rows).await
    }

    /// As [`Session::split`], of a table without a mapping.
    ///
    /// # Errors
    /// As [`Session::split`].
    pub async fn split_scan(
        &mut self,
        scan: &TableScan,
        rows: u64,
    ) -> Result<Vec<LegacyRow>, Error> {
        self.cut(scan.into(), rows).await
    }

    async fn cut(&mut self, source: Source<'_>, rows: u64) -> Result<Vec<LegacyRow>, Error> {
        let doing = format!("splitting {}", source.table);
        let statement = statement::split(source, rows)?;
        let shape = Shape::of_key(source);
        let rows = self.rows(&statement, &doing).await?;
        let convert = |row| Ok(shape.convert(row).ok_or_else(|| misshapen(&doing))?.row);
        rows.into_iter().map(convert).collect()
    }

    /// Reads a range as one ordered stream and hands over row by row. `each` returns `false` to
    /// stop early. The number of rows handed over is returned.
    ///
    /// # Errors
    /// Any failure of the connection; rows handed over before it stay handed over.
    pub async fn read_range(
        &mut self,
        plan: &TablePlan,
        range: &KeyRange,
        each: &mut (dyn FnMut(LegacyRow) -> bool + Send),
    ) -> Result<u64, Error> {
        let statement = statement::range(plan.into(), range, None)?;
        self.stream(plan.into(), &statement, Hand::Each(each)).await
    }

    /// Reads a range as one ordered stream and sends it in batches; waits while the channel is
    /// full, and stops when its other end is gone. The number of rows sent is returned.
    ///
    /// # Errors
    /// Any failure of the connection; the rows that had arrived before it have been sent.
    pub async fn stream_range(
        &mut self,
        plan: &TablePlan,
        range: &KeyRange,
        sink: &RowSink,
    ) -> Result<u64, Error> {
        let statement = statement::range(plan.into(), range, None)?;
        self.stream(plan.into(), &statement, Hand::Sink(sink)).await
    }

    /// As [`Session::stream_range`], of a part of the range.
    ///
    /// # Errors
    /// As [`Session::stream_range`], and whatever the condition leads to.
    pub async fn stream_part(
        &mut self,
        plan: &TablePlan,
        part: &RangePart,
        sink: &RowSink,
    ) -> Result<u64, Error> {
        let source = Source::from(plan).only(part.condition.as_ref());
        let statement = statement::range(source, &part.range, part.rows_max)?;
        self.stream(source, &statement, Hand::Sink(sink)).await
    }

    /// As [`Session::stream_range`], of a table without a mapping. A table without a key is read
    /// whole, whatever the range says.
    ///
    /// # Errors
    /// As [`Session::stream_range`].
    pub async fn stream_scan(
        &mut self,
        scan: &TableScan,
        range: &KeyRange,
        sink: &RowSink,
    ) -> Result<u64, Error> {
        let statement = match scan.key.is_empty() {
            true => statement::heap(scan.into()),
            false => statement::range(scan.into(), range, None)?,
        };
        self.stream(scan.into(), &statement, Hand::Sink(sink)).await
    }

    /// Reads the rows with these keys (those that are there), in no particular order.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn read_keys(
        &mut self,
        plan: &TablePlan,
        keys: &[CanonicalKey],
    ) -> Result<Vec<LegacyRow>, Error> {
        let mut found = Vec::with_capacity(keys.len());
        let keys_per_statement = (KEY_PARAMETERS_MAX / plan.key.len().max(1)).max(1);
        for keys in keys.chunks(keys_per_statement) {
            let keys: Vec<LegacyRow> = keys.iter().map(CanonicalKey::parts).collect();
            let statement = statement::by_keys(plan.into(), &keys)?;
            let mut each = |row| {
                found.push(row);
                true
            };
            self.stream(plan.into(), &statement, Hand::Each(&mut each)).await?;
        }
        Ok(found)
    }

    /// The keys of the rows that changed after the first LSN and up to the second, by the change
    /// table of a capture instance; `None` when they are more than `limit`. Whether the table still
    /// has all of them is the caller's to know ([`Session::capture`]).
    ///
    /// # Errors
    /// Any failure of the connection, or a missing permission on the change table.
    pub async fn changed_keys(
        &mut self,
        plan: &TablePlan,
        capture_instance: &str,
        between: (Lsn, Lsn),
        limit: u64,
    ) -> Result<Option<Vec<LegacyRow>>, Error> {
        let source = Source::from(plan);
        let doing = format!("reading the changes of {}", source.table);
        let statement = statement::changed(source, capture_instance, between, limit)?;
        let shape = Shape::of_key(source);
        let rows = self.rows(&statement, &doing).await?;
        if u64::try_from(rows.len()).unwrap_or(u64::MAX) > limit {
            return Ok(None);
        }
        let convert = |row| Ok(shape.convert(row).ok_or_else(|| misshapen(&doing))?.row);
        rows.into_iter().map(convert).collect::<Result<_, _>>().map(Some)
    }

    /// Totals of all rows of a table, as the server writes them as text; `None` is NULL.
    ///
    /// # Errors
    /// Any failure of the connection, or a total that a column's type does not have.
    pub async fn totals(
        &mut self,
        plan: &TablePlan,
        totals: &[Total],
    ) -> Result<Vec<Option<String>>, Error> {
        let doing = format!("adding up {}", plan.table);
        let wrong = |detail| Error::Answer { doing: doing.clone(), detail };
        let statement = statement::totals((&plan.table, &plan.columns), totals)
            .ok_or_else(|| wrong("a total that the column's type does not have"))?;
        let rows = self.rows(&statement, &doing).await?;
        let row = rows.into_iter().next().filter(|row| row.len() == totals.len());
        let row = row.ok_or_else(|| wrong("another number of totals than asked for"))?;
        Ok(row.into_iter().map(|cell| into_text(from_driver(cell, true))).collect())
    }

    /// Reads some columns (indexes into the plan's) of the rows with these keys, as the server
    /// itself writes them as text: for whoever does not want to rely on what is decoded here.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn read_texts(
        &mut self,
        plan: &TablePlan,
        wanted: &[usize],
        keys: &[CanonicalKey],
    ) -> Result<Vec<TextRow>, Error> {
        let columns: Vec<&SourceColumn> =
            wanted.iter().filter_map(|&index| plan.columns.get(index)).collect();
        let key = plan.key.iter().filter_map(|&index| plan.columns.get(index));
        let width = plan.key.len();
        let text = |column: &&SourceColumn| SourceColumn {
            sql_type: SqlType::NVarChar { length: None },
            ..(*column).clone()
        };
        let shape: Vec<SourceColumn> = key.cloned().chain(columns.iter().map(text)).collect();
        let answer = Source { table: &plan.table, columns: &shape, key: &[], condition: None };
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks((KEY_PARAMETERS_MAX / width.max(1)).max(1)) {
            let keys: Vec<LegacyRow> = keys.iter().map(CanonicalKey::parts).collect();
            let statement = statement::texts_by_keys(plan.into(), &columns, &keys)?;
            let mut each = |mut row: LegacyRow| {
                let texts = row.split_off(width.min(row.len()));
                let texts = texts.into_iter().map(into_text).collect();
                found.push(TextRow { key: row, texts });
                true
            };
            self.stream(answer, &statement, Hand::Each(&mut each)).await?;
        }
        Ok(found)
    }

    async fn stream(
        &mut self,
        source: Source<'_>,
        statement: &Statement,
        hand: Hand<'_>,
    ) -> Result<u64, Error> {
        let doing = format!("reading {}", source.table);
        let mut connection = self.take(&doing)?;
        let mut flow = Flow { hand, handed: 0, came: Came::default(), limit: self.limits().answer };
        let stall = self.limits().stall;
        let shape = Shape::of_table(source);
        let outcome = Box::pin(flow.run(&mut connection, statement, &shape, stall)).await;
        match outcome {
            Ok(Ok(Ending::Misshapen)) => return Err(misshapen(&doing)),
            Ok(Ok(Ending::Early)) => self.abandon(connection).await,
            // Where it is with its answer, nobody knows: the connection is closed.
            Ok(Ok(Ending::Unheard)) => drop(connection),
            Ok(Ok(Ending::Whole)) if flow.came.told != Some(flow.came.rows) => {
                return Err(Error::Incomplete { doing, came: flow.came.rows });
            }
            outcome => {
                self.settle(connection, outcome, &doing, flow.limit)?;
            }
        }
        Ok(flow.handed)
    }

    /// Asks the server to stop; the connection is kept when it says in time that it has. (Where
    /// the answer had already ended, the driver misses the acknowledgement that comes after it;
    /// then the connection is closed.)
    async fn abandon(&mut self, mut connection: Connection) {
        let limit = self.limits().connect;
        match timeout(limit, connection.cancel_query()).await {
            Ok(Ok(())) => self.put_back(connection),
            Ok(Err(error)) => tracing::debug!(%error, "the connection is closed"),
            Err(_) => tracing::debug!(?limit, "the server did not stop in time"),
        }
    }
}

/// A row as text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRow {
    /// The key columns' values.
    pub key: LegacyRow,
    /// The columns that were asked for; `None` is NULL.
    pub texts: Vec<Option<String>>,
}

fn into_text(value: LegacyValue<'static>) -> Option<String> {
    match value {
        LegacyValue::Text(text) | LegacyValue::BrokenText(text) => Some(text.into_owned()),
        _ => None,
    }
}

/// Who gets the rows.
enum Hand<'a> {
    Each(&'a mut (dyn FnMut(LegacyRow) -> bool + Send)),
    Sink(&'a RowSink),
}

impl Hand<'_> {
    /// Whether more is wanted.
    async fn take(&mut self, rows: Vec<LegacyRow>) -> bool {
        match self {
            Self::Each(each) => rows.into_iter().all(each),
            Self::Sink(sink) => sink.send(rows).await.is_ok(),
        }
    }

    /// As [`Hand::gone`], for a moment already: an answer that begins at once can be ended in order.
    async fn long_gone(&mut self) {
        self.gone().await;
        tokio::time::sleep(FAREWELL).await;
    }

    /// Until nobody wants more.
    async fn gone(&mut self) {
        match self {
            Self::Each(_) => std::future::pending().await,
            Self::Sink(sink) => sink.closed().await,
        }
    }
}

/// What has come of an answer.
#[derive(Default)]
struct Came {
    rows: u64,
    /// How many the server says it gave, once it has said so.
    told: Option<u64>,
}

/// Rows on their way from the server to whoever gets them.
struct Flow<'a> {
    hand: Hand<'a>,
    /// Rows handed over.
    handed: u64,
    came: Came,
    /// For what is waited for now.
    limit: Duration,
}

impl Flow<'_> {
    /// Sends the statement and hands over until one side has enough.
    async fn run(
        &mut self,
        connection: &mut Connection,
        statement: &Statement,
        shape: &Shape,
        stall: Duration,
    ) -> Result<tiberius::Result<Ending>, Elapsed> {
        let sent = tokio::select! {
            biased;
            sent = timeout(self.limit, send(connection, statement)) => sent,
            () = self.hand.long_gone() => return Ok(Ok(Ending::Unheard)),
        };
        let mut rows = match sent? {
            Ok(rows) => rows,
            Err(source) => return Ok(Err(source)),
        };
        let mut silent = Duration::ZERO;
        loop {
            let mut batch = Batch::default();
            let patience = self.limit.saturating_sub(silent).min(GATHERING);
            let filled = tokio::select! {
                biased;
                () = self.hand.gone() => {
                    finish_row(&mut rows).await;
                    return Ok(Ok(Ending::Early));
                }
                filled = timeout(patience, batch.fill(&mut rows, shape, &mut self.came)) => filled,
            };
            // What has arrived is handed over, whatever came after it.
            let count = batch.count();
            let wanted = count == 0 || self.hand.take(batch.rows).await;
            if wanted {
                self.handed += count;
            }
            if count > 0 {
                (silent, self.limit) = (Duration::ZERO, stall);
            }
            match filled {
                Ok(Ok(None)) if wanted => {}
                Ok(Ok(None)) => return Ok(Ok(Ending::Early)),
                Ok(Ok(Some(ending))) => return Ok(Ok(ending)),
                Ok(Err(source)) => return Ok(Err(source)),
                // The server is slow: the next rows come later.
                Err(_) if count > 0 && wanted => {}
                Err(_) if count > 0 => {
                    finish_row(&mut rows).await;
                    return Ok(Ok(Ending::Early));
                }
                Err(elapsed) => {
                    silent += patience;
                    if silent >= self.limit {
                        return Err(elapsed);
                    }
                }
            }
        }
    }
}

/// Goes on to the end of a row that has come in part: only between two rows the driver understands
/// what a server says that was asked to stop. Where that takes too long the connection is closed.
async fn finish_row(rows: &mut QueryStream<'_>) {
    let finished = timeout(FAREWELL, rows.try_next()).await;
    tracing::trace!(finished = finished.is_ok(), "a stream is ended early");
}

/// Why a stream came to its end.
enum Ending {
    /// The server has no more.
    Whole,
    /// Nobody wants more.
    Early,
    /// Nobody wants any more, and the server has not begun to answer.
    Unheard,
    /// A row has another number of columns than was asked for.
    Misshapen,
}

#[derive(Default)]
struct Batch {
    rows: Vec<LegacyRow>,
    bytes: usize,
}

impl Batch {
    fn count(&self) -> u64 {
        u64::try_from(self.rows.len()).unwrap_or(u64::MAX)
    }

    /// Until it is full (`None`) or the stream ends. Rows stay in it when the future fails or
    /// is dropped; then the stream goes on where it was.
    async fn fill(
        &mut self,
        stream: &mut QueryStream<'_>,
        shape: &Shape,
        came: &mut Came,
    ) -> tiberius::Result<Option<Ending>> {
        while let Some(item) = stream.try_next().await? {
            let QueryItem::Row(row) = item else { continue };
            if row.result_index() > 0 {
                came.told = count(row);
                continue;
            }
            came.rows += 1;
            let Some(weighed) = shape.convert(row) else { return Ok(Some(Ending::Misshapen)) };
            if self.rows.capacity() == 0 {
                self.rows.reserve(BATCH_ROWS_MAX.min(BATCH_BYTES_MAX / weighed.bytes.max(1) + 1));
            }
            self.rows.push(weighed.row);
            self.bytes += weighed.bytes;
            if self.rows.len() >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX {
                return Ok(None);
            }
        }
        Ok(Some(Ending::Whole))
    }
}

fn misshapen(doing: &str) -> Error {
    Error::Answer { doing: doing.to_owned(), detail: "another number of columns than asked for" }
}
