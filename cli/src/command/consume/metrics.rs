//! `ficus consume --metrics`: what the consumer says of itself, for Prometheus.
//!
//! Counters are of this process since its start, so that several processes add up; the gauges of
//! tables and of the quarantine come from Postgres and are the same whomever one asks. All names
//! are in docs/metrics.md.

mod text;

use std::sync::Arc;

use cdc_consumer::Progress;
use mapping::plan::Plan;
use show::metrics::resident_bytes;
use target::Target;
use tokio::sync::watch;

use self::text::{Picture, render};

/// What the page is made from.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) plan: Arc<Plan>,
    pub(super) target: Arc<Target>,
    pub(super) group: String,
    pub(super) progress: watch::Receiver<Progress>,
}

impl Source {
    /// The page.
    pub(super) async fn page(self) -> String {
        let progress = self.progress.borrow().clone();
        // While Postgres is away there is all the more reason to tell the rest.
        let picture = match Picture::read(&self.target, &self.group).await {
            Ok(picture) => Some(picture),
            Err(error) => {
                tracing::debug!(%error, "reading the stream's state for the metrics");
                None
            }
        };
        render(&self.plan, &progress, picture.as_ref(), resident_bytes())
    }
}
