//! What was typed.

use clap::{Parser, ValueEnum};

use crate::memory::Task;

/// Speed beside its limits, in one run.
///
/// Server, broker, Postgres and engine share the same cores: read the ratios, and the CPU time
/// for each row, rather than the rates.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Args {
    /// Rows of the contract table, and change events in a stream
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    rows: u64,

    /// A tenth of the rows, once: for a first look
    #[arg(long)]
    pub(crate) quick: bool,

    /// How often what is cheap is measured; the median counts
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: usize,

    /// Only these (may be given several times)
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Vec<What>,

    /// Talk to the legacy server over TLS, as one would in production
    #[arg(long)]
    pub(crate) tls: bool,

    /// Use the Postgres that is installed (built for speed) instead of the embedded one (built
    /// for size)
    #[arg(long)]
    pub(crate) system_postgres: bool,

    /// The engine's role is exempt from row-level security, so that new rows are copied straight
    /// into their tables
    #[arg(long)]
    pub(crate) bypass_rls: bool,

    /// Partitions of the contract topic (may be given several times)
    #[arg(long, default_values_t = [1, 4], value_name = "N")]
    pub(crate) partitions: Vec<i32>,

    /// A real broker for the change events instead of the in-process one; its topic is made anew
    /// for each run
    #[arg(long, env = "FICUS_TEST_KAFKA", value_name = "HOST:PORT")]
    pub(crate) kafka: Option<String>,

    /// The figures as JSON on standard output, the words on standard error
    #[arg(long)]
    pub(crate) json: bool,

    /// Be the server that is measured, on this database
    #[arg(long, hide = true, value_name = "URL")]
    pub(crate) serve: Option<String>,

    /// Be the process whose memory is measured; what it works on comes by standard input
    #[arg(long, hide = true, value_enum, value_name = "TASK")]
    pub(crate) work: Option<Task>,

    /// Exit with 1 when a floor is missed
    #[arg(long)]
    pub(crate) check: bool,
}

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Legacy rows to Postgres fields, on one core
    Mapping,
    /// Legacy keys to ids
    Keys,
    /// Whole tables
    Backfill,
    /// The verdict on two equal sides
    Reconcile,
    /// What a copy and a comparison take of memory, for a tenth of the rows and for all
    Memory,
    /// Change events
    Apply,
    /// The API, beside pgbench and a Node server
    Serve,
    /// One legacy transaction of five times as many rows; needs a real broker (--kafka)
    Whole,
}

impl Args {
    /// Rows of the contract table.
    pub(crate) fn rows(&self) -> u64 {
        if self.quick { (self.rows / 10).max(1_000) } else { self.rows.max(1_000) }
    }

    /// Rows of the one transaction: a million, unless it is said otherwise.
    pub(crate) fn transaction(&self) -> u64 {
        self.rows() * 5
    }

    /// Repetitions.
    pub(crate) fn runs(&self) -> usize {
        if self.quick { 1 } else { self.runs.max(1) }
    }

    /// Whether it was asked for.
    pub(crate) fn wants(&self, what: What) -> bool {
        self.only.is_empty() || self.only.contains(&what)
    }
}
