//! `ficus backfill`.

pub(crate) mod bars;
mod grants;
mod indexes;
mod json;
mod lines;
mod meter;
mod options;

use std::{io::Read as _, path::Path, sync::Arc};

use backfill::{KeyList, Progress, Scope, Selection};
use mapping::plan::Plan;
use target::{
    Role, Target,
    domain::{Decision, State},
    hold,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::options::settings;
use self::{bars::Bars, json::Lines as Json, lines::Lines};
use crate::{
    args::{BackfillAction, BackfillArgs},
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Copies, and says how it went.
pub(crate) async fn run(args: &BackfillArgs, settings: &Settings) -> anyhow::Result<Exit> {
    if let Some(action) = &args.action {
        return decide(action, settings).await;
    }
    // What is wrong with the command line is told before anything is connected to.
    options::of(args, settings)?;
    if args.grants {
        out::line(grants::script(args, settings).await?.trim_end());
        return Ok(Exit::Success);
    }
    let plan = parts::plan(settings).await?;
    let target = parts::writing_target(settings, &plan).await?;
    let stop = parts::stop_on_signal()?;
    if args.defer_indexes {
        indexes::defer(args, settings, &target).await?;
    }
    let report = copy(args, settings, &target, &plan, stop.clone()).await?;
    if args.json {
        out::line(json::report(&report).to_string());
    } else {
        out::line(summary(&report));
    }
    if stop.is_cancelled() && report.cancelled {
        out::note(interrupted(args, &report));
        return Ok(Exit::Interrupted);
    }
    if !report.is_complete() {
        return Ok(Exit::Error);
    }
    indexes::build(args, settings, &target).await?;
    if report.tables.iter().any(|table| !table.keys_missing.is_empty()) {
        return Ok(Exit::Different);
    }
    if args.only_keys.is_none() && args.condition.is_none() {
        advance_domains(&target, &plan, &args.names).await?;
    }
    Ok(Exit::Success)
}

/// Pauses or resumes, which needs nothing but Postgres.
async fn decide(action: &BackfillAction, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = target::connect(&parts::postgres(settings, Role::Engine)?).await?;
    let actor = super::quarantine::actor();
    let told = match action {
        BackfillAction::Pause { reason } => {
            let reason = reason.as_deref().unwrap_or("ficus backfill pause");
            match hold::pause_backfills(&pool, Decision { actor: &actor, reason }).await? {
                true => "backfills are paused: whoever copies stops reading within a second",
                false => "backfills were paused already; `ficus status` says by whom",
            }
        }
        BackfillAction::Resume { reason } => {
            let reason = reason.as_deref().unwrap_or("ficus backfill resume");
            match hold::resume_backfills(&pool, Decision { actor: &actor, reason }).await? {
                true => "backfills go on",
                false => "backfills were not paused",
            }
        }
    };
    out::line(told);
    Ok(Exit::Success)
}

/// Copies, and tells how it goes.
pub(crate) async fn copy(
    args: &BackfillArgs,
    settings: &Settings,
    target: &Arc<Target>,
    plan: &Arc<Plan>,
    stop: CancellationToken,
) -> anyhow::Result<backfill::Report> {
    let (selection, scope) = wanted(args, plan)?;
    let bars = (!args.json && out::is_watched()).then(|| Arc::new(Bars::new()));
    let progress: Arc<dyn Progress> = match &bars {
        Some(bars) => Arc::<Bars>::clone(bars),
        None if args.json => Arc::new(Json::default()),
        None => Arc::new(Lines::default()),
    };
    let job = backfill::Job {
        settings: options::of(args, settings)?,
        legacy: parts::legacy(settings)?,
        target: Arc::clone(target),
        plan: Arc::clone(plan),
        selection,
        scope,
        progress,
        cancel: stop,
    };
    let report = backfill::run(job).await;
    if let Some(bars) = bars {
        bars.finish();
    }
    Ok(report?)
}

/// What is copied, and how much of it.
fn wanted(args: &BackfillArgs, plan: &Plan) -> anyhow::Result<(Selection, Scope)> {
    let one = || match args.names.as_slice() {
        [name] => Ok(name.as_str()),
        _ => Err(usage("a part is copied of one table or entity: name one")),
    };
    if let Some(condition) = &args.condition {
        let condition = legacy::Condition::new(condition.as_str())
            .ok_or_else(|| usage("--where needs a condition, such as \"[Amount] > 0\""))?;
        return Ok((Selection::of_table(plan, one()?)?, Scope::Where(condition)));
    }
    if let Some(path) = &args.only_keys {
        let name = one()?;
        // All tables of an entity have its key.
        let selection = match plan.entity(name) {
            Some(_) => Selection::of_entity(plan, name)?,
            None => Selection::of_table(plan, name)?,
        };
        let keys = KeyList::parse(plan, &selection, &read(path)?)?;
        if keys.is_empty() {
            return Err(usage(format!("{} has no keys: write one a line", path.display())));
        }
        return Ok((selection, Scope::Keys(keys)));
    }
    Ok((Selection::named(plan, &args.names)?, Scope::Whole))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| usage(format!("can't read the keys in {}: {error}", path.display())))?;
    Ok(text)
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
        if !table.keys_missing.is_empty() {
            let shown = table.keys_missing.iter().take(20).map(ToString::to_string);
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = if table.keys_missing.len() > 20 { ", …" } else { "" };
            text.push_str(&format!(
                "  {} has no row for {} keys, in lines {shown}{more}\n",
                table.table,
                out::thousands(u64::try_from(table.keys_missing.len()).unwrap_or(u64::MAX)),
            ));
        }
    }
    for warning in &report.warnings {
        text.push_str(&format!("  note: {warning}\n"));
    }
    let retries: u64 = report.tables.iter().map(|table| table.retries).sum();
    let retries = if retries > 0 { format!(", {retries} retries") } else { String::new() };
    text.push_str(&format!(
        "  {} rows in {:.1} s ({} rows/s), {} in quarantine{retries}",
        out::thousands(report.rows_read()),
        report.elapsed.as_secs_f64(),
        out::rate(report.rows_read(), report.elapsed),
        out::thousands(report.rows_quarantined())
    ));
    text
}

/// How to go on after Ctrl-C.
fn interrupted(args: &BackfillArgs, report: &backfill::Report) -> String {
    let sum = |of: fn(&backfill::TableReport) -> u64| report.tables.iter().map(of).sum::<u64>();
    let (done, total) = (sum(|table| table.chunks_done), sum(|table| table.chunks_total));
    let what = if args.only_keys.is_some() {
        "run it again with the same file; what is copied stays"
    } else if args.restart {
        "the same command without --restart goes on where it was"
    } else {
        "the same command goes on where it was"
    };
    format!("stopped with {done} of {total} chunks done: {what}")
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
