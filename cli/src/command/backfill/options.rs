//! How a backfill runs: the settings, and what the command line says instead.

use std::time::Duration;

use backfill::{Busy, Window};
use legacy::Limits;

use crate::{args::BackfillArgs, exit::usage, settings::Settings};

/// The settings alone.
pub(crate) fn settings(settings: &Settings) -> anyhow::Result<backfill::Settings> {
    let usual = backfill::Settings::default();
    let answer = settings.milliseconds("backfill.timeout_ms");
    Ok(backfill::Settings {
        readers: u16::try_from(settings.number("backfill.readers"))?,
        chunk_rows: settings.number("backfill.chunk_rows"),
        batch_rows_max: usize::try_from(settings.number("backfill.batch_rows"))?,
        limits: Limits { answer, stall: usual.limits.stall.min(answer), ..usual.limits },
        quarantine_in_a_row_max: settings.number("backfill.quarantine_in_a_row_max"),
        rows_per_second: Some(settings.number("backfill.rows_per_second")).filter(|rate| *rate > 0),
        statement: settings.milliseconds("backfill.statement_ms"),
        window: settings
            .text("backfill.between")
            .map(|text| window("backfill.between", &text))
            .transpose()?,
        busy: settings
            .text("backfill.busy_query")
            .filter(|query| !query.trim().is_empty())
            .map(|query| Busy { query, pause: busy_pause(settings) }),
        ..usual
    })
}

/// The settings, with the command line's words.
pub(super) fn of(args: &BackfillArgs, settings: &Settings) -> anyhow::Result<backfill::Settings> {
    let mut options = self::settings(settings)?;
    options.restart = args.restart;
    if let Some(readers) = args.parallel {
        options.readers = readers;
    }
    if let Some(rate) = args.rows_per_second {
        options.rows_per_second = Some(rate);
    }
    if let Some(text) = &args.between {
        options.window = Some(window("--between", text)?);
    }
    Ok(options)
}

fn window(key: &str, text: &str) -> anyhow::Result<Window> {
    text.parse().map_err(|why: &str| usage(format!("`{key}` is \"{text}\": {why}")))
}

fn busy_pause(settings: &Settings) -> Duration {
    settings.milliseconds("backfill.busy_wait_ms")
}
