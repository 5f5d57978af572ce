//! One legacy transaction, as long as one likes: what bounds the consumer's memory?
//!
//! All messages are in a real broker before the clock starts, and are made one by one, so that what the
//! process grows by is the consumer's. The in-process broker keeps too little of a partition.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use cdc_consumer::{Error, Progress, Settings as Consumer};
use mapping::{catalog::Table, position::Lsn};
use rdkafka::{
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
    types::RDKafkaErrorCode,
};
use sandbox::{
    debezium::{Encoder, Origin, Place as Order, RowChange, Settings},
    legacy::Operation,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    cluster::{PATIENCE, Real, producer},
    events::PREFIX,
    settings,
};
use crate::{
    args::Args,
    cost::Cost,
    data,
    figure::Figure,
    place::{Place, Spot},
};

/// The transaction.
const LSN: &str = "00000028:00000001:0001";
const COMMIT_MS: i64 = 1_753_142_401_037;
/// More than the messages of a million contracts.
const ROOMY: usize = 4 << 30;

/// Without `--atomic`, with it as it is set, and with room for the whole.
pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let Some(address) = &args.kafka else { return Ok(Vec::new()) };
    let events = args.transaction();
    let published = publish(address, events).await?;
    let bound = settings(address).atomic_bytes_max;
    let mut figures = Vec::new();
    for (atomic, bytes_max) in [(false, bound), (true, bound), (true, ROOMY)] {
        let consumer = Consumer { atomic, atomic_bytes_max: bytes_max, ..settings(address) };
        let spot = place.spot().await?;
        let (what, rate, cost) = one(place, &spot, (consumer, events)).await?;
        place.leave(spot).await?;
        let mode =
            if atomic { format!("--atomic, {} MiB", bytes_max >> 20) } else { "streamed".into() };
        let mut figure = Figure::new("whole", format!("{mode}: {what}"), "events");
        figure.add(rate, cost);
        figures.push(figure);
    }
    for topic in published {
        topic.delete().await?;
    }
    Ok(figures)
}

async fn one(
    place: &Place,
    spot: &Spot,
    (consumer, events): (Consumer, u64),
) -> anyhow::Result<(&'static str, f64, Cost)> {
    let (sender, progress) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let meter = place.meter();
    let consuming = tokio::spawn(cdc_consumer::run(
        consumer,
        Arc::clone(&spot.target),
        Arc::clone(&place.plan),
        sender,
        stop.clone(),
    ));
    follow(progress, events).await?;
    stop.cancel();
    let rows = spot.count("contracts").await?;
    match consuming.await? {
        Ok(_) => {
            let cost = meter.stop(events);
            ensure!(rows == events, "{rows} rows of {events} are there");
            Ok(("applied", cost.0, cost.1))
        }
        Err(Error::TransactionTooLarge { events, .. }) => {
            let cost = meter.stop(u64::try_from(events)?);
            ensure!(rows == 0, "{rows} rows of a transaction that was refused");
            Ok(("refused, nothing applied", cost.0, cost.1))
        }
        Err(error) => Err(error.into()),
    }
}

/// Until everything is accounted for, or the consumer has ended.
async fn follow(mut progress: watch::Receiver<Progress>, events: u64) -> anyhow::Result<()> {
    loop {
        let changed = tokio::time::timeout(PATIENCE * 10, progress.changed()).await;
        if changed.context("the consumer hangs")?.is_err() || progress.borrow().read() >= events {
            return Ok(());
        }
    }
}

/// Both topics, with everything in them.
async fn publish(address: &str, events: u64) -> anyhow::Result<[Real; 2]> {
    let catalog = spacehub::catalog()?;
    let contract = catalog.tables.into_iter().find(|table| table.table.name == "Contract");
    let contract = Arc::new(contract.context("no table dbo.Contract")?);
    let mut encoder = Encoder::new(spacehub::DATABASE, Settings::new(PREFIX));
    let (topic, marks) = (encoder.topic(&contract), format!("{PREFIX}.transaction"));
    let made = [Real::make(address, &topic, 1).await?, Real::make(address, &marks, 1).await?];
    let producer = producer(address)?;
    let publishing = std::thread::Builder::new().name("producer".to_owned()).spawn(move || {
        let table = format!("{}.dbo.Contract", spacehub::DATABASE);
        let status = |status: &str, counts: &str| {
            format!(r#"{{"status":"{status}","id":"{LSN}",{counts},"ts_ms":{COMMIT_MS}}}"#)
        };
        let begin = status("BEGIN", r#""event_count":null,"data_collections":null"#);
        send(&producer, &marks, ("{}", &begin))?;
        for event in 0..events {
            write(&mut encoder, &contract, event, &mut |key, value| {
                send(&producer, &topic, (key, value))
            })?;
        }
        let counts = format!(
            r#""event_count":{events},"data_collections":[{{"data_collection":"{table}","event_count":{events}}}]"#
        );
        send(&producer, &marks, ("{}", &status("END", &counts)))?;
        Ok(producer.flush(PATIENCE * 5)?)
    })?;
    let published = tokio::task::spawn_blocking(move || publishing.join()).await?;
    published.unwrap_or_else(|_| bail!("the producer panicked"))?;
    Ok(made)
}

fn write(
    encoder: &mut Encoder,
    contract: &Arc<Table>,
    event: u64,
    send: &mut dyn FnMut(&str, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let row = data::contract(event, 0);
    let change = RowChange {
        operation: Operation::Insert,
        before: None,
        after: Some(&row),
        change_lsn: Lsn::parse(&format!("00000028:{:08x}:{:04x}", event >> 16, event & 0xffff))?,
        event_serial_no: 1,
        columns_changed: &[],
    };
    let place = Order { total_order: event + 1, collection_order: event + 1 };
    let commit_lsn = Lsn::parse(LSN)?;
    let origin = Origin { commit_lsn, commit_ms: COMMIT_MS, place: Some(place) };
    let mut sent = Ok(());
    encoder.change(contract, &change, &origin, COMMIT_MS * 1_000_000, &mut |record| {
        if let (Ok(()), Some(value)) = (&sent, record.value) {
            sent = send(record.key.unwrap_or_default(), value);
        }
    })?;
    sent
}

/// Sends a message, as soon as there is room for it.
fn send(producer: &BaseProducer, topic: &str, (key, value): (&str, &str)) -> anyhow::Result<()> {
    let mut record = BaseRecord::to(topic).partition(0).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => {
                producer.poll(Duration::ZERO);
                return Ok(());
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                producer.poll(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
