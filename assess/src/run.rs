//! The run: the catalogue first, then table by table, then what only all tables together tell.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{SecondsFormat, Utc};
use legacy::{Disposition, Session, TableSize, pace::Pace};
use mapping::{catalog::LegacyTable, probe::WallClock};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    assessment::{Assessment, CdcState, Reading, TableAssessment},
    book::Book,
    check::{Context, TypeNames},
    keys::{KEYS_MAX, Keys},
    progress::{Event, Progress},
    read::{Ending, Reader},
    reference::is_same,
    sheet::{Open, Sheet},
    subject::Subject,
    survey::{Depth, Survey},
};

/// What to assess, and how.
#[derive(Debug, Clone)]
pub struct Job {
    /// The legacy server.
    pub legacy: legacy::Settings,
    /// Tables, as `Contract` or `dbo.Contract`; all but XPO's own when none is named.
    pub tables: Vec<String>,
    /// Read so many rows of each table at most, from places all over it.
    pub sample: Option<u64>,
    /// Read so many rows a second at most.
    pub rows_per_second: Option<u64>,
    /// The zone of the wall times.
    pub clock: Option<WallClock>,
}

/// What the server said before the first row.
pub(crate) struct Known {
    pub(crate) cdc: CdcState,
    pub(crate) sizes: BTreeMap<LegacyTable, TableSize>,
    /// `None` when the dictionary is not there, or may not be read.
    pub(crate) types: Option<TypeNames>,
}

impl Known {
    /// How big a table is; one view may spell its name otherwise than another.
    pub(crate) fn size(&self, table: &LegacyTable) -> Option<TableSize> {
        let found = self.sizes.iter().find(|(other, _)| is_same(other, table));
        found.map(|(_, size)| *size)
    }
}

/// Assesses a database. When `stop` is cancelled, or the server goes away for good in the
/// middle, what was found so far is told, and what was not read.
///
/// # Errors
/// A table that is not there, or any failure before the first table is read.
pub async fn run(
    job: &Job,
    progress: &dyn Progress,
    stop: &CancellationToken,
) -> Result<Assessment, Error> {
    let taken_at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut session = Session::connect(&job.legacy).await?;
    let catalog = session.catalog().await?;
    let survey = Survey::new(&catalog);
    let selected = survey.select(&job.tables)?;
    progress.event(Event::Catalog { tables: catalog.tables.len() });
    let known = Known::ask(&mut session).await?;
    let reader = Reader {
        settings: &job.legacy,
        session,
        sample: job.sample,
        pace: Pace::new(job.rows_per_second),
        progress,
        stop,
    };
    let run = Run { job, survey: &survey, known: &known, selected: &selected };
    let (tables, stopped) = Box::pin(run.read(reader)).await;
    let reading = Reading {
        zone: job.clock.as_ref().map(|clock| clock.name().to_owned()),
        sample: job.sample,
        stopped,
    };
    drop(survey);
    Ok(Assessment { taken_at, catalog, cdc: known.cdc, tables, reading })
}

impl Known {
    async fn ask(session: &mut Session) -> Result<Self, legacy::Error> {
        let sizes = session.sizes().await?.unwrap_or_default();
        let capture = session.capture_state().await?;
        let cdc = CdcState {
            enabled: capture.enabled,
            max_lsn: capture.max_lsn.map(|lsn| lsn.to_string()),
        };
        let types = match session.object_types().await {
            Ok(types) => Some(types).filter(|types| !types.is_empty()),
            Err(error @ legacy::Error::Permission { .. }) => {
                tracing::warn!(%error, "classes are not checked");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { cdc, sizes, types })
    }
}

/// All that a run stands on.
struct Run<'a> {
    job: &'a Job,
    survey: &'a Survey<'a>,
    known: &'a Known,
    selected: &'a BTreeSet<usize>,
}

impl Run<'_> {
    /// Reads what is to be read. The tables, and why it ended before its time.
    async fn read(&self, mut reader: Reader<'_>) -> (Vec<TableAssessment>, Option<String>) {
        let survey = self.survey;
        let order = survey.reading_order(self.selected, self.job.sample.is_none());
        reader.progress.event(Event::Planned { tables: order.len() });
        let subjects: Vec<(Subject<'_>, Depth)> = order
            .into_iter()
            .filter_map(|(at, depth)| Some((survey.subject(at, depth)?, depth)))
            .collect();
        let whole_database = self.job.tables.is_empty();
        let mut book = Book::new(survey, self.known, self.selected, whole_database);
        let mut keys = Keys::new(survey.catalog.tables.len(), KEYS_MAX);
        let mut open: Vec<(&Subject<'_>, Open<'_>)> = Vec::new();
        let mut stopped = None;
        for (subject, depth) in &subjects {
            if stopped.is_none() {
                match self.table(subject, *depth, &mut reader, &mut keys).await {
                    Ok((sheet, ending)) => {
                        if let Some(waiting) = book.take(sheet, ending, &mut keys) {
                            open.push((subject, waiting));
                        }
                        continue;
                    }
                    Err(Trouble::Table(reason)) => {
                        keys.lose(subject.at);
                        book.failed(subject, &reason);
                        continue;
                    }
                    Err(Trouble::Run(reason)) => stopped = Some(reason),
                }
            }
            book.stopped(subject);
        }
        for (subject, open) in open {
            book.settle(subject, open, &keys);
        }
        book.count_unread(&mut reader.session).await;
        (book.close(), stopped)
    }

    /// Reads one table; once more where the connection was lost.
    async fn table<'s>(
        &'s self,
        subject: &'s Subject<'s>,
        depth: Depth,
        reader: &mut Reader<'_>,
        keys: &mut Keys,
    ) -> Result<(Sheet<'s>, Ending), Trouble> {
        let table = &subject.scan.table;
        let rows_estimate = self.known.size(table).map(|size| size.rows);
        let mut attempts = 0;
        loop {
            attempts += 1;
            reader.progress.event(Event::Started { table, rows_estimate });
            let mut sheet = self.sheet(subject, depth);
            let reason = match reader.read(&mut sheet, keys, rows_estimate).await {
                Ok(Ending::Stopped) => {
                    sheet.forget(keys);
                    return Err(Trouble::Run("it was told to stop".to_owned()));
                }
                Ok(ending) => {
                    reader.progress.event(Event::Done { table });
                    return Ok((sheet, ending));
                }
                Err(error) => error,
            };
            sheet.forget(keys);
            let text = told(&reason);
            match reason {
                error @ legacy::Error::Connect { .. } => return Err(Trouble::Run(told(&error))),
                error if error.disposition() == Disposition::Retry && attempts < ATTEMPTS => {
                    reader.progress.event(Event::Again { table, reason: &text });
                }
                _ => {
                    reader.progress.event(Event::Failed { table, reason: &text });
                    return Err(Trouble::Table(text));
                }
            }
        }
    }

    fn sheet<'s>(&'s self, subject: &'s Subject<'s>, depth: Depth) -> Sheet<'s> {
        if depth == Depth::Keys {
            return Sheet::keys_only(subject);
        }
        let context = Context { types: self.known.types.as_ref(), clock: self.job.clock.as_ref() };
        let root_of = |table: &LegacyTable| self.survey.root_of(self.survey.place(table)?);
        let leaves = self.survey.leaves(subject.at);
        Sheet::new(subject, context, &leaves, self.job.sample.is_none(), root_of)
    }
}

/// Attempts at a table whose connection is lost.
const ATTEMPTS: u32 = 2;

/// Why a table was not read.
enum Trouble {
    /// The others go on.
    Table(String),
    /// So it is for all that come after it.
    Run(String),
}

/// An error with its causes, and what to do.
fn told(error: &legacy::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    format!("{text} ({})", error.hint())
}
