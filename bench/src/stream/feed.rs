//! Messages from memory: the consumer's own work, without the broker's share.
//!
//! As in the consumer, one thread decodes and maps while one transaction is in flight.

use std::{hint::black_box, sync::Arc};

use anyhow::{Context, ensure};
use cdc_consumer::batch::{Batcher, Incoming, Owned};
use mapping::plan::{ObjectTypes, Plan};
use target::Batch;
use tokio::sync::mpsc;

use super::{GROUP, events::Log, settings};
use crate::{
    cost::Cost,
    place::{Place, Spot},
};

/// A fetch brings a run of messages of one partition.
const RUN: usize = 500;

/// Decodes and maps everything, and drops it.
pub(super) fn decode(place: &Place, log: &Log) -> anyhow::Result<(f64, Cost)> {
    let meter = place.meter();
    let mut rows = 0;
    read(&place.plan, log, owned(log)?, &mut |batch| {
        rows += batch.rows.row_count();
        drop(black_box(batch));
        Ok(())
    })?;
    let cost = meter.stop(log.events());
    ensure!(u64::try_from(rows)? == log.events(), "{rows} rows were mapped");
    Ok(cost)
}

/// Applies everything.
pub(super) async fn apply(
    place: &Place,
    spot: &Spot,
    log: &Arc<Log>,
) -> anyhow::Result<(f64, Cost)> {
    let mut owned = owned(log)?;
    for one in &mut owned {
        let claim = spot.target.claim_partition(GROUP, &one.topic, one.partition, "bench").await?;
        one.epoch = claim.epoch;
    }
    let (sender, mut receiver) = mpsc::channel(1);
    let (plan, messages) = (Arc::clone(&place.plan), Arc::clone(log));
    let meter = place.meter();
    let reading = tokio::task::spawn_blocking(move || {
        read(&plan, &messages, owned, &mut |batch| {
            sender.blocking_send(batch).context("nobody writes")
        })
    });
    while let Some(batch) = receiver.recv().await {
        spot.target.apply(batch).await?;
    }
    reading.await??;
    Ok(meter.stop(log.events()))
}

fn owned(log: &Log) -> anyhow::Result<Vec<Owned>> {
    let numbers = 0..i32::try_from(log.partitions.len())?;
    let one = |partition| Owned {
        topic: log.topic.clone(),
        partition,
        epoch: 1,
        expected: 0,
        next: 0,
        first: true,
        commit_lsn: None,
    };
    Ok(numbers.map(one).collect())
}

fn read(
    plan: &Arc<Plan>,
    log: &Log,
    owned: Vec<Owned>,
    each: &mut dyn FnMut(Batch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let settings = settings("nowhere");
    let mut batcher = Batcher::new(&settings, Arc::clone(plan), ObjectTypes::new());
    batcher.assign(owned);
    let longest = log.partitions.iter().map(super::events::Partition::len).max().unwrap_or(0);
    for begin in (0..longest).step_by(RUN) {
        for (partition, messages) in (0_i32..).zip(&log.partitions) {
            for offset in begin..(begin + RUN).min(messages.len()) {
                let Some((key, value)) = messages.message(offset) else { continue };
                let incoming = Incoming {
                    topic: &log.topic,
                    partition,
                    offset: i64::try_from(offset)?,
                    key: Some(key),
                    value,
                    headers: &[],
                    timestamp_ms: None,
                    fingerprint: None,
                };
                batcher.push(&incoming, 1_753_142_401_037_000)?;
                let is_full = batcher.rows() >= settings.batch_rows_max
                    || batcher.bytes() >= settings.batch_bytes_max;
                if is_full && let Some(batch) = batcher.take() {
                    each(batch)?;
                }
            }
        }
    }
    if let Some(batch) = batcher.take() {
        each(batch)?;
    }
    Ok(())
}
