//! A legacy server with Spacehub's demo data.

use assess::{Job, assessment::Assessment};
use mapping::probe::WallClock;
use spacehub::lab;
use tokio_util::sync::CancellationToken;

/// The demo's zone.
pub(crate) const ZONE: &str = "Asia/Ulaanbaatar";

pub(crate) async fn start(rows: u64, seed: u64) -> lab::Legacy {
    lab::Legacy::start(&lab::Options::test(rows, seed)).await.expect("the legacy system")
}

pub(crate) fn job(url: &str) -> Job {
    Job {
        legacy: url.parse().expect("its own URL"),
        tables: Vec::new(),
        sample: None,
        rows_per_second: None,
        clock: None,
    }
}

pub(crate) async fn assess(job: &Job) -> Assessment {
    assess::run(job, &assess::Silent, &CancellationToken::new()).await.expect("an assessment")
}

pub(crate) fn clock() -> Option<WallClock> {
    WallClock::named(ZONE).ok()
}
