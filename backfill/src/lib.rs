//! Bulk copy of legacy tables in resumable chunks, while the change stream runs.
//!
//! **The promise.** Each row of a selected table is read, mapped and applied; what can't be
//! mapped is in quarantine. It may stop at any instant, in any way, and the next run goes on
//! after the last committed key. Run again when all is done, it does nothing.
//!
//! **Why it is right.** A chunk is a range of keys, read as one ordered stream. Before it is
//! read, the legacy server is asked how far CDC has captured (the low watermark); every change
//! up to there is visible to the read, so its rows are stamped with that position. A change
//! that is newer wins wherever it meets the row, before or after, and a newer delete leaves a
//! tombstone that the row loses to (laws 2 and 3). The key of the last row commits with the
//! rows. Whoever resumes takes a new low watermark for the rest.
//!
//! **Who does what.** [`run`] connects, finds or starts the run, cuts tables into chunks
//! (`cut`) and starts readers. Each reader (`worker`) claims chunks in Postgres, fenced by
//! epoch, until there are none; several processes may work on one run. A chunk (`copy`) is
//! three stages that overlap: the stream from the server, the mapping (`batch`), and one
//! transaction in flight.

mod batch;
mod copy;
mod cut;
mod error;
pub mod hold;
mod key;
mod only_keys;
mod order;
mod owner;
mod patience;
pub mod progress;
pub mod report;
pub mod reselect;
mod settings;
mod shared;
mod steps;
mod window;
mod worker;

use std::{sync::Arc, time::Instant};

use mapping::plan::Plan;
use target::Target;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use hold::Hold;
pub use only_keys::KeyList;
pub use progress::{Event, Progress, Silent};
pub use report::{Report, TableReport};
pub use settings::{Busy, Selection, Settings};
use shared::Shared;
pub use window::Window;

/// Everything that a backfill needs.
#[derive(Clone)]
pub struct Job {
    /// How it runs.
    pub settings: Settings,
    /// The legacy server, under a read-only login.
    pub legacy: legacy::Settings,
    /// Where the rows go.
    pub target: Arc<Target>,
    /// What they become.
    pub plan: Arc<Plan>,
    /// What is copied.
    pub selection: Selection,
    /// How much of it.
    pub scope: Scope,
    /// Who is told how it goes.
    pub progress: Arc<dyn Progress>,
    /// Stops it: each reader commits its open batch, gives its chunk back, and ends.
    pub cancel: CancellationToken,
}

/// How much of the selected tables is copied. A part needs a selection of one table
/// ([`Selection::of_table`]), or of one entity's for keys; it has a run of its own, which says
/// nothing about whether the tables are copied.
#[derive(Debug, Clone, Default)]
pub enum Scope {
    /// All of it.
    #[default]
    Whole,
    /// The rows that an operator's condition holds for, again. A run that was stopped goes on.
    Where(legacy::Condition),
    /// Rows by key, again, all of them each time.
    Keys(KeyList),
}

/// Copies the selected tables. A table that can't be copied is given up and told in the report;
/// the others go on.
///
/// # Errors
/// When nothing can go on: the legacy server or the target can't be used, or stays away for
/// longer than the settings allow. What is committed stays.
pub async fn run(job: Job) -> Result<Report, Error> {
    let started = Instant::now();
    let order = order::parents_first(&job.plan, job.selection.tables());
    let workers = job.settings.readers.max(1);
    // The readers stop together when one of them can't go on.
    let stop = job.cancel.child_token();
    let session = legacy::Session::connect_within(&job.legacy, job.settings.limits).await?;
    let scope = job.scope.clone();
    let shared = Arc::new(Shared::open(job, &order, stop).await?);
    let outcome = match scope {
        Scope::Whole | Scope::Where(_) => match cut::plan_tables(&shared, session, &order).await {
            Ok(()) => work(&shared, &order, workers).await,
            Err(error) => Err(error),
        },
        Scope::Keys(keys) => only_keys::copy(&shared, session, &keys).await,
    };
    let report = shared.finish(&order, started.elapsed()).await;
    outcome?;
    report
}

/// Runs the readers to their end; the first failure stops the others.
async fn work(
    shared: &Arc<Shared>,
    order: &[mapping::plan::TableId],
    workers: u16,
) -> Result<(), Error> {
    let order: Arc<[_]> = order.into();
    let mut readers = JoinSet::new();
    for _ in 0..workers {
        readers.spawn(worker::work(Arc::clone(shared), Arc::clone(&order)));
    }
    let mut outcome = Ok(());
    while let Some(ended) = readers.join_next().await {
        let ended = ended.unwrap_or(Err(Error::Task));
        if ended.is_err() {
            shared.stop.cancel();
        }
        if outcome.is_ok() {
            outcome = ended;
        }
    }
    outcome
}
