//! `ficus consume`.

mod capture;
mod metrics;
mod reselect;

use std::{collections::BTreeMap, sync::Arc};

use cdc_consumer::{
    Progress,
    settings::LostOffsets,
    status::{Ended, State},
};
use mapping::position::Lsn;
use target::follow::TableState;
use tokio::sync::watch;

use crate::{
    args::ConsumeArgs,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Follows the stream until a signal, or until it has passed an LSN.
pub(crate) async fn run(args: &ConsumeArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let mut consumer = self::settings(settings)?;
    consumer.atomic |= args.atomic;
    let plan = parts::plan(settings).await?;
    check_tables(&consumer, &plan)?;
    let target = parts::writing_target(settings, &plan).await?;
    if let Some(text) = &args.until {
        consumer.until = Some(Lsn::parse(text).map_err(|error| usage(error.to_string()))?);
    }
    parts::learn_object_types(settings, &target).await?;
    let stop = parts::stop_on_signal()?;
    let asking = capture::ask(settings, stop.clone()).await?;
    consumer.capture = asking.as_ref().map(|asking| asking.answers.clone());
    let _reselecting = reselect::start(settings, &plan, &target, &stop)?;
    let (progress, watch) = watch::channel(Progress::default());
    if let Some(address) = args.metrics {
        let source = metrics::Source {
            plan: Arc::clone(&plan),
            target: Arc::clone(&target),
            group: consumer.group.clone(),
            progress: watch.clone(),
        };
        let page = move || source.clone().page();
        super::metrics::serve(address, page, stop.child_token()).await?;
    }
    let consuming = cdc_consumer::run(consumer, target, Arc::clone(&plan), progress, stop);
    // The story has no end of its own: it is told as long as the consumer runs.
    let (report, ()) = tokio::join!(consuming, tell_states(watch));
    let report = report?;
    out::line(summary(&plan, &report));
    let held = &report.progress.held;
    if report.ended == Ended::ReachedLsn && !held.is_empty() {
        out::note(format!("not everything is there: {} tables wait", held.len()));
        return Ok(Exit::Different);
    }
    Ok(Exit::Success)
}

/// Tells when the consumer begins to wait, when it follows, and which tables wait; ends with the
/// consumer.
async fn tell_states(mut watch: watch::Receiver<Progress>) {
    let mut told = String::new();
    let mut held = BTreeMap::new();
    loop {
        let now = watch.borrow_and_update().clone();
        let words = words(&now);
        if words != told && !words.is_empty() {
            out::note(&words);
            told = words;
        }
        if now.held != held {
            for state in now.held.iter().filter(|(id, state)| held.get(*id) != Some(*state)) {
                let TableState { table, state, detail, remedy, .. } = state.1;
                out::note(format!("{table} is {state}: {detail}\n  {remedy}"));
            }
            for state in held.iter().filter(|(id, _)| !now.held.contains_key(*id)) {
                out::note(format!("{} goes on", state.1.table));
            }
            held = now.held;
        }
        if watch.changed().await.is_err() {
            return;
        }
    }
}

fn words(progress: &Progress) -> String {
    match progress.state {
        State::Joining => match &progress.waiting_for {
            None => "joining the consumer group".to_owned(),
            Some(why) => format!("joining the consumer group: {why}"),
        },
        State::Following => format!(
            "following {} partitions until Ctrl-C; `ficus status` tells how far",
            progress.partitions.len()
        ),
        State::Waiting => {
            let why = progress.waiting_for.as_deref().unwrap_or("Kafka or Postgres is away");
            format!("waiting: {why}")
        }
        State::Stopped => String::new(),
    }
}

/// The consumer's settings.
pub(crate) fn settings(settings: &Settings) -> anyhow::Result<cdc_consumer::Settings> {
    let mut consumer = cdc_consumer::Settings::new(
        &settings.needed("kafka.bootstrap")?,
        &settings.needed("kafka.group")?,
        &settings.needed("kafka.topic_prefix")?,
    );
    consumer.modes = modes(settings)?;
    consumer.batch_rows_max = usize::try_from(settings.number("consume.batch_rows_max"))?;
    consumer.batch_bytes_max = usize::try_from(settings.number("consume.batch_bytes_max"))?;
    consumer.batch_idle_ms_max = settings.number("consume.batch_age_ms_max");
    consumer.batch_age_ms_max = consumer.batch_age_ms_max.max(consumer.batch_idle_ms_max);
    consumer.instance = settings.text("kafka.instance");
    consumer.session_timeout_ms = settings.number("kafka.session_timeout_ms");
    consumer.drift = drift(settings)?;
    consumer.atomic = settings.text("consume.atomic").as_deref() == Some("yes");
    consumer.atomic_bytes_max = usize::try_from(settings.number("consume.atomic_bytes_max"))?;
    consumer.quarantine_in_a_row_max = settings.number("consume.quarantine_in_a_row_max");
    consumer.allow_gaps = settings.text("kafka.offset_gaps").as_deref() == Some("allow");
    consumer.lost_offsets = match settings.text("kafka.lost_offsets").as_deref() {
        Some("accept") => LostOffsets::Accept,
        _ => LostOffsets::Stop,
    };
    Ok(consumer)
}

/// What columns that surprise lead to.
pub(crate) fn drift(settings: &Settings) -> anyhow::Result<cdc_consumer::settings::DriftPolicies> {
    let text = settings.text("consume.drift").unwrap_or_default();
    text.parse().map_err(|error| usage(format!("consume.drift: {error}")))
}

/// A misspelt table would get no policy, silently.
fn check_tables(
    consumer: &cdc_consumer::Settings,
    plan: &mapping::plan::Plan,
) -> anyhow::Result<()> {
    for name in consumer.drift.tables() {
        let known = plan.tables.iter().any(|t| t.table.to_string().eq_ignore_ascii_case(name));
        if !known {
            return Err(usage(format!("consume.drift: no mapping file names a table `{name}`")));
        }
    }
    Ok(())
}

/// How the connector writes values.
pub(crate) fn modes(settings: &Settings) -> anyhow::Result<cdc_consumer::Modes> {
    let mode = |key: &str| settings.text(key).unwrap_or_default();
    Ok(cdc_consumer::Modes {
        decimal: mode("kafka.decimal_mode").parse()?,
        time: mode("kafka.time_mode").parse()?,
        binary: mode("kafka.binary_mode").parse()?,
        ..cdc_consumer::Modes::default()
    })
}

/// What became of the events, by table.
fn summary(plan: &mapping::plan::Plan, report: &cdc_consumer::Report) -> String {
    let name = |id| plan.tables.iter().find(|table| table.id == id);
    let rows: Vec<Vec<String>> = report
        .progress
        .tables
        .iter()
        .filter_map(|(id, counts)| {
            let table = name(*id)?.table.to_string();
            Some(super::status::counts_row(table, String::new(), counts))
        })
        .collect();
    out::table(super::status::COUNTS_HEADER, &rows)
}
