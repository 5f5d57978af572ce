//! `ficus reconcile`.

use std::sync::Arc;

use mapping::plan::Plan;
use reconcile::Verdict;
use target::{
    Target,
    domain::{Decision, State},
};
use tokio_util::sync::CancellationToken;

use crate::{args::ReconcileArgs, exit::Exit, out, parts, settings::Settings};

/// Compares and prints the verdict; its exit code is the verdict.
pub(crate) async fn run(args: &ReconcileArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    // Its own error can't tell which names there are.
    drop(backfill::Selection::named(&plan, &args.names)?);
    let target = parts::target(settings, &plan).await?;
    let stop = parts::stop_on_signal()?;
    let report = compare(settings, &target, &plan, &args.names, stop).await?;
    out::line(if args.json { report.to_json()? } else { report.to_text() });
    Ok(exit(&report))
}

/// Runs a comparison and records what it says of the domains.
pub(crate) async fn compare(
    settings: &Settings,
    target: &Arc<Target>,
    plan: &Arc<Plan>,
    names: &[String],
    stop: CancellationToken,
) -> anyhow::Result<reconcile::Report> {
    let source = reconcile::Source {
        reader: parts::legacy(settings)?,
        marker: Some(parts::marker(settings)?),
    };
    let mut limits = reconcile::Settings::usual();
    limits.patience = settings.milliseconds("reconcile.patience_ms");
    let selection = reconcile::Selection { names: names.to_vec() };
    let watch = reconcile::Watch { stop, ..reconcile::Watch::nobody() };
    let (to, by) = (Arc::clone(target), Arc::clone(plan));
    let report = reconcile::run(&limits, &source, to, by, &selection, &watch).await?;
    record(target, &report).await?;
    Ok(report)
}

/// A domain that is followed and equal is verified; a verified one that differs is not any more.
async fn record(target: &Target, report: &reconcile::Report) -> anyhow::Result<()> {
    let actor = super::quarantine::actor();
    let reason = format!("ficus reconcile, run {}", report.run);
    let decision = Decision { actor: &actor, reason: &reason };
    for domain in report.domains.iter().filter(|domain| domain.whole) {
        let (from, to) = match domain.verdict {
            Verdict::Equal => (State::Following, State::Verified),
            Verdict::Different => (State::Verified, State::Following),
            Verdict::InFlight => continue,
        };
        if target.domain_state(&domain.domain).await? == from {
            target.transition(&domain.domain, from, to, decision).await?;
        }
    }
    Ok(())
}

/// The verdict as an exit code.
pub(crate) fn exit(report: &reconcile::Report) -> Exit {
    match report.exit() {
        reconcile::Exit::Equal => Exit::Success,
        reconcile::Exit::Different => Exit::Different,
        reconcile::Exit::Undecided => Exit::Undecided,
        reconcile::Exit::Error => Exit::Error,
    }
}
