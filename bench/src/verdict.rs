//! Reconcile: the verdict on a contract table that is equal on both sides, and on one with a few
//! rows that differ, scattered over all of it: the worst place for whoever compares by ranges. Then the
//! tiers that read less.
//!
//! The stream is quiet. Instead of a connector and a consumer that do nothing, every marker's
//! fence is written as soon as the marker is captured.

use std::{convert::Infallible, sync::Arc};

use anyhow::{Context, ensure};
use mapping::position::Lsn;
use reconcile::{Selection, Settings, Source, Start, Verdict, Watch, paranoid::Rules};

use crate::{
    args::Args,
    cost::Cost,
    data,
    figure::{Figure, median},
    fill,
    place::{LegacySide, Place, Spot},
};

/// PERFORMANCE's least.
const FLOOR: f64 = 100_000.0;
/// Rows that differ.
const SCATTERED: u64 = 96;

pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let rows = args.rows();
    let contracts = (0..rows).map(|number| data::contract(number, 1));
    let side = LegacySide::start(place, "Contract", contracts).await?;
    let spot = place.spot().await?;
    fill::fill(place, &spot, &side, ("contracts", 2, rows)).await?;
    sqlx::query("vacuum analyze").execute(&spot.admin).await?;
    let mut figure = Figure::new("reconcile", "Contract, equal on both sides", "rows").floor(FLOOR);
    let different = format!("Contract, {SCATTERED} scattered rows differ");
    let mut scattered = Figure::new("reconcile", different, "rows").floor(FLOOR);
    let (mut legacy, mut target) = (Vec::new(), Vec::new());
    let mut second =
        Figure::new("reconcile", "Contract, again with nothing changed (--since)", "rows");
    let mut quick = Figure::new("reconcile", "Contract, totals only (--quick)", "rows");
    for _ in 0..args.runs() {
        let (rate, cost) = compare(place, &spot, &side, (Settings::usual(), rows, 0)).await?;
        figure.add(rate, cost);
        let since = Settings { start: Start::Since, ..Settings::usual() };
        let (rate, cost) = compare(place, &spot, &side, (since, rows, 0)).await?;
        second.add(rate, cost);
        let rules = Arc::new(Rules::read(&spacehub::mappings()));
        let totals = Settings { quick: Some(rules), ..Settings::usual() };
        let (rate, cost) = compare(place, &spot, &side, (totals, rows, 0)).await?;
        quick.add(rate, cost);
        legacy.push(side.scan(place, "Contract", 2).await?.0);
        target.push(spot.scan(place, "contracts").await?.0);
    }
    let changed = sqlx::query(
        "update contracts c set monthly_total = coalesce(monthly_total, 0) + 1
         from (select id, row_number() over (order by id) as n from contracts) r
         where r.id = c.id and r.n % $1 = 0 and r.n / $1 <= $2",
    )
    .bind(i64::try_from(rows / SCATTERED)?)
    .bind(i64::try_from(SCATTERED)?)
    .execute(&spot.admin)
    .await?;
    for _ in 0..args.runs() {
        let differ = (Settings::usual(), rows, changed.rows_affected());
        let (rate, cost) = compare(place, &spot, &side, differ).await?;
        scattered.add(rate, cost);
    }
    place.leave(spot).await?;
    side.stop().await;
    let figure = figure
        .limit("reading and dropping the legacy rows, 2 readers", median(&legacy))
        .limit("COPY BINARY out of the target, dropped", median(&target));
    let scattered = scattered
        .limit("the same, equal on both sides", figure.rate())
        .limit("reading and dropping the legacy rows, 2 readers", median(&legacy));
    let second = second
        .limit("the first run", figure.rate())
        .limit("COPY BINARY out of the target, dropped", median(&target));
    let quick = quick.limit("the first run", figure.rate());
    Ok(vec![figure, scattered, second, quick])
}

async fn compare(
    place: &Place,
    spot: &Spot,
    side: &LegacySide,
    (settings, rows, different): (Settings, u64, u64),
) -> anyhow::Result<(f64, Cost)> {
    let source = Source { reader: side.settings.clone(), marker: Some(side.settings.clone()) };
    let selection = Selection { names: vec!["contracts".to_owned()] };
    let watch = Watch::nobody();
    let meter = place.meter();
    let running = reconcile::run(
        &settings,
        &source,
        Arc::clone(&spot.target),
        Arc::clone(&place.plan),
        &selection,
        &watch,
    );
    let report = tokio::select! {
        report = running => report?,
        ended = pass_all(spot, side) => match ended? {},
    };
    let cost = meter.stop(rows);
    let read: u64 = report.entities.iter().map(|entity| entity.rows.read).sum();
    let found: u64 = report.entities.iter().map(reconcile::EntityReport::different).sum();
    let expected = if different == 0 { Verdict::Equal } else { Verdict::Different };
    ensure!(report.verdict == expected, "the verdict is {}", report.to_text());
    ensure!(
        found == different,
        "{found} of {different} rows that differ were found: {}",
        report.to_text()
    );
    ensure!(read == rows, "{read} of {rows} rows were compared");
    Ok(cost)
}

/// Says that the stream has passed whatever is captured, as a stream does that has nothing to bring.
pub(crate) async fn pass_all(spot: &Spot, side: &LegacySide) -> anyhow::Result<Infallible> {
    let mut captured = side.database.log().captured();
    loop {
        let lsn = *captured.borrow_and_update();
        pass(spot, lsn).await?;
        captured.changed().await.context("the legacy database is gone")?;
    }
}

async fn pass(spot: &Spot, lsn: Lsn) -> anyhow::Result<()> {
    sqlx::query(
        "insert into ficus.fence (consumer_group, lsn, topic, partition, end_offset)
         values ('bench', $1, 'bench', 0, 0) on conflict do nothing",
    )
    .bind(lsn.as_bytes().as_slice())
    .execute(&spot.admin)
    .await?;
    Ok(())
}
