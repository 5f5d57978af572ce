//! `ficus backfill`.

pub(crate) mod bars;

use std::sync::Arc;

use mapping::plan::Plan;
use target::{
    Target,
    domain::{Decision, State},
};
use tokio_util::sync::CancellationToken;

use self::bars::Bars;
use crate::{args::BackfillArgs, exit::Exit, out, parts, settings::Settings};

/// Copies, and says how it went.
pub(crate) async fn run(args: &BackfillArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    let target = parts::writing_target(settings, &plan).await?;
    let stop = parts::stop_on_signal()?;
    let report = copy(args, settings, &target, &plan, stop.clone()).await?;
    out::line(summary(&report));
    if stop.is_cancelled() {
        out::note("stopped; the same command goes on where it was");
        return Ok(Exit::Interrupted);
    }
    advance_domains(&target, &plan, &args.names).await?;
    Ok(if report.is_complete() { Exit::Success } else { Exit::Error })
}

/// Copies with progress bars.
pub(crate) async fn copy(
    args: &BackfillArgs,
    settings: &Settings,
    target: &Arc<Target>,
    plan: &Arc<Plan>,
    stop: CancellationToken,
) -> anyhow::Result<backfill::Report> {
    let mut backfill = self::settings(settings)?;
    backfill.restart = args.restart;
    if let Some(readers) = args.parallel {
        backfill.readers = readers;
    }
    let bars = Arc::new(Bars::new());
    let progress: Arc<dyn backfill::Progress> = Arc::<Bars>::clone(&bars);
    let job = backfill::Job {
        settings: backfill,
        legacy: parts::legacy(settings)?,
        target: Arc::clone(target),
        plan: Arc::clone(plan),
        selection: backfill::Selection::named(plan, &args.names)?,
        progress,
        cancel: stop,
    };
    let report = backfill::run(job).await;
    bars.finish();
    Ok(report?)
}

/// What became of the rows, by table, and the tables that were given up.
fn summary(report: &backfill::Report) -> String {
    let rows: Vec<Vec<String>> = report
        .tables
        .iter()
        .map(|t| super::status::counts_row(t.table.to_string(), "backfill".to_owned(), &t.counts))
        .collect();
    let mut text = out::table(super::status::COUNTS_HEADER, &rows);
    for table in &report.tables {
        if let Some(failure) = &table.failure {
            text.push_str(&format!("  {} was given up: {failure}\n", table.table));
        }
    }
    for warning in &report.warnings {
        text.push_str(&format!("  note: {warning}\n"));
    }
    text.push_str(&format!(
        "  {} rows in {:.1} s ({} rows/s), {} in quarantine",
        out::thousands(report.rows_read()),
        report.elapsed.as_secs_f64(),
        out::rate(report.rows_read(), report.elapsed),
        out::thousands(report.rows_quarantined())
    ));
    text
}

/// The backfill's settings.
pub(crate) fn settings(settings: &Settings) -> anyhow::Result<backfill::Settings> {
    Ok(backfill::Settings {
        readers: u16::try_from(settings.number("backfill.readers"))?,
        chunk_rows: settings.number("backfill.chunk_rows"),
        batch_rows_max: usize::try_from(settings.number("backfill.batch_rows"))?,
        ..backfill::Settings::default()
    })
}

/// A domain whose tables are copied is followed from now on.
pub(crate) async fn advance_domains(
    target: &Target,
    plan: &Plan,
    names: &[String],
) -> anyhow::Result<()> {
    let chosen = |domain: &&str| names.is_empty() || names.iter().any(|name| name == domain);
    let actor = super::quarantine::actor();
    let decision = Decision { actor: &actor, reason: "ficus backfill" };
    for domain in plan.domains().into_iter().filter(chosen) {
        let state = target.domain_state(domain).await?;
        if matches!(state, State::Legacy | State::RolledBack) {
            target.transition(domain, state, State::Backfilling, decision).await?;
        }
        if matches!(state, State::Legacy | State::RolledBack | State::Backfilling) {
            target.transition(domain, State::Backfilling, State::Following, decision).await?;
        }
    }
    Ok(())
}
