//! Memory of a copy and of comparisons, each a process of its own, for two sizes of one table: what
//! grows with the rows shows. The legacy rows, of which the simulated server holds all in memory,
//! are in this process.

mod child;

use anyhow::ensure;
use reconcile::Verdict;
use sqlx::AssertSqlSafe;

use crate::{
    args::Args,
    data,
    figure::{Figure, real, thousands},
    place::{LegacySide, Place, Spot},
    verdict,
};

use child::{Done, Work};
pub(crate) use child::{Task, work};

const TABLE: &str = "InvoiceLine";
const ENTITY: &str = "invoice_lines";
/// PERFORMANCE's most for a comparison, however many rows there are.
const PEAK_MAX: u64 = 256 << 20;
/// The smaller size is this part of the other.
const SMALLER: u64 = 10;
/// Rows that are changed in the target, and rows that are taken out of it.
const CHANGED: u64 = 96;
const MISSING: u64 = 4;

pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for rows in [args.rows() / SMALLER, args.rows()] {
        figures.extend(one(place, args, rows).await?);
    }
    Ok(figures)
}

/// Copies so many rows, and compares them: as they are, with some that differ, and by what has
/// changed since.
async fn one(place: &Place, args: &Args, rows: u64) -> anyhow::Result<Vec<Figure>> {
    let side = LegacySide::start(place, TABLE, (0..rows).map(data::invoice_line)).await?;
    let spot = place.spot().await?;
    let work = Work { database: place.url(&spot), address: side.address(), tls: args.tls };
    let mut figures = Vec::new();
    let done = work.start(Task::Copy).await?;
    ensure!(done.rows == rows, "{} of {rows} rows were copied", done.rows);
    figures.push(figure("copied", &done, None));
    sqlx::query("vacuum analyze").execute(&spot.admin).await?;
    for (task, what) in [
        (Task::Compare, "compared, equal on both sides"),
        (Task::CompareSince, "compared again with nothing changed (--since)"),
    ] {
        let done = compare(&work, (&spot, &side), (task, rows, 0)).await?;
        figures.push(figure(what, &done, Some(PEAK_MAX)));
    }
    let differ = plant(&spot, rows).await?;
    let done = compare(&work, (&spot, &side), (Task::Compare, rows, differ)).await?;
    figures.push(figure(
        &format!("compared, {differ} scattered rows differ"),
        &done,
        Some(PEAK_MAX),
    ));
    place.leave(spot).await?;
    side.stop().await;
    Ok(figures)
}

fn figure(what: &str, done: &Done, peak_max: Option<u64>) -> Figure {
    let name = format!("{TABLE}, {} rows {what}", thousands(real(done.rows)));
    let mut figure = Figure::new("memory", name, "rows").process_peak(done.peak, peak_max);
    figure.add_rate(done.per_second());
    figure
}

async fn compare(
    work: &Work,
    (spot, side): (&Spot, &LegacySide),
    (task, rows, differ): (Task, u64, u64),
) -> anyhow::Result<Done> {
    let done = tokio::select! {
        done = work.start(task) => done?,
        ended = verdict::pass_all(spot, side) => match ended? {},
    };
    let expected = if differ == 0 { Verdict::Equal } else { Verdict::Different };
    ensure!(done.verdict == Some(expected), "the verdict is {:?}", done.verdict);
    ensure!(done.different == differ, "{} of {differ} rows that differ were found", done.different);
    ensure!(done.rows == rows, "{} of {rows} rows were compared", done.rows);
    Ok(done)
}

/// Makes rows differ all over the target's table; how many.
async fn plant(spot: &Spot, rows: u64) -> anyhow::Result<u64> {
    // Several times as many as are wanted, so that there are enough whatever is drawn.
    let percent = real(CHANGED + MISSING) * 500.0 / real(rows);
    let drawn = format!(
        "select id from {ENTITY} tablesample bernoulli ({}) where line_no > 0 order by random()",
        percent.min(100.0)
    );
    // No line has a number below 1, so what was changed is not taken out.
    let change =
        format!("update {ENTITY} set line_no = -line_no where id in ({drawn} limit {CHANGED})");
    let remove = format!("delete from {ENTITY} where id in ({drawn} limit {MISSING})");
    for (sql, wanted) in [(change, CHANGED), (remove, MISSING)] {
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&spot.admin).await?;
        ensure!(done.rows_affected() == wanted, "{} rows were planted", done.rows_affected());
    }
    Ok(CHANGED + MISSING)
}
