//! Follows a database's captured log and publishes its events to Kafka, as Debezium in a Connect
//! worker does.
//!
//! One thread does everything in the log's order. Three promises go further than Connect's:
//! - A record of the marker table or of the transaction topic is sent only after every earlier
//!   event has been acknowledged, in whatever partition. So whoever sees a marker can find all
//!   that came before it below the partitions' ends.
//! - It never runs far ahead of the consumer (see [`BackPressure`]), because the in-process Kafka
//!   forgets what it can't keep.
//! - Delivery is at least once: [`Connector::restart_from`] publishes again from a position.

mod lane;
mod outbox;
mod partition;
mod pipeline;
mod sender;
mod snapshot;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use mapping::{catalog::LegacyTable, position::Lsn};
use tokio::sync::{oneshot, watch};

use super::{Error, Settings};
use crate::legacy::Database;

/// What the connector publishes, where, and how fast.
#[derive(Debug, Clone)]
pub struct Options {
    /// `bootstrap.servers`.
    pub bootstrap: String,
    /// The form of the records.
    pub settings: Settings,
    /// Where to begin: only later transactions are published. `Lsn::ZERO` is the log's beginning.
    pub start_after: Lsn,
    /// How far to run ahead of the consumer; `None` does not wait for anybody.
    pub back_pressure: Option<BackPressure>,
    /// How often to send a heartbeat, if at all.
    pub heartbeat: Option<Duration>,
    /// How long after its last event a transaction's END is sent when no other begins.
    pub end_after: Duration,
    /// Whether to tell the structure of all captured tables at the start.
    pub schema_changes: bool,
}

impl Options {
    /// From the log's beginning, without heartbeats, with the default back-pressure on `group`.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>, settings: Settings, group: Option<&str>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            settings,
            start_after: Lsn::ZERO,
            back_pressure: group.map(BackPressure::on),
            heartbeat: None,
            end_after: Duration::from_millis(100),
            schema_changes: false,
        }
    }
}

/// Waiting for a consumer group. Its progress is what it commits to the broker: offsets that it
/// keeps elsewhere don't count.
#[derive(Debug, Clone)]
pub struct BackPressure {
    /// The group.
    pub group: String,
    /// The most that a partition may hold beyond the group's offset; one larger message passes.
    pub ahead_bytes_max: u64,
    /// The tables whose topics the group reads; all when `None`. A topic that it does not read
    /// must not be waited for.
    pub tables: Option<Vec<LegacyTable>>,
}

impl BackPressure {
    /// 3 MB for each partition, of the 5 MB that the in-process Kafka keeps, on all tables.
    #[must_use]
    pub fn on(group: &str) -> Self {
        Self { group: group.to_owned(), ahead_bytes_max: 3_000_000, tables: None }
    }
}

/// How far the connector has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The last transaction all of whose events are acknowledged.
    pub published: Lsn,
    /// Events sent since the start, tombstones not counted.
    pub events: u64,
    /// Whether it waits for the consumer group at this moment.
    pub is_waiting: bool,
    /// Whether it is paused.
    pub is_paused: bool,
    /// What stopped it.
    pub stopped: Option<String>,
}

/// What the thread tells its handle.
#[derive(Debug)]
struct Progress {
    published: watch::Sender<Lsn>,
    events: AtomicU64,
    is_waiting: AtomicBool,
    is_paused: AtomicBool,
    stopped: Mutex<Option<Arc<Error>>>,
}

/// What the handle asks of its thread.
enum Command {
    Pause(bool),
    RestartFrom(Lsn),
    Snapshot(Vec<String>, oneshot::Sender<Result<u64, Error>>),
    Stop,
}

/// A running connector. Dropping it stops it.
#[derive(Debug)]
pub struct Connector {
    commands: mpsc::Sender<Command>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

impl Connector {
    /// Starts to publish the database's log.
    ///
    /// # Errors
    /// A thread or a Kafka client that can't be had.
    pub fn start(database: &Database, options: Options) -> Result<Self, Error> {
        let progress = Arc::new(Progress {
            published: watch::channel(options.start_after).0,
            events: AtomicU64::new(0),
            is_waiting: AtomicBool::new(false),
            is_paused: AtomicBool::new(false),
            stopped: Mutex::new(None),
        });
        let (commands, queue) = mpsc::channel();
        let pipeline =
            pipeline::Pipeline::new(database.clone(), options, queue, Arc::clone(&progress))?;
        let seen = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("debezium".to_owned())
            .spawn(move || {
                if let Err(cause) = pipeline.run() {
                    tracing::error!(%cause, "the connector has stopped");
                    *lock(&seen.stopped) = Some(Arc::new(cause));
                }
                // Wakes up whoever waits for progress that will not come.
                seen.published.send_modify(|_| ());
            })
            .map_err(Error::Thread)?;
        Ok(Self { commands, progress, thread: Some(thread) })
    }

    /// Sends nothing more until [`Connector::resume`].
    pub fn pause(&self) {
        self.send(Command::Pause(true));
    }

    /// Goes on.
    pub fn resume(&self) {
        self.send(Command::Pause(false));
    }

    /// Publishes again everything after `lsn`, as after a crash of the connector.
    pub fn restart_from(&self, lsn: Lsn) {
        self.send(Command::RestartFrom(lsn));
    }

    /// Reads whole tables and publishes their rows as `r` events, between two transactions. The
    /// number of rows is returned.
    ///
    /// # Errors
    /// An unknown table, or whatever stopped the connector.
    pub async fn snapshot(&self, tables: &[&str]) -> Result<u64, Error> {
        let (sender, answer) = oneshot::channel();
        let tables = tables.iter().map(|table| (*table).to_owned()).collect();
        self.send(Command::Snapshot(tables, sender));
        answer.await.unwrap_or(Err(Error::Stopped))
    }

    /// Returns when every transaction up to `lsn` is published and acknowledged.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the connector has stopped before.
    pub async fn published(&self, lsn: Lsn) -> Result<(), Error> {
        let mut published = self.progress.published.subscribe();
        loop {
            if *published.borrow_and_update() >= lsn {
                return Ok(());
            }
            let is_stopped = self.thread.as_ref().is_none_or(JoinHandle::is_finished)
                || lock(&self.progress.stopped).is_some();
            if is_stopped || published.changed().await.is_err() {
                return Err(Error::Stopped);
            }
        }
    }

    /// How far it has come.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            published: *self.progress.published.borrow(),
            events: self.progress.events.load(Ordering::Relaxed),
            is_waiting: self.progress.is_waiting.load(Ordering::Relaxed),
            is_paused: self.progress.is_paused.load(Ordering::Relaxed),
            stopped: lock(&self.progress.stopped).as_ref().map(ToString::to_string),
        }
    }

    /// Stops, after what was sent has been acknowledged.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the connector's thread panicked");
        }
    }

    /// A connector that has stopped takes no commands; its status says why.
    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::debug!("the connector has stopped already");
        }
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
