//! Rows from the server to a sheet: one ordered stream, at a pace, until somebody says stop.
//!
//! Memory is what the checks keep; rows pass through in batches. A sample is read in
//! [`PLACES`] stretches from all over the key's order, because the oldest rows alone would
//! know nothing of what came later.

use std::time::Duration;

use legacy::{Disposition, KeyRange, LegacyRow, Session, pace::Pace};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    keys::Keys,
    progress::{Event, Progress},
    sheet::Sheet,
};

/// Stretches of a sample.
const PLACES: u64 = 16;
/// Batches that may wait to be looked at.
const BATCHES: usize = 2;
/// How long to wait for a server that is restarting, before each attempt to connect again.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(4)];

/// How a table's reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every row was looked at.
    Whole,
    /// A sample was.
    Sample,
    /// The run is being stopped.
    Stopped,
}

/// Reads tables.
pub(crate) struct Reader<'a> {
    pub(crate) settings: &'a legacy::Settings,
    pub(crate) session: Session,
    pub(crate) sample: Option<u64>,
    pub(crate) pace: Pace,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) stop: &'a CancellationToken,
}

impl Reader<'_> {
    /// Reads a table into its sheet. `rows` is about how many there are.
    pub(crate) async fn read(
        &mut self,
        sheet: &mut Sheet<'_>,
        keys: &mut Keys,
        rows: Option<u64>,
    ) -> Result<Ending, legacy::Error> {
        let Some(sample) = self.sample else {
            return self.stretch(sheet, keys, KeyRange::default(), None).await;
        };
        let cuts = self.cuts(sheet, sample, rows).await?;
        let stretches = u64::try_from(cuts.len()).unwrap_or(u64::MAX).saturating_add(1);
        let each = sample.div_ceil(stretches);
        let mut ending = Ending::Whole;
        for after in std::iter::once(None).chain(cuts.into_iter().map(Some)) {
            let range = KeyRange { after, up_to: None };
            let left = sample.saturating_sub(sheet.rows);
            match self.stretch(sheet, keys, range, Some(each.min(left))).await? {
                Ending::Stopped => return Ok(Ending::Stopped),
                Ending::Sample => ending = Ending::Sample,
                // The last stretch ends with the table.
                Ending::Whole => {}
            }
        }
        Ok(if stretches > 1 { Ending::Sample } else { ending })
    }

    /// Where the stretches of a sample begin, the first aside; none where the table is small,
    /// or has no order.
    async fn cuts(
        &mut self,
        sheet: &Sheet<'_>,
        sample: u64,
        rows: Option<u64>,
    ) -> Result<Vec<LegacyRow>, legacy::Error> {
        let scan = &sheet.subject.scan;
        let rows = match rows {
            Some(rows) => rows,
            None => self.session.row_count(&scan.table).await?,
        };
        if rows <= sample || scan.key.is_empty() {
            return Ok(Vec::new());
        }
        let mut cuts = self.session.split_scan(scan, rows.div_ceil(PLACES).max(1)).await?;
        cuts.truncate(usize::try_from(PLACES - 1).unwrap_or(usize::MAX));
        Ok(cuts)
    }

    /// Reads a range, or its first rows.
    async fn stretch(
        &mut self,
        sheet: &mut Sheet<'_>,
        keys: &mut Keys,
        range: KeyRange,
        rows_max: Option<u64>,
    ) -> Result<Ending, legacy::Error> {
        self.connect().await?;
        let (sink, batches) = mpsc::channel(BATCHES);
        let scan = &sheet.subject.scan;
        let session = &mut self.session;
        let reading = async move { session.stream_scan(scan, &range, &sink).await };
        let mut look = Look { batches, rows_left: rows_max, progress: self.progress };
        let looking = look.run(sheet, keys, &self.pace);
        let both = Box::pin(async { tokio::join!(reading, looking) });
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(Ending::Stopped),
            (read, ()) = both => {
                read?;
                let has_enough = look.rows_left == Some(0);
                Ok(if has_enough { Ending::Sample } else { Ending::Whole })
            }
        }
    }

    /// Connects again where the connection was lost.
    async fn connect(&mut self) -> Result<(), legacy::Error> {
        if self.session.is_usable() {
            return Ok(());
        }
        let mut last = None;
        for pause in PAUSES {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            match Session::connect(self.settings).await {
                Ok(session) => {
                    self.session = session;
                    return Ok(());
                }
                Err(error) if error.disposition() == Disposition::Retry => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        // Stopped before the first attempt: the next request says that the connection is gone.
        last.map_or(Ok(()), Err)
    }
}

/// The end of the channel where rows are looked at.
struct Look<'a> {
    batches: mpsc::Receiver<Vec<LegacyRow>>,
    rows_left: Option<u64>,
    progress: &'a dyn Progress,
}

impl Look<'_> {
    /// Until the stream ends or there is enough; then the other end is told by the closed
    /// channel.
    async fn run(&mut self, sheet: &mut Sheet<'_>, keys: &mut Keys, pace: &Pace) {
        while self.rows_left != Some(0)
            && let Some(batch) = self.batches.recv().await
        {
            let mut rows = 0;
            for row in &batch {
                if self.rows_left == Some(0) {
                    break;
                }
                sheet.look(row, keys);
                rows += 1;
                self.rows_left = self.rows_left.map(|left| left - 1);
            }
            self.progress.event(Event::Looked { table: &sheet.subject.scan.table, rows });
            pace.wait(rows).await;
        }
        self.batches.close();
        while self.batches.try_recv().is_ok() {}
    }
}
