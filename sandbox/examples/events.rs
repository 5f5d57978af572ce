//! How many events a second the connector makes, by itself and with Kafka and a consumer.
//!
//! `cargo run --release -p sandbox --example events [rows]`

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use mapping::{
    position::Lsn,
    value::{Decimal, LegacyValue},
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};
use sandbox::{
    debezium::{BackPressure, Connector, Encoder, Options, Origin, Place, RowChange, Settings},
    kafka::Kafka,
    legacy::Database,
};

const DDL: &str = "CREATE TABLE [dbo].[Contract](
  [CompanyNo] nvarchar(10) NOT NULL, [ContractNo] nvarchar(20) NOT NULL, [Owner] int NULL,
  [Tenant] int NULL, [Space] uniqueidentifier NULL, [SignedOn] datetime NULL,
  [StartDate] datetime NULL, [EndDate] datetime NULL, [MonthlyTotal] money NULL,
  [Deposit] money NULL, [VatRate] float NULL, [Status] int NULL, [Terms] nvarchar(max) NULL,
  [Note] nvarchar(400) NULL, [IsActive] bit NULL, [OptimisticLockField] int NULL,
  [GCRecord] int NULL,
  CONSTRAINT [PK_Contract] PRIMARY KEY CLUSTERED ([CompanyNo],[ContractNo]));";
const TOPIC: &str = "spacehub.Spacehub23.dbo.Contract";
const TRANSACTION_ROWS: usize = 5;
const PARTITIONS: i32 = 4;

fn row(number: i64) -> Vec<LegacyValue<'static>> {
    let money = |unscaled| LegacyValue::Decimal(Decimal { unscaled, scale: 4 });
    let at = |days: i64| LegacyValue::Timestamp((19_000 + days) * 864_000_000_000 + 1_230_000);
    vec![
        LegacyValue::Text("МН01".into()),
        LegacyValue::Text(format!("ЗГ-{number:08}").into()),
        LegacyValue::Int(number % 5_000),
        LegacyValue::Int(number % 9_000),
        LegacyValue::Guid(uuid::Uuid::from_u128(number.unsigned_abs().into())),
        at(number % 1_000),
        at(number % 1_000 + 30),
        at(number % 1_000 + 395),
        money(i128::from(number) * 12_345),
        money(i128::from(number) * 24_690),
        LegacyValue::Float(0.1),
        LegacyValue::Int(number % 4),
        LegacyValue::Null,
        LegacyValue::Text("Түрээсийн гэрээ, 1-р давхар".into()),
        LegacyValue::Bool(true),
        LegacyValue::Int(1),
        LegacyValue::Null,
    ]
}

fn main() -> anyhow::Result<()> {
    let rows: i64 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let mut out = std::io::stdout();
    let database = Database::from_ddl("Spacehub23", "Cyrillic_General_CI_AS", DDL)?;
    database.load("Contract", (0..rows).map(row))?;
    let numbers: Vec<i64> = (0..rows).collect();
    let began = Instant::now();
    let mut last = Lsn::ZERO;
    for numbers in numbers.chunks(TRANSACTION_ROWS) {
        last = database.transaction(|transaction| {
            for number in numbers {
                let key: Vec<_> = row(*number).into_iter().take(2).collect();
                transaction.update("Contract", &key, |row| {
                    if let Some(status) = row.get_mut(11) {
                        *status = LegacyValue::Int(9);
                    }
                })?;
            }
            Ok(())
        })?;
    }
    writeln!(out, "legacy update  {}", rate(rows, began))?;
    for schemas in [false, true] {
        let settings = Settings { schemas, ..Settings::new("spacehub") };
        encode(&mut out, &database, settings, rows)?;
    }
    end_to_end(&mut out, &database, last, rows)
}

fn encode(
    out: &mut impl Write,
    database: &Database,
    settings: Settings,
    rows: i64,
) -> anyhow::Result<()> {
    let schemas = settings.schemas;
    let mut encoder = Encoder::new("Spacehub23", settings);
    let committed = database.log().read(Lsn::ZERO, usize::MAX)?;
    let mut bytes = 0;
    let began = Instant::now();
    for transaction in &committed {
        for (order, change) in (1..).zip(&transaction.changes) {
            let before = change.before.as_ref().map(sandbox::legacy::Row::values);
            let after = change.after.as_ref().map(sandbox::legacy::Row::values);
            let row = RowChange {
                operation: change.operation,
                before: before.as_deref(),
                after: after.as_deref(),
                change_lsn: change.change_lsn,
                event_serial_no: change.event_serial_no,
                columns_changed: &change.columns_changed,
            };
            let place = Some(Place { total_order: order, collection_order: order });
            let origin =
                Origin { commit_lsn: transaction.lsn, commit_ms: transaction.commit_ms, place };
            let table = Arc::clone(&change.table);
            encoder.change(&table, &row, &origin, 0, &mut |record| {
                bytes += record.value.map_or(0, str::len);
            })?;
        }
    }
    let size = bytes / usize::try_from(rows)?;
    writeln!(out, "encode schemas={schemas:5}  {} of {size} bytes", rate(rows, began))?;
    Ok(())
}

fn end_to_end(
    out: &mut impl Write,
    database: &Database,
    last: Lsn,
    rows: i64,
) -> anyhow::Result<()> {
    let kafka = Kafka::start([(TOPIC, PARTITIONS), ("spacehub.transaction", 1)])?;
    let mut options = Options::new(kafka.bootstrap(), Settings::new("spacehub"), None);
    options.back_pressure = Some(BackPressure::on("consumer"));
    let bootstrap = kafka.bootstrap().to_owned();
    let began = Instant::now();
    let connector = Connector::start(database, options)?;
    let reader = std::thread::spawn(move || read(&bootstrap, rows));
    let gaps = reader.join().ok().context("the reader panicked")??;
    writeln!(out, "end to end     {}, {gaps} lost", rate(rows, began))?;
    let status = connector.status();
    anyhow::ensure!(status.stopped.is_none() && status.published <= last, "{status:?}");
    connector.stop();
    kafka.stop();
    Ok(())
}

/// Reads everything, commits now and then, and counts the offsets that were missing.
fn read(bootstrap: &str, rows: i64) -> anyhow::Result<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "consumer")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut next = [0_i64; 4];
    let mut gaps = 0;
    for count in 1..=rows {
        let message = consumer.poll(Duration::from_secs(30)).context("nothing came")??;
        if let Some(next) = next.get_mut(usize::try_from(message.partition())?) {
            gaps += message.offset() - *next;
            *next = message.offset() + 1;
        }
        if count % 2_000 == 0 {
            let mut offsets = TopicPartitionList::new();
            for (partition, next) in (0..).zip(next) {
                offsets.add_partition_offset(TOPIC, partition, Offset::Offset(next))?;
            }
            consumer.commit(&offsets, CommitMode::Async)?;
        }
    }
    Ok(gaps)
}

fn rate(rows: i64, began: Instant) -> String {
    let milliseconds = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX).max(1);
    format!("{:>9} events/s", rows * 1_000 / milliseconds)
}
