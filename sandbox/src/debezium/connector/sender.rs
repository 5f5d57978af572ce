//! Sending without going deaf: commands are heard while the broker or the consumer is waited for.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

use super::{Command, Progress, outbox::Outbox};
use crate::debezium::{Error, Record};

/// How long to sleep when there is nothing to do.
pub(super) const IDLE: Duration = Duration::from_millis(2);

/// Why the sending of a transaction was broken off.
pub(super) enum Break {
    /// Somebody wants something else first.
    Asked,
    Failed(Error),
}

impl From<Error> for Break {
    fn from(cause: Error) -> Self {
        Self::Failed(cause)
    }
}

/// The outbox with the ears of its owner: it listens to commands while it waits.
pub(super) struct Sender {
    pub(super) outbox: Outbox,
    pub(super) commands: mpsc::Receiver<Command>,
    /// Commands that came while a transaction was being sent.
    pub(super) waiting: VecDeque<Command>,
    pub(super) progress: Arc<Progress>,
}

impl Sender {
    /// Sends a record as soon as the consumer group is near enough.
    pub(super) fn send(&mut self, record: &Record<'_>) -> Result<(), Break> {
        while self.is_paused() || !self.outbox.may_send(record)? {
            self.progress.is_waiting.store(!self.is_paused(), Ordering::Relaxed);
            self.poll(IDLE)?;
            self.listen()?;
        }
        self.progress.is_waiting.store(false, Ordering::Relaxed);
        self.outbox.send(record)?;
        self.poll(Duration::ZERO)?;
        Ok(())
    }

    pub(super) fn wait_until_idle(&mut self) -> Result<(), Break> {
        while !self.outbox.is_idle() {
            self.poll(Duration::from_millis(1))?;
            self.listen()?;
        }
        Ok(())
    }

    /// Hears commands without leaving the transaction, unless it must be left.
    fn listen(&mut self) -> Result<(), Break> {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Pause(paused) => self.pause(paused),
                Command::Snapshot(..) => self.waiting.push_back(command),
                Command::Stop | Command::RestartFrom(_) => {
                    self.waiting.push_back(command);
                    return Err(Break::Asked);
                }
            }
        }
        Ok(())
    }

    /// The next command; the end of the handle is a stop.
    pub(super) fn next_command(&mut self) -> Option<Command> {
        if let Some(command) = self.waiting.pop_front() {
            return Some(command);
        }
        match self.commands.try_recv() {
            Ok(command) => Some(command),
            Err(mpsc::TryRecvError::Empty) => None,
            Err(mpsc::TryRecvError::Disconnected) => Some(Command::Stop),
        }
    }

    /// Sleeps until a command comes or the time is over.
    pub(super) fn idle(&mut self, time: Duration) {
        if let Ok(command) = self.commands.recv_timeout(time) {
            self.waiting.push_back(command);
        }
    }

    pub(super) fn poll(&mut self, wait: Duration) -> Result<(), Error> {
        if let Some(lsn) = self.outbox.poll(wait)? {
            self.progress.published.send_replace(lsn);
        }
        Ok(())
    }

    /// Lets the open batch go without its control records.
    pub(super) fn abandon(&mut self) {
        self.outbox.close(Vec::new(), None);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.progress.is_paused.load(Ordering::Relaxed)
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.progress.is_paused.store(paused, Ordering::Relaxed);
    }
}
