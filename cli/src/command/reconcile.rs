//! `ficus reconcile`.

mod repair;

use std::{sync::Arc, time::Duration};

use mapping::plan::Plan;
use reconcile::{Compared, Start, Tier, Verdict, paranoid::Rules};
use target::{
    Target,
    domain::{Decision, State},
    report::Shelf,
};
use tokio_util::sync::CancellationToken;

use crate::{args::ReconcileArgs, exit::Exit, out, parts, settings::Settings};

/// Rows of each entity that `--paranoid` checks, about.
const PARANOID_ROWS: u64 = 20_000;

/// Compares and prints the verdict; its exit code is the verdict.
pub(crate) async fn run(args: &ReconcileArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    // Its own error can't tell which names there are.
    drop(backfill::Selection::named(&plan, &args.names)?);
    let target = match args.repair {
        Some(_) => parts::writing_target(settings, &plan).await?,
        None => parts::target(settings, &plan).await?,
    };
    let comparison = Comparison {
        settings,
        target,
        plan,
        limits: limits(args, settings)?,
        stop: parts::stop_on_signal()?,
    };
    let compared = Box::pin(comparison.compare(&args.names)).await?;
    match args.repair {
        Some(mode) => Box::pin(repair::run(&comparison, (args, mode), compared)).await,
        None => {
            out::line(shown(&compared.report, args.json)?);
            write(&comparison, args, &compared).await?;
            Ok(exit(&compared.report))
        }
    }
}

/// Writes the files that were asked for.
async fn write(
    comparison: &Comparison<'_>,
    args: &ReconcileArgs,
    compared: &Compared,
) -> anyhow::Result<()> {
    let shelf = Shelf::new(comparison.target.pool().clone());
    let age = super::report::Age::limit(comparison.settings);
    super::report::write(&shelf, compared.number, &args.files, age).await
}

fn shown(report: &reconcile::Report, json: bool) -> anyhow::Result<String> {
    Ok(if json { report.to_json()? } else { report.to_text() })
}

fn limits(args: &ReconcileArgs, settings: &Settings) -> anyhow::Result<reconcile::Settings> {
    let mut limits = usual_limits(settings)?;
    if let Some(seconds) = args.patience {
        limits.patience = Duration::from_secs(seconds);
    }
    limits.rows_per_second = args.rows_per_second.or(limits.rows_per_second);
    limits.sample = args.sample;
    if args.quick {
        limits.quick = Some(Arc::new(Rules::read(&parts::mapping_files(settings)?)));
    }
    limits.start = match (args.resume, args.since) {
        (true, _) => Start::Resume,
        (false, true) => Start::Since,
        (false, false) => Start::Anew,
    };
    if args.paranoid {
        limits.independent = independent(settings, PARANOID_ROWS)?;
    }
    Ok(limits)
}

fn independent(settings: &Settings, rows: u64) -> anyhow::Result<Option<(Arc<Rules>, u64)>> {
    let files = parts::mapping_files(settings)?;
    Ok((rows > 0).then(|| (Arc::new(Rules::read(&files)), rows)))
}

/// The limits that the configuration sets.
pub(crate) fn usual_limits(settings: &Settings) -> anyhow::Result<reconcile::Settings> {
    let mut limits = reconcile::Settings::usual();
    limits.patience = settings.milliseconds("reconcile.patience_ms");
    limits.independent = independent(settings, settings.number("reconcile.independent_rows"))?;
    limits.rows_per_second =
        Some(settings.number("reconcile.rows_per_second")).filter(|rows| *rows > 0);
    limits.readers_max = usize::try_from(settings.number("reconcile.readers")).unwrap_or(1);
    Ok(limits)
}

/// Runs a comparison and records what it says of the domains.
pub(crate) async fn compare(
    settings: &Settings,
    target: &Arc<Target>,
    plan: &Arc<Plan>,
    names: &[String],
    stop: CancellationToken,
) -> anyhow::Result<reconcile::Report> {
    let (target, plan) = (Arc::clone(target), Arc::clone(plan));
    let limits = usual_limits(settings)?;
    let comparison = Comparison { settings, target, plan, limits, stop };
    Ok(Box::pin(comparison.compare(names)).await?.report)
}

/// Everything that a comparison needs but for what is compared.
pub(crate) struct Comparison<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) target: Arc<Target>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) limits: reconcile::Settings,
    pub(crate) stop: CancellationToken,
}

impl Comparison<'_> {
    /// Compares, and records what comes of it.
    pub(crate) async fn compare(&self, names: &[String]) -> anyhow::Result<Compared> {
        let selection = reconcile::Selection { names: names.to_vec() };
        let (to, by) = (Arc::clone(&self.target), Arc::clone(&self.plan));
        let (source, watch) = (self.source()?, self.watch());
        let compared =
            reconcile::compare(&self.limits, &source, to, by, &selection, &watch).await?;
        record(&self.target, &compared.report).await?;
        Ok(compared)
    }

    fn source(&self) -> anyhow::Result<reconcile::Source> {
        Ok(reconcile::Source {
            reader: parts::legacy(self.settings)?,
            marker: Some(parts::marker(self.settings)?),
        })
    }

    fn watch(&self) -> reconcile::Watch {
        reconcile::Watch { stop: self.stop.clone(), ..reconcile::Watch::nobody() }
    }
}

/// A domain that is followed and equal is verified; a verified one that differs is not any more.
async fn record(target: &Target, report: &reconcile::Report) -> anyhow::Result<()> {
    let actor = super::quarantine::actor();
    let reason = format!("ficus reconcile, run {}", report.run);
    let decision = Decision { actor: &actor, reason: &reason };
    for domain in report.domains.iter().filter(|domain| domain.whole) {
        let (from, to) = match domain.verdict {
            // Some rows that agree verify nothing; one that differs is enough for the contrary.
            Verdict::Equal if report.tier != Tier::Full => continue,
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
    verdict_exit(report.verdict)
}

pub(crate) fn verdict_exit(verdict: Verdict) -> Exit {
    match reconcile::Exit::from(verdict) {
        reconcile::Exit::Equal => Exit::Success,
        reconcile::Exit::Different => Exit::Different,
        reconcile::Exit::Undecided => Exit::Undecided,
        reconcile::Exit::Error => Exit::Error,
    }
}
