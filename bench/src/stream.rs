//! Apply: change events into the contract table, from memory and through the broker.

mod broker;
mod events;
mod feed;

use std::sync::Arc;

use anyhow::ensure;
use cdc_consumer::Settings;

use crate::{
    args::Args,
    figure::{Figure, median},
    place::{Place, Spot},
};
use events::{Load, Log};

/// The consumer group.
const GROUP: &str = "bench";
/// PERFORMANCE's least.
const FLOOR: f64 = 40_000.0;

pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for schemas in [false, true] {
        for load in [Load::Inserts, Load::Mixed] {
            // With their schema, events are six times as large.
            let events = if schemas { args.rows() / 2 } else { args.rows() };
            let log = Log::make(load, schemas, (events, args.partitions))?;
            figures.extend(one(place, args, Arc::new(log)).await?);
        }
    }
    Ok(figures)
}

async fn one(place: &Place, args: &Args, log: Arc<Log>) -> anyhow::Result<Vec<Figure>> {
    let name = |what: &str| format!("{}: {what}", log.name());
    let mut decoded = Figure::new("apply", name("decode and map only, one core"), "events");
    let mut fed = Figure::new("apply", name("messages from memory"), "events").floor(FLOOR);
    let mut consumed = Figure::new("apply", name("through the broker"), "events").floor(FLOOR);
    let mut raw = Vec::new();
    let published = Arc::clone(&log);
    let room = tokio::task::spawn_blocking(move || broker::room(&published)).await??;
    let mut copied = 0.0;
    for run in 0..args.runs() {
        let (rate, cost) = feed::decode(place, &log)?;
        decoded.add(rate, cost);
        let spot = place.spot().await?;
        let (rate, cost) = feed::apply(place, &spot, &log).await?;
        fed.add(rate, cost);
        check(&spot, &log).await?;
        if run == 0 {
            copied = spot.copy_limit("contracts", args.runs()).await?;
        }
        place.leave(spot).await?;
        let spot = place.spot().await?;
        let (rate, cost) = broker::apply(place, &spot, (&log, room)).await?;
        consumed.add(rate, cost);
        check(&spot, &log).await?;
        place.leave(spot).await?;
        raw.push(broker::consume(place, (&log, room)).await?.0);
    }
    let bytes = log.bytes() / log.events().max(1);
    let copy = |figure: Figure| figure.limit("COPY BINARY of the final rows", copied);
    let raw = median(&raw);
    let raw_name = format!("raw rdkafka consumption, {bytes} B each");
    Ok(vec![decoded, copy(fed), copy(consumed).limit(raw_name, raw)])
}

/// The target has the rows that the events leave, and every event is accounted for.
async fn check(spot: &Spot, log: &Log) -> anyhow::Result<()> {
    let rows = spot.count("contracts").await?;
    ensure!(rows == log.rows(), "{rows} rows are left instead of {}", log.rows());
    let mut read = 0;
    for table in spot.target.counts().await? {
        let counts = table.counts;
        read += counts.read;
        let rest = counts.stale + counts.ignored + counts.quarantined;
        ensure!(rest == 0, "{rest} events were not applied");
    }
    ensure!(read == log.events(), "{read} events of {} were counted", log.events());
    Ok(())
}

fn settings(bootstrap: &str) -> Settings {
    Settings::new(bootstrap, GROUP, events::PREFIX)
}
