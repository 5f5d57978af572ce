//! Has rows read again that the stream brought without a large value.

use std::sync::Arc;

use mapping::plan::Plan;
use target::Target;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{out, parts, settings::Settings};

/// Whoever reads them until it is dropped; `None` where no mapping asks for it, or no legacy server is
/// configured.
pub(super) fn start(
    settings: &Settings,
    plan: &Arc<Plan>,
    target: &Arc<Target>,
    stop: &CancellationToken,
) -> anyhow::Result<Option<AbortOnDropHandle<()>>> {
    if !plan.reselects() {
        return Ok(None);
    }
    if settings.text("legacy.url").is_none() {
        out::note(
            "legacy.url is not set: rows that a mapping wants read again for a large value (unchanged = \
             \"reselect\") keep the target's value, or stay parked, until a consumer has it",
        );
        return Ok(None);
    }
    let backfill::Settings { limits, isolation, .. } = super::super::backfill::settings(settings)?;
    let job = backfill::reselect::Job {
        legacy: parts::legacy(settings)?,
        limits,
        isolation,
        target: Arc::clone(target),
        plan: Arc::clone(plan),
        cancel: stop.child_token(),
    };
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(backfill::reselect::run(job)))))
}
