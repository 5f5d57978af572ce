//! `ficus consume`.

use std::sync::Arc;

use cdc_consumer::{Progress, settings::LostOffsets, status::State};
use mapping::position::Lsn;
use tokio::sync::watch;

use crate::{
    args::ConsumeArgs,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Follows the stream until a signal, or until it has passed an LSN.
pub(crate) async fn run(args: &ConsumeArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    let target = parts::writing_target(settings, &plan).await?;
    let mut consumer = self::settings(settings)?;
    if let Some(text) = &args.until {
        consumer.until = Some(Lsn::parse(text).map_err(|error| usage(error.to_string()))?);
    }
    parts::learn_object_types(settings, &target).await?;
    let stop = parts::stop_on_signal()?;
    let (progress, watch) = watch::channel(Progress::default());
    let consuming = cdc_consumer::run(consumer, target, Arc::clone(&plan), progress, stop);
    // The story has no end of its own: it is told as long as the consumer runs.
    let (report, ()) = tokio::join!(consuming, tell_states(watch));
    let report = report?;
    out::line(summary(&plan, &report));
    Ok(Exit::Success)
}

/// Tells when the consumer begins to wait, and when it follows; ends with the consumer.
async fn tell_states(mut watch: watch::Receiver<Progress>) {
    let mut told = String::new();
    loop {
        let words = words(&watch.borrow_and_update());
        if words != told && !words.is_empty() {
            out::note(&words);
            told = words;
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
    consumer.allow_gaps = settings.text("kafka.offset_gaps").as_deref() == Some("allow");
    consumer.lost_offsets = match settings.text("kafka.lost_offsets").as_deref() {
        Some("accept") => LostOffsets::Accept,
        _ => LostOffsets::Stop,
    };
    Ok(consumer)
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
