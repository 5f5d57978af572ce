//! Legacy rows to Postgres fields on one core, beside copying the same bytes.

use std::{hint::black_box, time::Instant};

use anyhow::ensure;
use mapping::{
    plan::{Context, ObjectTypes, Outcome, SourceChange, SourceOp},
    position::{Lsn, Position},
    row::Batches,
};
use sandbox::legacy::Values;

use crate::{
    args::Args,
    data,
    figure::{Figure, median, per_second},
    place::Place,
};

/// As many as apply takes at once.
const BATCH_ROWS: usize = 10_000;
/// A millisecond is too short to measure.
const REPEAT: usize = 5;

pub(crate) fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let rows = args.rows().min(200_000);
    let contract = |number| data::contract(number, 1);
    Ok(vec![
        one(place, args, "Contract", (0..rows).map(contract).collect())?,
        one(place, args, "Invoice", (0..rows).map(data::invoice).collect())?,
        one(place, args, "InvoiceLine", (0..rows).map(data::invoice_line).collect())?,
    ])
}

fn one(place: &Place, args: &Args, table: &str, rows: Vec<Values>) -> anyhow::Result<Figure> {
    let plan = place.table(table)?;
    let object_types = ObjectTypes::new();
    let context = Context { object_types: &object_types, seen_at_us: 1_700_000_000_000_000 };
    let position = Position::read_after(Lsn::ZERO);
    let mut figure = Figure::new("mapping", format!("{table} rows, one core"), "rows");
    let mut bytes = Vec::new();
    let count = u64::try_from(rows.len() * REPEAT)?;
    for _ in 0..args.runs() {
        let meter = place.meter();
        for _ in 0..REPEAT {
            for chunk in rows.chunks(BATCH_ROWS) {
                let mut batches = Batches::default();
                for (row, sequence) in chunk.iter().zip(0_u32..) {
                    let op = SourceOp::Upsert;
                    let change = SourceChange { op, values: row, position, sequence };
                    let outcome = plan.map(&change, &context, &mut batches);
                    ensure!(matches!(outcome, Outcome::Mapped(_)), "not mapped: {outcome:?}");
                }
                let mapped = black_box(batches).into_inner();
                bytes = mapped.into_iter().next().map(|batch| batch.fields).unwrap_or_default();
            }
        }
        let (rate, cost) = meter.stop(count);
        figure.add(rate, cost);
    }
    let row_bytes = bytes.len() / rows.len().clamp(1, BATCH_ROWS);
    let copied = copies(&bytes, row_bytes.max(1), args.runs());
    Ok(figure.limit(format!("copying the same bytes, {row_bytes} a row"), copied))
}

/// Rows per second of appending the same bytes, row by row.
fn copies(bytes: &[u8], row_bytes: usize, runs: usize) -> f64 {
    let rows = u64::try_from(bytes.len().div_ceil(row_bytes)).unwrap_or(1);
    let repeat = 200;
    let mut rates = Vec::new();
    for _ in 0..runs {
        let began = Instant::now();
        for _ in 0..repeat {
            let mut copy = Vec::new();
            for row in bytes.chunks(row_bytes) {
                copy.extend_from_slice(black_box(row));
            }
            drop(black_box(copy));
        }
        rates.push(per_second(rows * repeat, began.elapsed()));
    }
    median(&rates)
}
