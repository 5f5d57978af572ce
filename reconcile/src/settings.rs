//! What a run is told.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::paranoid::Rules;

/// What a full run begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// Nothing: every legacy row is read.
    #[default]
    Anew,
    /// What the last run of the same scope and mapping kept that was stopped; nothing where there
    /// is none. The verdict holds at that run's S.
    Resume,
    /// The digests of the last full run: legacy rows are read only where CDC says that they have
    /// changed. Proves less than a full run: see [`crate::Tier::Since`].
    Since,
}

/// Limits of a run. All are bounds, none changes what is proven.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long the run may go on reading undecided rows again, and how long it waits for the
    /// stream to pass a marker.
    pub patience: Duration,
    /// How long the capture job may take to capture the marker.
    pub capture_patience: Duration,
    /// Between two passes over undecided rows.
    pub pause: Duration,
    /// Connections that read each of the two servers at a time.
    pub readers_max: usize,
    /// Legacy rows a second at most, of all connections together.
    pub rows_per_second: Option<u64>,
    /// Rows in a range of a large table, which is read by several connections.
    pub range_rows: u64,
    /// The share of rows that are looked at, in hundredths of a percent; all when `None`.
    pub sample: Option<u32>,
    /// The mapping files' meaning for a quick look, which compares nothing but totals; without, rows
    /// are compared.
    pub quick: Option<Arc<Rules>>,
    /// The mapping files' meaning for the independent check, and about how many rows of each entity
    /// it looks at in a full run; without, there is none.
    pub independent: Option<(Arc<Rules>, u64)>,
    /// What it begins with. Only for a run over all rows.
    pub start: Start,
    /// Between two times that a table's digest is kept while it is being read.
    pub keep_every: Duration,
    /// What is older is not gone on with.
    pub resume_age_max: Duration,
    /// Changed rows of a table that are read by key; with more, it is read whole.
    pub changes_max: u64,
    /// Differences kept whole in the report, for each entity. All are counted.
    pub differences_max: usize,
    /// Differing rows that are remembered for a repair, for each entity.
    pub repairs_max: usize,
    /// Rows that are read again in one go, and keys that are remembered between passes.
    pub candidates_max: usize,
}

impl Settings {
    /// What the command uses unless told otherwise.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            patience: Duration::from_mins(1),
            capture_patience: Duration::from_secs(30),
            pause: Duration::from_millis(500),
            readers_max: 2,
            rows_per_second: None,
            range_rows: 100_000,
            sample: None,
            quick: None,
            independent: None,
            start: Start::Anew,
            keep_every: Duration::from_secs(10),
            resume_age_max: Duration::from_hours(24),
            changes_max: 100_000,
            differences_max: 1_000,
            repairs_max: 100_000,
            candidates_max: 50_000,
        }
    }
}

/// The legacy server, under two logins (law 9).
#[derive(Debug, Clone)]
pub struct Source {
    /// May read.
    pub reader: legacy::Settings,
    /// May insert into `dbo.ficus_marker`. Without it, the verdict rests on reading twice.
    pub marker: Option<legacy::Settings>,
}

/// Which entities are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names of entities or domains; all when empty.
    pub names: Vec<String>,
}

/// What happens while a run goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An entity's table is read on the legacy side: rows so far, and the server's estimate.
    Legacy {
        /// The legacy table.
        table: String,
        /// Rows so far.
        rows: u64,
        /// The catalogue's estimate of all rows.
        of: u64,
    },
    /// What was read of a legacy table so far is kept, for whoever goes on with it.
    Kept {
        /// The legacy table.
        table: String,
    },
    /// The marker is written; the stream has to pass it.
    Waiting {
        /// The marker's LSN.
        marker: mapping::position::Lsn,
    },
    /// An entity's table is read on the target side.
    Target {
        /// The entity.
        entity: String,
        /// Rows so far.
        rows: u64,
    },
    /// Rows are read again by key.
    Pass {
        /// 2 and up; the scan was pass 1.
        pass: u32,
        /// Rows still to decide when it began.
        rows: u64,
    },
}

/// Who watches a run, and how it is stopped.
#[derive(Clone)]
pub struct Watch {
    /// Called often; must not block.
    pub progress: Arc<dyn Fn(Event) + Send + Sync>,
    /// Stops the run with [`crate::Error::Cancelled`].
    pub stop: CancellationToken,
}

impl Watch {
    /// Nobody watches.
    #[must_use]
    pub fn nobody() -> Self {
        Self { progress: Arc::new(|_| {}), stop: CancellationToken::new() }
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.progress)(event);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("stop", &self.stop).finish_non_exhaustive()
    }
}
