//! Apply: change events into the contract table, from memory and through the broker.

mod broker;
mod cluster;
mod events;
mod feed;
pub(crate) mod whole;

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
pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for schemas in [false, true] {
        for load in [Load::Inserts, Load::Hot, Load::Mixed] {
            for (nth, partitions) in args.partitions.iter().enumerate() {
                // With their schema, events are six times as large.
                let events = if schemas { args.rows() / 2 } else { args.rows() };
                let log = Log::make(load, schemas, (events, *partitions))?;
                figures.extend(one(place, args, (Arc::new(log), nth == 0)).await?);
            }
        }
    }
    Ok(figures)
}

/// PERFORMANCE's least.
const fn floor(log: &Log) -> f64 {
    if log.schemas { 50_000.0 } else { 66_000.0 }
}

/// All figures of one log; `from_memory`: also those that do not know of partitions.
async fn one(
    place: &Place,
    args: &Args,
    (log, from_memory): (Arc<Log>, bool),
) -> anyhow::Result<Vec<Figure>> {
    let name = |what: &str| format!("{}: {what}", log.name());
    let mut decoded = Figure::new("apply", name("decode and map only, one core"), "events");
    let mut fed = Figure::new("apply", name("messages from memory"), "events");
    let through = if args.kafka.is_some() { "through a real broker" } else { "through the broker" };
    let mut consumed = Figure::new("apply", name(through), "events").floor(floor(&log));
    let mut raw = Vec::new();
    let yard = cluster::Yard::find(args.kafka.clone(), &log).await?;
    let mut copied = 0.0;
    for run in 0..args.runs() {
        if from_memory {
            let (rate, cost) = feed::decode(place, &log)?;
            decoded.add(rate, cost);
            let spot = place.spot().await?;
            let (rate, cost) = feed::apply(place, &spot, &log).await?;
            fed.add(rate, cost);
            check(&spot, &log).await?;
            place.leave(spot).await?;
        }
        let spot = place.spot().await?;
        let (rate, cost) = broker::apply(place, &spot, (&log, &yard)).await?;
        consumed.add(rate, cost);
        check(&spot, &log).await?;
        if run == 0 {
            copied = spot.copy_limit("contracts", args.runs()).await?;
        }
        place.leave(spot).await?;
        raw.push(broker::consume(place, (&log, &yard)).await?.0);
    }
    let bytes = log.bytes() / log.events().max(1);
    let copy = |figure: Figure| figure.limit("COPY BINARY of the final rows", copied);
    let raw = median(&raw);
    let raw_name = format!("raw rdkafka consumption, {bytes} B each");
    let mut figures = if from_memory { vec![decoded, copy(fed)] } else { Vec::new() };
    figures.push(copy(consumed).limit(raw_name, raw));
    Ok(figures)
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
