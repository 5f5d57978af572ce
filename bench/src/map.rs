//! Legacy rows to Postgres fields on one core, beside copying the same bytes.

use std::{hint::black_box, time::Instant};

use crate::{
    args::Args,
    figure::{Figure, median, per_second},
    place::Place,
    sample::{Bytes, Sample},
};

/// A millisecond is too short to measure.
const REPEAT: u64 = 5;
/// Issue 4's aim for contracts.
const FLOOR: f64 = 1_000_000.0;

pub(crate) fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    Ok(vec![
        one(place, args, "Contract")?.floor(FLOOR),
        one(place, args, "Invoice")?,
        one(place, args, "InvoiceLine")?,
    ])
}

fn one(place: &Place, args: &Args, table: &str) -> anyhow::Result<Figure> {
    let sample = Sample::new(&place.plan, table, args.rows().min(200_000))?;
    let mut figure = Figure::new("mapping", format!("{table} rows, one core"), "rows");
    for _ in 0..args.runs() {
        let meter = place.meter();
        for _ in 0..REPEAT {
            black_box(sample.map()?);
        }
        let (rate, cost) = meter.stop(sample.count() * REPEAT);
        figure.add(rate, cost);
    }
    let bytes = sample.bytes()?;
    let copied = copies(&bytes, args.runs());
    Ok(figure.limit(format!("copying the same bytes, {} a row", bytes.row_bytes()), copied))
}

/// Rows per second of appending the same bytes.
fn copies(bytes: &Bytes, runs: usize) -> f64 {
    let repeat = 200;
    let mut rates = Vec::new();
    for _ in 0..runs {
        let began = Instant::now();
        for _ in 0..repeat {
            drop(black_box(bytes.copy()));
        }
        rates.push(per_second(bytes.count() * repeat, began.elapsed()));
    }
    median(&rates)
}
