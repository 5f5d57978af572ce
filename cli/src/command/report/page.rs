//! The HTML page of a stored report, with the trend of the runs of the same scope before it.

use std::{path::PathBuf, process::Stdio};

use reconcile::{Around, Report, ReportHash, TrendPoint, Verdict};
use target::report::{ReconcileRun, RunSummary, Shelf};

use super::{Age, report, spoken};
use crate::{exit::Exit, out};

/// Runs that are looked at for the trend; those of another scope or tier are left out.
const TREND_RUNS: i64 = 200;

/// The page.
pub(super) async fn html(
    shelf: &Shelf,
    (run, report): (&ReconcileRun, &Report),
    age: Age,
) -> anyhow::Result<String> {
    let runs = shelf.newest(TREND_RUNS).await?;
    let this = runs.iter().find(|one| one.id == run.id);
    let tier = this.map_or("full", |one| one.tier.as_str());
    let is_like =
        |one: &&RunSummary| one.id <= run.id && one.scope == run.scope && one.tier == tier;
    let mut trend: Vec<TrendPoint> = runs.iter().filter(is_like).map(point).collect();
    trend.reverse();
    let age_ms = this.and_then(|one| one.age_ms).filter(|age_ms| age.is_stale(Some(*age_ms)));
    let around = Around {
        number: Some(run.id),
        hashes: hash(run.hash.as_deref()).map(|own| (own, hash(run.prev_hash.as_deref()))),
        trend,
        stale: age_ms.map(spoken),
    };
    Ok(report.to_html(&around))
}

fn point(run: &RunSummary) -> TrendPoint {
    TrendPoint {
        number: run.id,
        at: time(run.started_at_ms),
        verdict: match run.state.as_str() {
            "equal" => Some(Verdict::Equal),
            "different" => Some(Verdict::Different),
            "undecided" => Some(Verdict::InFlight),
            _ => None,
        },
        different: run.different_rows,
        in_flight: run.in_flight_rows,
    }
}

pub(super) fn hash(bytes: Option<&[u8]>) -> Option<ReportHash> {
    bytes.and_then(|bytes| bytes.try_into().ok())
}

/// Writes the page into the folder for temporary files and shows it.
pub(super) async fn open(shelf: &Shelf, number: Option<i64>, age: Age) -> anyhow::Result<Exit> {
    let run = shelf.report(number).await?;
    let page = html(shelf, (&run, &report(&run)?), age).await?;
    let path = private_folder()?.join(format!("report-{}.html", run.id));
    out::file(&path, &page)?;
    out::line(path.display().to_string());
    for program in ["xdg-open", "open"] {
        let mut command = tokio::process::Command::new(program);
        command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.spawn().is_ok() {
            return Ok(Exit::Success);
        }
    }
    out::note("no browser was found here: open the file yourself");
    Ok(Exit::Success)
}

/// A folder that nobody else may look into: the page holds rows.
fn private_folder() -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let name = format!("ficus-{}", uuid::Uuid::now_v7().simple());
    let folder = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| anyhow::anyhow!("can't make the folder {}: {error}", folder.display()))?;
    Ok(folder)
}

/// RFC 3339 to the second, UTC.
pub(super) fn time(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
