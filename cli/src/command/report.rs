//! `ficus report`: what reconcile has said, and whether it still says it.

mod archive;
mod page;

use std::time::Duration;

use anyhow::Context;
use reconcile::{Report, Verdict};
use serde_json::json;
use target::{
    Role,
    report::{ReconcileRun, RunSummary, Shelf},
};

use crate::{
    args::{ReportCommand, ReportFiles, ReportShowArgs},
    exit::Exit,
    out, parts,
    settings::Settings,
};

/// Lists, shows, opens, exports, verifies.
pub(crate) async fn run(command: &ReportCommand, settings: &Settings) -> anyhow::Result<Exit> {
    match command {
        ReportCommand::List { limit, json } => {
            let age = Age::limit(settings);
            let runs = shelf(settings).await?.newest(*limit).await?;
            out::line(if *json { list_json(&runs, age)? } else { list(&runs, age) });
            Ok(Exit::Success)
        }
        ReportCommand::Show(args) => show(args, settings).await,
        ReportCommand::Open { number } => {
            let shelf = shelf(settings).await?;
            page::open(&shelf, *number, Age::limit(settings)).await
        }
        ReportCommand::Export { folder } => archive::export(&shelf(settings).await?, folder).await,
        ReportCommand::Verify { paths, head } if paths.is_empty() => {
            archive::verify_stored(&shelf(settings).await?, head.as_deref()).await
        }
        ReportCommand::Verify { paths, head } => archive::verify_files(paths, head.as_deref()),
    }
}

/// Reading is enough; where only the engine's login is set, that one.
async fn shelf(settings: &Settings) -> anyhow::Result<Shelf> {
    let role = match settings.text("target.reader_url") {
        None if settings.text("target.engine_url").is_some() => Role::Engine,
        _ => Role::Reader,
    };
    let login = parts::postgres(settings, role)?;
    let pool = target::connect(&target::Settings { max_connections: 2, ..login }).await?;
    Ok(Shelf::new(pool))
}

/// When a verdict is too old.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    max: Duration,
}

impl Age {
    /// The one rule for what is stale. A cutover asks for a younger verdict.
    pub(crate) fn limit(settings: &Settings) -> Self {
        Self { max: settings.milliseconds("reconcile.verdict_age_ms_max") }
    }

    pub(crate) fn is_stale(self, age_ms: Option<i64>) -> bool {
        let age = age_ms.and_then(|age| u64::try_from(age).ok()).unwrap_or(0);
        Duration::from_millis(age) > self.max
    }
}

/// `90061 s` as `1 d 1 h`.
pub(crate) fn spoken(age_ms: i64) -> String {
    let seconds = age_ms.max(0) / 1_000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn list(runs: &[RunSummary], age: Age) -> String {
    if runs.is_empty() {
        return "there is no report yet: ficus reconcile makes one".to_owned();
    }
    let row = |run: &RunSummary| {
        let stale = if age.is_stale(run.age_ms) { ", stale" } else { "" };
        vec![
            run.id.to_string(),
            page::time(run.started_at_ms),
            run.scope.clone(),
            run.tier.clone(),
            run.state.clone(),
            out::thousands(run.different_rows),
            out::thousands(run.in_flight_rows),
            run.lsn.map_or_else(|| "-".to_owned(), |lsn| lsn.to_string()),
            run.age_ms.map_or_else(|| "-".to_owned(), |age| spoken(age) + stale),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    let header =
        ["report", "began", "of", "tier", "verdict", "different", "undecided", "LSN", "age"];
    out::table(&header, &rows)
}

fn list_json(runs: &[RunSummary], age: Age) -> anyhow::Result<String> {
    let run = |run: &RunSummary| {
        json!({
            "report": run.id, "scope": run.scope, "tier": run.tier, "state": run.state,
            "lsn": run.lsn.map(|lsn| lsn.to_string()), "startedAt": page::time(run.started_at_ms),
            "finishedAt": run.finished_at_ms.map(page::time), "ageMs": run.age_ms,
            "stale": age.is_stale(run.age_ms), "different": run.different_rows,
            "inFlight": run.in_flight_rows,
        })
    };
    let runs: Vec<_> = runs.iter().map(run).collect();
    Ok(serde_json::to_string_pretty(&runs)?)
}

async fn show(args: &ReportShowArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let (shelf, age) = (shelf(settings).await?, Age::limit(settings));
    let run = shelf.report(args.number).await?;
    let report = report(&run)?;
    // Of a run that went on with another, the oldest reading counts.
    let resumed = report.resumed.as_ref().and_then(reconcile::Resumed::began_at_ms);
    let as_of_ms = resumed.or(run.finished_at_ms).unwrap_or(0);
    let age_ms = page::now_ms().saturating_sub(as_of_ms);
    let is_stale = age.is_stale(Some(age_ms));
    if args.json {
        out::line(report.to_json()?);
    } else {
        out::line(format!("report {}, {} old", run.id, spoken(age_ms)));
        out::line(report.to_text());
        if is_stale {
            let max = spoken(i64::try_from(age.max.as_millis()).unwrap_or(i64::MAX));
            out::line(format!(
                "STALE: the verdict is older than reconcile.verdict_age_ms_max ({max})"
            ));
        }
    }
    write(&shelf, run.id, &args.files, age).await?;
    Ok(match report.verdict {
        Verdict::Different => Exit::Different,
        Verdict::InFlight => Exit::Undecided,
        Verdict::Equal if is_stale => Exit::Undecided,
        Verdict::Equal => Exit::Success,
    })
}

/// What a stored run says.
fn report(run: &ReconcileRun) -> anyhow::Result<Report> {
    let number = run.id;
    let Some(body) = &run.body else {
        anyhow::bail!("report {number} is not finished: its run is {}", run.state);
    };
    if run.state == "failed" {
        let body: serde_json::Value = serde_json::from_str(body)?;
        let why = body.get("error").and_then(|why| why.as_str()).unwrap_or("no reason is known");
        anyhow::bail!("the run of report {number} failed, so there is no verdict: {why}");
    }
    serde_json::from_str(body).with_context(|| {
        format!("report {number} is none that this version can read (ficus report export keeps it)")
    })
}

/// Writes the files that were asked for.
pub(crate) async fn write(
    shelf: &Shelf,
    number: i64,
    files: &ReportFiles,
    age: Age,
) -> anyhow::Result<()> {
    if files.html.is_none() && files.csv.is_none() {
        return Ok(());
    }
    let run = shelf.report(Some(number)).await?;
    let report = report(&run)?;
    if let Some(path) = &files.html {
        out::file(path, &page::html(shelf, (&run, &report), age).await?)?;
    }
    if let Some(path) = &files.csv {
        out::file(path, &report.to_csv())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spoken() {
        for (ms, text) in [
            (-5, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_660_000, "1 h 1 min"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(spoken(ms), text);
        }
        let age = Age { max: Duration::from_hours(1) };
        assert!(!age.is_stale(Some(3_600_000)) && age.is_stale(Some(3_600_001)));
    }
}
