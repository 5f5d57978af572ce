//! `--atomic` in the reading thread: messages go through the sequencer, and whole transactions into
//! the batch.
//!
//! It needs all partitions, so another process of the group ends it; and a table that waits makes
//! everything wait, because going on without it would break transactions apart.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mapping::{
    plan::{Plan, TableRole},
    position::Lsn,
};
use rdkafka::{TopicPartitionList, consumer::Consumer, error::KafkaResult};

use super::reader::{Reader, now_us};
use crate::{
    atomic::Sequencer,
    batch::{Incoming, Owned},
    error::Error,
    settings::Settings,
    status::{Pending, State},
    topics::transactions,
};

/// After so long it is told which transaction is waited for.
const STUCK: Duration = Duration::from_secs(10);
/// How often what is missing is looked at.
const TELL: Duration = Duration::from_millis(250);

/// What the reading thread keeps for whole transactions.
pub(super) struct Whole {
    sequencer: Sequencer,
    /// Whether all partitions are known to be ours.
    is_alone: bool,
    /// Partitions that are ahead, and not read.
    ahead: BTreeSet<(String, i32)>,
    /// The oldest transaction that is not whole, and since when it is.
    oldest: Option<(Lsn, Instant)>,
    tell_at: Instant,
}

impl Whole {
    pub(super) fn new(settings: &Settings, plan: &Plan) -> Option<Self> {
        let followed = plan.tables.iter().filter(|t| !matches!(t.role, TableRole::Ignored { .. }));
        let names = followed
            .map(|table| table.table.to_string())
            .chain([settings.marker_table.clone()])
            .map(|table| format!("{}.{table}", plan.database));
        let marks = transactions(&settings.topic_prefix);
        settings.atomic.then(|| Self {
            sequencer: Sequencer::new(names, marks, settings.atomic_bytes_max),
            is_alone: false,
            ahead: BTreeSet::new(),
            oldest: None,
            tell_at: Instant::now(),
        })
    }
}

impl Reader {
    /// An assignment begins.
    pub(super) fn restart_whole(&mut self, owned: &[Owned]) {
        let marks = transactions(&self.shared.settings.topic_prefix);
        let Some(whole) = &mut self.whole else { return };
        let done = owned.iter().filter(|one| one.topic == marks).filter_map(|one| one.commit_lsn);
        whole.sequencer.restart(done.max().unwrap_or(Lsn::ZERO));
        whole.is_alone = false;
        whole.ahead.clear();
        whole.oldest = None;
    }

    /// Takes a message into the sequencer. What is whole by now goes into batches in
    /// [`Self::tend_whole`] only: a message may come while a closed batch still waits for room, and
    /// another one must not overtake it.
    pub(super) fn push_whole(&mut self, incoming: &Incoming<'_>) -> Result<(), Error> {
        // What everything waits for comes again, and this message with it.
        if !self.held.borrow().is_empty() {
            self.waits_whole = true;
            return Ok(());
        }
        if let Some(whole) = &mut self.whole {
            whole.sequencer.push(incoming)?;
        }
        Ok(())
    }

    /// Partitions that are not read because they are ahead of the oldest transaction.
    pub(super) fn is_ahead(&self, partition: &(String, i32)) -> bool {
        self.whole.as_ref().is_some_and(|whole| whole.ahead.contains(partition))
    }

    /// What is done between two polls: whether we are alone, what waits, what is ahead.
    pub(super) fn tend_whole(&mut self) -> Result<(), Error> {
        if self.whole.is_none() || self.generation == 0 {
            return Ok(());
        }
        self.check_alone()?;
        self.release_whole()?;
        self.pause_what_is_ahead();
        self.tell_what_is_missing();
        Ok(())
    }

    /// Whether everything waits for a table.
    pub(super) fn heed_held_whole(&mut self) {
        if !self.held.has_changed().unwrap_or(false) && self.generation != 0 {
            return;
        }
        let held = self.held.borrow_and_update().clone();
        let Some(first) = held.values().next() else {
            // Begin anew at what is committed.
            if self.waits_whole {
                self.waits_whole = false;
                self.shared.fence(self.generation);
            }
            return;
        };
        let why = format!("{} is {}, and with --atomic everything waits", first.table, first.state);
        self.waits_whole = true;
        self.batcher.assign(Vec::new());
        self.opened = None;
        let paused = self.client.assignment().and_then(|list| self.client.pause(&list));
        if let Err(error) = paused {
            tracing::debug!(%error, "pausing partitions");
        }
        self.shared.tell(State::Waiting, Some(why));
    }

    fn release_whole(&mut self) -> Result<(), Error> {
        loop {
            let Some(whole) = self.whole.as_mut().filter(|whole| whole.is_alone) else {
                return Ok(());
            };
            let group = whole.sequencer.next();
            if group.is_empty() {
                return Ok(());
            }
            for waiting in &group {
                self.batcher.push(&waiting.message.incoming(), now_us())?;
            }
            if !self.batcher.stops().is_empty() {
                self.stop_whole();
                return Ok(());
            }
            if self.opened.is_none() && !self.batcher.is_empty() {
                self.opened = Some(Instant::now());
            }
            self.ask_for_fence();
            if self.is_due(true) {
                self.flush()?;
            }
        }
    }

    /// A table is stopped in the middle of a transaction, which must not be broken apart: the open
    /// batch is dropped whole, and comes again when the table goes on.
    fn stop_whole(&mut self) {
        for stop in self.batcher.stops().to_vec() {
            let stopping = self.target.stop_table(&stop);
            if let Err(error) = self.runtime.block_on(stopping) {
                // It will be met again.
                tracing::warn!(%error, "a table could not be stopped");
            }
        }
        let states = self.runtime.block_on(self.target.table_states());
        if let Ok(states) = states {
            self.shared.know_held(super::holds::held(self.target.plan(), states));
        }
        self.batcher.assign(Vec::new());
        self.opened = None;
        self.shared.fence(self.generation);
    }

    fn check_alone(&mut self) -> Result<(), Error> {
        let owned = self.batcher.positions().count();
        let Some(whole) = self.whole.as_mut().filter(|whole| !whole.is_alone) else {
            return Ok(());
        };
        if owned == 0 {
            return Ok(());
        }
        // While the brokers don't answer, nothing is released.
        let Ok(existing) = self.topics.existing(&self.client) else { return Ok(()) };
        let subscribed = existing.iter().filter(|(name, _)| self.subscribed.contains_key(*name));
        let all = subscribed.map(|(_, count)| usize::try_from(*count).unwrap_or(0)).sum();
        if owned < all {
            let group = self.shared.settings.group.clone();
            return Err(Error::Shared { owned, all, group });
        }
        whole.is_alone = true;
        Ok(())
    }

    fn pause_what_is_ahead(&mut self) {
        let Some(whole) = &mut self.whole else { return };
        let ahead = whole.sequencer.ahead();
        let list = |places: &mut dyn Iterator<Item = &(String, i32)>| {
            let mut list = TopicPartitionList::new();
            for (topic, partition) in places {
                list.add_partition(topic, *partition);
            }
            list
        };
        let told = |result: KafkaResult<()>| {
            if let Err(error) = result {
                tracing::debug!(%error, "pausing or resuming partitions");
            }
        };
        let more = list(&mut ahead.difference(&whole.ahead));
        if more.count() > 0 {
            told(self.client.pause(&more));
        }
        let over = list(&mut whole.ahead.difference(&ahead));
        if over.count() > 0 {
            told(self.client.resume(&over));
        }
        whole.ahead = ahead;
    }

    fn tell_what_is_missing(&mut self) {
        let Some(whole) = &mut self.whole else { return };
        let now = Instant::now();
        if now < whole.tell_at {
            return;
        }
        whole.tell_at = now + TELL;
        let bytes = whole.sequencer.bytes();
        let missing = whole.sequencer.missing();
        let pending =
            missing.map(|(transaction, here, needed)| Pending { transaction, here, needed, bytes });
        self.shared.progress.send_if_modified(|progress| {
            let is_news = progress.pending != pending;
            progress.pending = pending;
            is_news
        });
        let Some(Pending { transaction, here, needed, .. }) = pending else {
            whole.oldest = None;
            return;
        };
        let known = whole.oldest.filter(|(oldest, _)| *oldest == transaction);
        let since = known.map_or(now, |(_, since)| since);
        whole.oldest = Some((transaction, since));
        if now - since > STUCK {
            let why = match needed {
                Some(needed) => format!("{} events of", needed.saturating_sub(here)),
                None => "the END mark of".to_owned(),
            };
            self.shared.tell(State::Waiting, Some(format!("{why} the transaction {transaction}")));
        }
    }
}
