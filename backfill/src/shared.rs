//! What all readers of a run share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use legacy::{CaptureState, Condition, pace::Pace};
use mapping::plan::{Plan, TableId, TablePlan};
use target::{BatchLimit, Target, batch::Applied, chunk::Run, part::Part};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Event, Job, Progress, Report, Scope, Settings, TableReport,
    error::chain,
    hold::{Asked, Hold, Teller, Watch},
    owner, report,
    steps::Steps,
};

/// What all readers of a run share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// Rows of a batch, for all workers.
    pub(crate) limit: BatchLimit,
    pub(crate) legacy: legacy::Settings,
    pub(crate) target: Arc<Target>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) progress: Arc<dyn Progress>,
    /// The user's wish to stop, or a failure of another reader.
    pub(crate) stop: CancellationToken,
    pub(crate) run: i64,
    pub(crate) owner: String,
    /// Only the rows that this holds for.
    pub(crate) condition: Option<Condition>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) steps: Steps,
    pub(crate) watch: Watch,
    pub(crate) asked: tokio::sync::Mutex<Asked>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<TableId, TableReport>,
    warnings: Vec<String>,
    /// Why nothing is read now, as it was told.
    hold: Option<Hold>,
}

impl Shared {
    /// Finds the run that is to be continued, or starts one.
    pub(crate) async fn open(
        job: Job,
        order: &[TableId],
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let run = run(&job, order).await?;
        let tables = order.iter().filter_map(|id| job.plan.tables.get(usize::from(id.0)));
        let tables = tables.map(|table| (table.id, TableReport::new(table.table.clone())));
        let state = State { tables: tables.collect(), ..State::default() };
        let owner = owner::this_process();
        let (asked, busy) = Asked::new();
        let rows_per_second = job.settings.rows_per_second;
        let pace = Arc::new(Pace::new(rows_per_second));
        let teller = Teller {
            target: Arc::clone(&job.target),
            owner: owner.clone(),
            run: run.id,
            window: job.settings.window,
            readers: job.settings.readers.max(1),
            pace: Arc::clone(&pace),
        };
        let shared = Self {
            watch: Watch::start(teller, busy).await?,
            asked: tokio::sync::Mutex::new(asked),
            pace,
            steps: Steps::new(job.settings.statement, rows_per_second),
            condition: match job.scope {
                Scope::Where(condition) => Some(condition),
                Scope::Whole | Scope::Keys(_) => None,
            },
            limit: BatchLimit::new(job.settings.batch_rows_max),
            settings: job.settings,
            legacy: job.legacy,
            target: job.target,
            plan: job.plan,
            progress: job.progress,
            stop,
            run: run.id,
            owner,
            state: Mutex::new(state),
        };
        shared.check_mapping(&run);
        Ok(shared)
    }

    fn check_mapping(&self, run: &Run) {
        let whole = self.condition.is_none() && !self.settings.restart;
        if run.mapping_version != self.plan.version && whole {
            self.warn_once(
                "the mapping has changed since the backfill began: rows that were copied before \
                 keep their old form until `ficus backfill --restart`",
            );
        }
    }

    /// Says so, once, when rows are stamped with the lowest position.
    pub(crate) fn note_capture(&self, capture: &CaptureState) {
        if !capture.enabled {
            self.warn_once(
                "CDC is off in the legacy database: rows are stamped with the lowest position, \
                 and changes made after they are read are not seen",
            );
        } else if capture.max_lsn.is_none() {
            self.warn_once(
                "CDC has captured nothing yet (is the capture job running?): rows are stamped \
                 with the lowest position",
            );
        }
    }

    pub(crate) fn table(&self, id: TableId) -> Result<&TablePlan, Error> {
        let missing = || target::Error::NotFound { what: format!("table number {}", id.0) };
        self.plan.tables.get(usize::from(id.0)).ok_or_else(|| missing().into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn_once(&self, text: &str) {
        {
            let mut state = self.state();
            if state.warnings.iter().any(|known| known == text) {
                return;
            }
            state.warnings.push(text.to_owned());
        }
        tracing::info!("{text}");
        self.progress.event(Event::Warning { text });
    }

    /// Notes a chunk's beginning.
    pub(crate) fn reading(&self, table: &TablePlan) {
        self.progress.event(Event::Reading { table: &table.table });
    }

    /// Notes what a transaction did.
    pub(crate) fn committed(&self, table: &TablePlan, rows: u64, applied: &Applied) {
        self.limit.grow();
        report::add(&mut self.state().tables, applied);
        let quarantined = applied.tables.get(&table.id).map_or(0, |counts| counts.quarantined);
        self.progress.event(Event::Committed { table: &table.table, rows, quarantined });
    }

    /// Notes which lines of a list name rows that are not there.
    pub(crate) fn keys_missing(&self, table: &TablePlan, lines: Vec<usize>) {
        if let Some(report) = self.state().tables.get_mut(&table.id) {
            report.keys_missing = lines;
            report.keys_missing.sort_unstable();
        }
    }

    /// Notes that a chunk was split.
    pub(crate) fn chunk_split(&self, table: &TablePlan) {
        let chunks_total = {
            let mut state = self.state();
            let Some(report) = state.tables.get_mut(&table.id) else { return };
            report.chunks_total += 1;
            report.chunks_total
        };
        self.progress.event(Event::ChunkSplit { table: &table.table, chunks_total });
    }

    /// Tells why nothing is read, and that it goes on, once for all readers.
    pub(crate) fn note_hold(&self, hold: Option<&Hold>) {
        {
            let mut state = self.state();
            if state.hold.as_ref() == hold {
                return;
            }
            state.hold = hold.cloned();
        }
        match hold {
            Some(hold) => {
                tracing::info!(%hold, "waiting");
                self.progress.event(Event::Holding { hold });
            }
            None => self.progress.event(Event::GoingOn),
        }
    }

    /// Notes a chunk's end.
    pub(crate) fn chunk_done(&self, table: &TablePlan) {
        let (chunks_done, chunks_total) = {
            let mut state = self.state();
            let Some(report) = state.tables.get_mut(&table.id) else { return };
            report.chunks_done += 1;
            (report.chunks_done, report.chunks_total)
        };
        let table = &table.table;
        self.progress.event(Event::ChunkDone { table, chunks_done, chunks_total });
    }

    /// Notes a table's chunks.
    pub(crate) fn planned(&self, table: &TablePlan, rows_estimate: u64, known: Known) {
        let Known { chunks_done, chunks_total, rows } = known;
        if let Some(report) = self.state().tables.get_mut(&table.id) {
            report.chunks_done = chunks_done;
            report.chunks_total = chunks_total;
        }
        self.progress.event(Event::Planned {
            table: &table.table,
            rows_estimate,
            rows_before: rows,
            chunks_done,
            chunks_total,
        });
    }

    /// Notes an attempt that failed and is made again.
    pub(crate) fn retrying(&self, table: &TablePlan, attempt: u32, pause: Duration, error: &Error) {
        let reason = chain(error);
        let table_name = table.table.to_string();
        tracing::info!(table = table_name, attempt, ?pause, reason, "trying again");
        if let Some(report) = self.state().tables.get_mut(&table.id) {
            report.retries += 1;
        }
        let table = &table.table;
        self.progress.event(Event::Retrying { table, attempt, pause, reason: &reason });
    }

    /// Gives a table up.
    pub(crate) fn give_up(&self, table: &TablePlan, error: &Error) -> String {
        let reason = format!("{} ({})", chain(error), error.hint());
        let table_name = table.table.to_string();
        tracing::info!(table = table_name, reason, "the table is given up");
        if let Some(report) = self.state().tables.get_mut(&table.id) {
            report.failure.get_or_insert(reason.clone());
        }
        self.progress.event(Event::Failed { table: &table.table, reason: &reason });
        reason
    }

    pub(crate) fn is_given_up(&self, table: TableId) -> bool {
        self.state().tables.get(&table).is_none_or(|report| report.failure.is_some())
    }

    /// The report, with the chunks as Postgres counts them.
    pub(crate) async fn finish(
        &self,
        order: &[TableId],
        elapsed: Duration,
    ) -> Result<Report, Error> {
        // Whoever asks who copies would see it for some seconds more; no reason to fail.
        if let Err(error) = self.target.end_process(&self.owner).await {
            tracing::debug!(%error, "telling that this backfill has ended");
        }
        let progress = self.target.progress(self.run).await?;
        let all_done = progress.iter().all(|table| table.chunks == table.chunks_done);
        if all_done {
            self.target.finish_run(self.run).await?;
        }
        let mut state = self.state();
        for table in progress {
            if let Some(report) = state.tables.get_mut(&table.table) {
                report.chunks_done = table.chunks_done;
                report.chunks_total = table.chunks;
            }
        }
        let tables: Vec<TableReport> =
            order.iter().filter_map(|id| state.tables.get(id).cloned()).collect();
        // A wish that came when all was done stopped nothing.
        let cancelled = self.stop.is_cancelled() && !tables.iter().all(TableReport::is_complete);
        Ok(Report { tables, warnings: state.warnings.clone(), cancelled, elapsed })
    }
}

/// The run that is to be continued, or a new one.
async fn run(job: &Job, order: &[TableId]) -> Result<Run, Error> {
    let target = &job.target;
    let options = serde_json::json!({ "chunk_rows": job.settings.chunk_rows });
    let (part, table) = match (&job.scope, order.first()) {
        (Scope::Where(condition), Some(table)) => {
            (Part::Where(condition.text().to_owned()), *table)
        }
        (Scope::Keys(_), Some(table)) => (Part::Keys, *table),
        (Scope::Whole, _) | (_, None) => {
            return Ok(match target.latest_run().await? {
                Some(run) => run,
                None => target.start_run(&options).await?,
            });
        }
    };
    if matches!(part, Part::Where(_))
        && let Some(run) = target.open_part(table, &part).await?
    {
        return Ok(run);
    }
    // Another part of the table that nobody will finish would count as under way for ever.
    target.abandon_parts(table).await?;
    Ok(target.start_part(&part, &options).await?)
}

/// What Postgres knows of a table's chunks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    pub(crate) chunks_done: u64,
    pub(crate) chunks_total: u64,
    pub(crate) rows: u64,
}
