//! From the open batch to the writing task, and what is done while that has no room.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{TopicPartitionList, consumer::Consumer};
use tokio::sync::mpsc::error::TrySendError;

use super::{
    reader::{POLL, Reader},
    shared::Work,
    topics,
};
use crate::error::Error;

/// How long a full queue is waited for before partitions are paused and polling goes on, which
/// the group's protocol needs.
const FULL: Duration = Duration::from_secs(2);

impl Reader {
    /// Closes the batch and hands it over; waits while the queue is full.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.opened = None;
        self.learn_types();
        let Some(batch) = self.batcher.take() else { return Ok(()) };
        let generation = self.generation;
        let mut work = Work { batch, generation };
        let since = Instant::now();
        let mut paused = false;
        while let Some(refused) = self.send(work) {
            work = refused;
            if since.elapsed() < FULL {
                let room = self.batches.reserve();
                let room = async { tokio::time::timeout(POLL, room).await.is_ok() };
                self.runtime.block_on(room);
                continue;
            }
            paused = paused || self.pause();
            self.poll_paused()?;
            if self.generation != generation {
                // The batch's offsets are not committed: they come again to their new owner.
                break;
            }
        }
        if paused {
            self.resume();
        }
        Ok(())
    }

    /// Hands a batch over, or gives it back when the queue is full. Counted before it is sent:
    /// it may be written before this returns.
    fn send(&self, work: Work) -> Option<Work> {
        let in_flight = &self.shared.in_flight;
        in_flight.send_modify(|count| *count += 1);
        match self.batches.try_send(work) {
            Ok(()) => return None,
            // The writing task ended; its error is the one to tell.
            Err(TrySendError::Closed(_)) => in_flight.send_modify(|count| *count -= 1),
            Err(TrySendError::Full(work)) => {
                in_flight.send_modify(|count| *count -= 1);
                return Some(work);
            }
        }
        None
    }

    /// Another process (a backfill, as a rule) may have stored the types that rows wait for.
    fn learn_types(&mut self) {
        if !self.batcher.has_unknown_types() {
            return;
        }
        let asking = async { tokio::time::timeout(topics::ASK, self.target.object_types()).await };
        match self.runtime.block_on(asking) {
            Ok(Ok(types)) => self.batcher.learn(types),
            Ok(Err(error)) => tracing::warn!(%error, "type names could not be read again"),
            Err(_) => tracing::warn!("type names could not be read again in time"),
        }
    }

    fn pause(&self) -> bool {
        let paused = self.client.assignment().and_then(|list| self.client.pause(&list));
        paused.is_ok()
    }

    /// All but the partitions that wait for something else, or are ahead of a transaction.
    fn resume(&self) {
        let waiting = self.batcher.waiting_partitions();
        let resumed = self.client.assignment().and_then(|list| {
            let mut others = TopicPartitionList::new();
            for element in list.elements() {
                let place = (element.topic().to_owned(), element.partition());
                if !waiting.contains(&place) && !self.is_ahead(&place) {
                    others.add_partition(&place.0, place.1);
                }
            }
            self.client.resume(&others)
        });
        if let Err(error) = resumed {
            tracing::warn!(%error, "resuming partitions");
        }
    }

    /// Serves the group while nothing may be read.
    fn poll_paused(&mut self) -> Result<(), Error> {
        let client = Arc::clone(&self.client);
        let polled = client.poll(Duration::from_millis(100));
        self.heed_notices()?;
        match polled {
            Some(Ok(message)) => self.push(&message),
            Some(Err(error)) => self.heed(error),
            None => Ok(()),
        }
    }
}
