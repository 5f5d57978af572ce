//! The connector's thread: read the log, encode, send, in the log's order.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering, mpsc},
    time::{Duration, Instant, SystemTime},
};

use mapping::{catalog::LegacyTable, position::Lsn};
use rdkafka::message::{Header, OwnedHeaders};

use super::{
    Command, Options, Progress,
    outbox::{Control, Outbox},
    sender::{Break, IDLE, Sender},
};
use crate::{
    debezium::{Counts, Encoder, Error, Origin, Place, Reading, Record, RowChange, Settings},
    legacy::{self, Change, Committed, Database, Row},
};

/// Transactions read from the log at once.
const TRANSACTIONS_MAX: usize = 500;
/// How long a stop waits for Kafka.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The connector's thread.
pub(super) struct Pipeline {
    pub(super) database: Database,
    options: Options,
    pub(super) encoder: Encoder,
    pub(super) sender: Sender,
    /// Everything up to here has been sent.
    position: Lsn,
    /// The transaction whose END is due.
    open: Option<Open>,
    beat: Instant,
}

struct Open {
    id: Lsn,
    commit_ms: i64,
    counts: Counts,
    sent_at: Instant,
}

impl Pipeline {
    pub(super) fn new(
        database: Database,
        options: Options,
        commands: mpsc::Receiver<Command>,
        progress: Arc<Progress>,
    ) -> Result<Self, Error> {
        let settings = &options.settings;
        let topic = |table: &LegacyTable| {
            settings.topic(&format!("{}.{}.{}", database.name(), table.schema, table.name))
        };
        let limit = options.back_pressure.clone();
        let tables = limit.as_ref().and_then(|limit| limit.tables.as_ref());
        let followed = tables.map(|tables| tables.iter().map(topic).collect());
        let outbox = Outbox::new(&options.bootstrap, limit, followed, context(settings))?;
        Ok(Self {
            encoder: Encoder::new(database.name(), settings.clone()),
            position: options.start_after,
            sender: Sender { outbox, commands, waiting: VecDeque::new(), progress },
            open: None,
            beat: Instant::now(),
            database,
            options,
        })
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        if self.options.schema_changes {
            self.tell_schemas()?;
        }
        loop {
            match self.step() {
                Ok(()) => {}
                Err(Break::Asked) => self.sender.abandon(),
                Err(Break::Failed(cause)) => return Err(cause),
            }
            while let Some(command) = self.sender.next_command() {
                match command {
                    Command::Stop => return self.drain(),
                    Command::RestartFrom(lsn) => self.restart(lsn)?,
                    Command::Snapshot(tables, answer) => {
                        let result = self.snapshot(&tables);
                        // Whoever asked may have gone.
                        drop(answer.send(result));
                    }
                    Command::Pause(paused) => self.sender.pause(paused),
                }
            }
        }
    }

    /// Publishes what the log has, or waits a little.
    fn step(&mut self) -> Result<(), Break> {
        self.sender.poll(Duration::ZERO)?;
        self.heartbeat()?;
        if self.sender.is_paused() {
            self.sender.idle(IDLE);
            return Ok(());
        }
        let after = self.position;
        let committed = self
            .database
            .log()
            .read(after, TRANSACTIONS_MAX)
            .map_err(|source| Error::Log { after, source })?;
        let Some(last) = committed.last().map(|transaction| transaction.lsn) else {
            self.end_by_timer();
            self.sender.idle(IDLE);
            return Ok(());
        };
        let mut control = Vec::new();
        self.sender.outbox.open();
        for transaction in &committed {
            self.publish(transaction, &mut control)?;
            self.position = transaction.lsn;
        }
        self.sender.outbox.close(control, Some(last));
        Ok(())
    }

    fn publish(
        &mut self,
        transaction: &Committed,
        control: &mut Vec<Control>,
    ) -> Result<(), Break> {
        let has_metadata = self.options.settings.transactions;
        let mut counts = Counts::default();
        if has_metadata {
            self.begin(transaction, control);
        }
        for change in &transaction.changes {
            let table = &change.table.table;
            let collection = format!("{}.{}.{}", self.database.name(), table.schema, table.name);
            if table.name.eq_ignore_ascii_case(legacy::MARKER_TABLE) {
                // What is sent so far must be visible before the marker is.
                self.sender.outbox.close(std::mem::take(control), None);
                self.sender.wait_until_idle()?;
                self.sender.outbox.open();
            }
            let place = has_metadata.then(|| Place {
                total_order: counts.total() + 1,
                collection_order: counts.of(&collection) + 1,
            });
            let events = self.send_change(transaction, change, place)?;
            counts.add(&collection, events);
            self.sender.progress.events.fetch_add(events, Ordering::Relaxed);
        }
        if has_metadata {
            let (id, commit_ms) = (transaction.lsn, transaction.commit_ms);
            self.open = Some(Open { id, commit_ms, counts, sent_at: Instant::now() });
        }
        Ok(())
    }

    fn send_change(
        &mut self,
        transaction: &Committed,
        change: &Change,
        place: Option<Place>,
    ) -> Result<u64, Break> {
        let before = change.before.as_ref().map(Row::values);
        let after = change.after.as_ref().map(Row::values);
        let row_change = RowChange {
            operation: change.operation,
            before: before.as_deref(),
            after: after.as_deref(),
            change_lsn: change.change_lsn,
            event_serial_no: change.event_serial_no,
            columns_changed: &change.columns_changed,
        };
        let origin =
            Origin { commit_lsn: transaction.lsn, commit_ms: transaction.commit_ms, place };
        let sender = &mut self.sender;
        let mut sent = Ok(());
        let emit = &mut |record: Record<'_>| {
            if sent.is_ok() {
                sent = sender.send(&record);
            }
        };
        let events = self.encoder.change(&change.table, &row_change, &origin, now_ns(), emit)?;
        sent?;
        Ok(events)
    }

    /// The END of the transaction before and the BEGIN of this one.
    fn begin(&mut self, transaction: &Committed, control: &mut Vec<Control>) {
        let mut keep = |record: Record<'_>| control.push(Control::of(&record));
        if let Some(Open { id, counts, .. }) = self.open.take() {
            self.encoder.end(id, &counts, transaction.commit_ms, &mut keep);
        }
        self.encoder.begin(transaction.lsn, transaction.commit_ms, &mut keep);
    }

    /// No other transaction has come: the END is sent with the transaction's own time.
    fn end_by_timer(&mut self) {
        let is_due = |open: &mut Open| open.sent_at.elapsed() >= self.options.end_after;
        let Some(Open { id, commit_ms, counts, .. }) = self.open.take_if(is_due) else { return };
        let mut control = Vec::new();
        let mut keep = |record: Record<'_>| control.push(Control::of(&record));
        self.encoder.end(id, &counts, commit_ms, &mut keep);
        self.sender.outbox.open();
        self.sender.outbox.close(control, None);
    }

    fn heartbeat(&mut self) -> Result<(), Error> {
        let Some(interval) = self.options.heartbeat else { return Ok(()) };
        if self.beat.elapsed() < interval {
            return Ok(());
        }
        self.beat = Instant::now();
        let outbox = &mut self.sender.outbox;
        let mut sent = Ok(());
        let emit = &mut |record: Record<'_>| sent = outbox.send_control(&Control::of(&record));
        self.encoder.heartbeat(now_ns() / 1_000_000, emit);
        sent
    }

    fn tell_schemas(&mut self) -> Result<(), Error> {
        let lsn = self.database.log().captured_lsn();
        let now = now_ns();
        let reading = Reading { lsn, streamed: None, at_ns: now };
        let tables = self.database.catalog().tables.into_iter();
        for table in tables.filter(|table| table.capture_instance.is_some()) {
            let outbox = &mut self.sender.outbox;
            let mut sent = Ok(());
            let emit = &mut |record: Record<'_>| sent = outbox.send_control(&Control::of(&record));
            self.encoder.schema_change(&Arc::new(table), &reading, now / 1_000_000, emit);
            sent?;
        }
        Ok(())
    }

    fn restart(&mut self, lsn: Lsn) -> Result<(), Error> {
        let began = Instant::now();
        while !self.sender.outbox.is_idle() && began.elapsed() < DRAIN_LIMIT {
            self.sender.poll(IDLE)?;
        }
        tracing::debug!(%lsn, "publishing again");
        self.position = lsn;
        self.open = None;
        self.sender.progress.published.send_replace(lsn);
        Ok(())
    }

    fn drain(mut self) -> Result<(), Error> {
        let began = Instant::now();
        while !self.sender.outbox.is_idle() && began.elapsed() < DRAIN_LIMIT {
            self.sender.poll(IDLE)?;
        }
        self.sender.outbox.flush()
    }
}

impl Control {
    fn of(record: &Record<'_>) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self { topic: record.topic.to_owned(), key: text(record.key), value: text(record.value) }
    }
}

/// The headers that tell where a record comes from, the same for all.
fn context(settings: &Settings) -> OwnedHeaders {
    let run = uuid::Uuid::now_v7().to_string();
    [
        ("connectorLogicalName", settings.prefix.as_str()),
        ("taskId", "0"),
        ("connectorName", "sqlserver"),
        ("runId", &run),
    ]
    .into_iter()
    .fold(OwnedHeaders::new(), |headers, (name, value)| {
        let key = format!("__debezium.context.{name}");
        headers.insert(Header { key: &key, value: Some(value) })
    })
}

/// Nanoseconds since 1970.
pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
