//! Backfill: a whole legacy table into Postgres, empty and full.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use backfill::{Job, Scope, Selection, Settings, Silent};
use sandbox::legacy::Values;
use tokio_util::sync::CancellationToken;

use crate::{
    args::Args,
    cost::Cost,
    data,
    figure::{Figure, median},
    place::{LegacySide, Place, Spot},
};

/// PERFORMANCE's least, for the contract table.
const FLOOR: f64 = 70_000.0;

/// What is copied.
struct Subject {
    table: &'static str,
    entity: &'static str,
    row: fn(u64) -> Values,
    floor: Option<f64>,
}

const SUBJECTS: [Subject; 2] = [
    Subject {
        table: "Contract",
        entity: "contracts",
        row: |number| data::contract(number, 1),
        floor: Some(FLOOR),
    },
    Subject { table: "InvoiceLine", entity: "invoice_lines", row: data::invoice_line, floor: None },
];

pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for subject in &SUBJECTS {
        let rows = args.rows();
        let side = LegacySide::start(place, subject.table, (0..rows).map(subject.row)).await?;
        for readers in [1, 2, 4] {
            figures.extend(Box::pin(one(place, args, subject, (&side, readers))).await?);
        }
        side.stop().await;
    }
    Ok(figures)
}

async fn one(
    place: &Place,
    args: &Args,
    subject: &Subject,
    (side, readers): (&LegacySide, u16),
) -> anyhow::Result<[Figure; 3]> {
    let table = subject.table;
    let name = |what: &str| format!("{table}, {readers} reader(s), {what}");
    let mut empty = Figure::new("backfill", name("into an empty table"), "rows");
    let mut late = Figure::new("backfill", name("its indexes afterwards"), "rows");
    let mut full = Figure::new("backfill", name("every row newer"), "rows");
    let mut read = Vec::new();
    let (mut copied, mut both) = (0.0, Vec::new());
    for run in 0..args.runs() {
        let spot = place.spot().await?;
        let (rate, cost) = copy(place, &spot, side, (subject, readers, args.rows())).await?;
        empty.add(rate, cost);
        if run == 0 {
            copied = spot.copy_limit(subject.entity, args.runs()).await?;
        }
        let image = spot.image(subject.entity).await?;
        let reading = async { side.scan(place, table, readers.into()).await.map(drop) };
        both.push(spot.copy(&image, reading).await?);
        side.commit_something()?;
        let (rate, cost) = copy(place, &spot, side, (subject, readers, args.rows())).await?;
        full.add(rate, cost);
        place.leave(spot).await?;
        let spot = place.spot().await?;
        let (rate, cost) =
            copy_before_indexes(place, &spot, side, (subject, readers, args.rows())).await?;
        late.add(rate, cost);
        place.leave(spot).await?;
        read.push(side.scan(place, table, readers.into()).await?.0);
    }
    let limits = |figure: Figure| {
        figure
            .limit(format!("reading and dropping, {readers} reader(s)"), median(&read))
            .limit("COPY BINARY of the same rows", copied)
            .limit("both at once", median(&both))
    };
    let empty = match subject.floor {
        Some(floor) => empty.floor(floor),
        None => empty,
    };
    Ok([limits(empty), limits(late), limits(full)])
}

/// Copies the table once; again if it has been copied.
async fn copy(
    place: &Place,
    spot: &Spot,
    side: &LegacySide,
    (subject, readers, rows): (&Subject, u16, u64),
) -> anyhow::Result<(f64, Cost)> {
    let meter = place.meter();
    fill(place, spot, side, (subject.entity, readers, rows)).await?;
    Ok(meter.stop(rows))
}

/// Copies the table once, without its secondary indexes, and builds them: `--defer-indexes`.
async fn copy_before_indexes(
    place: &Place,
    spot: &Spot,
    side: &LegacySide,
    (subject, readers, rows): (&Subject, u16, u64),
) -> anyhow::Result<(f64, Cost)> {
    let entity = place.plan.entities.iter().find(|entity| entity.name == subject.entity);
    let entity = entity.context("the mapping does not name it")?.id;
    let meter = place.meter();
    let deferred = spot.target.defer_indexes(&spot.admin, &[entity]).await?;
    fill(place, spot, side, (subject.entity, readers, rows)).await?;
    for index in &deferred {
        spot.target.build_index(&spot.admin, index).await?;
    }
    Ok(meter.stop(rows))
}

/// Runs a backfill and checks that every row came.
pub(crate) async fn fill(
    place: &Place,
    spot: &Spot,
    side: &LegacySide,
    (entity, readers, rows): (&str, u16, u64),
) -> anyhow::Result<()> {
    let report = backfill::run(Job {
        settings: Settings { readers, restart: true, ..Settings::default() },
        legacy: side.settings.clone(),
        target: Arc::clone(&spot.target),
        plan: Arc::clone(&place.plan),
        selection: Selection::named(&place.plan, &[entity.to_owned()])?,
        scope: Scope::Whole,
        progress: Arc::new(Silent),
        cancel: CancellationToken::new(),
    })
    .await?;
    let applied: u64 = report.tables.iter().map(|table| table.counts.applied).sum();
    let rest = report.rows_read() - applied;
    ensure!(
        report.is_complete() && applied == rows,
        "{applied} rows of {rows} applied, {rest} not"
    );
    Ok(())
}
