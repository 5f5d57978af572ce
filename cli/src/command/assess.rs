//! `ficus assess`.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use assess::{
    Event, Job, Progress,
    assessment::{Assessment, Severity},
    report,
};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use mapping::probe::WallClock;

use crate::{
    args::AssessArgs,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Assesses, and reports in every way that was asked for.
pub(crate) async fn run(args: &AssessArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let job = Job {
        legacy: parts::legacy(settings)?,
        tables: args.tables.clone(),
        sample: args.sample,
        rows_per_second: args.rows_per_second,
        clock: args.zone.as_deref().map(clock).transpose()?,
    };
    for (flag, file) in [("--html", &args.html), ("--save-catalog", &args.save_catalog)] {
        if file.as_ref().is_some_and(|file| is_standard_output(file)) {
            return Err(usage(format!("{flag} needs a file; only --json goes to standard output")));
        }
    }
    let json = args.json.as_ref().filter(|file| !is_standard_output(file));
    // Before hours of reading, not after.
    for file in [json, args.html.as_ref(), args.save_catalog.as_ref()].into_iter().flatten() {
        check_writable(file)?;
    }
    let stop = parts::stop_on_signal()?;
    let progress = Line::new();
    let outcome = assess::run(&job, &progress, &stop).await;
    progress.finish();
    let assessment = outcome?;
    if let Some(file) = json {
        out::file(file, &as_json(&assessment)?)?;
    }
    if let Some(file) = &args.html {
        out::file(file, &report::html(&assessment))?;
    }
    if let Some(file) = &args.save_catalog {
        super::catalog::write(file, &assessment.catalog)?;
    }
    if args.json.as_ref().is_some_and(|file| is_standard_output(file)) {
        out::line(as_json(&assessment)?.trim_end());
    } else {
        out::line(report::text(&assessment, out::width()).trim_end());
    }
    Ok(exit(&assessment, stop.is_cancelled()))
}

fn is_standard_output(file: &Path) -> bool {
    file == Path::new("-")
}

fn as_json(assessment: &Assessment) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(assessment)?;
    text.push('\n');
    Ok(text)
}

fn clock(zone: &str) -> anyhow::Result<WallClock> {
    WallClock::named(zone).map_err(|near| {
        let help = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        usage(format!("--zone: `{zone}` is no time zone{help}"))
    })
}

/// Says now whether a file can be written, without touching what is in it.
fn check_writable(file: &PathBuf) -> anyhow::Result<()> {
    let is_there = file.exists();
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .map_err(|error| usage(format!("can't write {}: {error}", file.display())))?;
    if !is_there {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

fn exit(assessment: &Assessment, is_stopped: bool) -> Exit {
    let mut hazards = assessment.tables.iter().flat_map(|table| &table.hazards);
    let is_blocked = hazards.any(|hazard| hazard.severity == Severity::Blocking);
    match (&assessment.reading.stopped, is_stopped, is_blocked) {
        (Some(_), true, _) => Exit::Interrupted,
        (Some(reason), false, _) => {
            out::note(format!("ficus: the reading ended before its time: {reason}"));
            Exit::Error
        }
        (None, _, true) => Exit::Different,
        (None, _, false) => Exit::Success,
    }
}

/// One line that says where the reading is: a bar for the table where a person watches, a line
/// for each table elsewhere.
struct Line {
    bar: Option<ProgressBar>,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    tables: usize,
    done: usize,
    rows: u64,
}

impl Line {
    fn new() -> Self {
        let bar = out::is_watched().then(|| ProgressBar::new(0));
        if let Some(bar) = &bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, shown: Mutex::default() }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Says a line without breaking the bar.
    fn say(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.suspend(|| out::note(text)),
            None => out::note(text),
        }
    }

    fn start(&self, table: &str, rows_estimate: Option<u64>, shown: &Shown) {
        let Some(bar) = &self.bar else { return };
        let template = match rows_estimate {
            Some(_) => "  {prefix} {bar:24} {human_pos:>10} of about {human_len} rows {rate:>14}",
            None => "  {prefix} {spinner} {human_pos:>10} rows {rate:>14}",
        };
        bar.reset();
        bar.set_length(rows_estimate.unwrap_or(0));
        bar.set_prefix(format!("{:>3} of {} {table}", shown.done + 1, shown.tables));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", rate));
        }
    }
}

/// Rows a second, without the fraction that indicatif would show.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // A bar that can't be drawn is no reason to stop.
    let _written = write!(out, "{:.0} rows/s", state.per_sec()).is_ok();
}

impl Progress for Line {
    fn event(&self, event: Event<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planned { tables } => shown.tables = tables,
            Event::Started { table, rows_estimate } => {
                shown.rows = 0;
                self.start(&table.to_string(), rows_estimate, &shown);
            }
            Event::Looked { rows, .. } => {
                shown.rows += rows;
                if let Some(bar) = &self.bar {
                    bar.inc(rows);
                }
            }
            Event::Done { table } => {
                shown.done += 1;
                if self.bar.is_none() {
                    let rows = out::thousands(shown.rows);
                    self.say(format!("{} of {}: {table}, {rows} rows", shown.done, shown.tables));
                }
            }
            Event::Again { table, reason } => {
                self.say(format!("{table} is read again from its beginning: {reason}"));
            }
            Event::Failed { table, reason } => {
                shown.done += 1;
                self.say(format!("{table} could not be read: {reason}"));
            }
            _ => {}
        }
    }
}
