//! Is there nothing left to read, although the log goes on?
//!
//! A transactional producer ends each transaction with a control record, which has an offset and
//! is nobody's message; an aborted transaction is nothing but offsets; compaction leaves offsets
//! without a message. At the end of a quiet topic they keep it from ever being read to its end, and
//! a fence, which names the end, would wait for the topic's next event.
//!
//! So a partition that has stood still below its end for a while is looked at by a client of its own,
//! which reads from there: whoever comes to the end without a message has proven that there is none.
//! The end is that of decided transactions: what is behind it may become a message yet.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::error::KafkaResult;
use tokio::{sync::oneshot, task::JoinHandle};

use super::peek::{self, Found};
use crate::{batch::Batcher, settings::Settings};

/// How long a partition stands still before it is looked at.
const STILL: Duration = Duration::from_secs(2);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(10);
/// After a look that found a message, nobody looks again for so long.
const AGAIN: Duration = Duration::from_secs(60);

/// Offsets of a partition that may have no message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    topic: String,
    partition: i32,
    /// The offset to read next.
    from: i64,
    /// The end of what is decided.
    to: i64,
}

/// Since when a partition stands where it is.
#[derive(Debug)]
struct Still {
    from: i64,
    since: Instant,
}

/// Looks at partitions that stand still, one after the other.
#[derive(Debug, Default)]
pub(super) struct Silence {
    still: BTreeMap<(String, i32), Still>,
    look: Option<Look>,
}

#[derive(Debug)]
struct Look {
    stretch: Stretch,
    answer: oneshot::Receiver<bool>,
    _task: JoinHandle<()>,
}

impl Silence {
    /// Forgets everything: the assignment has changed.
    pub(super) fn reset(&mut self) {
        self.still.clear();
        self.look = None;
    }

    /// Goes on to the end where nothing but offsets is left; whether it did somewhere.
    pub(super) fn pass_over(
        &mut self,
        settings: &Settings,
        batcher: &mut Batcher,
        ends: &[(String, i32, i64)],
    ) -> bool {
        let next = |topic: &str, partition: i32| {
            let mut positions = batcher.positions();
            positions.find(|at| at.0 == topic && at.1 == partition).map(|at| at.2)
        };
        let behind = ends.iter().filter_map(|(topic, partition, to)| {
            let from = next(topic, *partition).filter(|from| from < to)?;
            Some(Stretch { topic: topic.clone(), partition: *partition, from, to: *to })
        });
        let behind: Vec<Stretch> = behind.collect();
        let Some(found) = self.watch(settings, &behind) else { return false };
        tracing::debug!(topic = found.topic, partition = found.partition, "nothing to read");
        batcher.pass_over(&found.topic, found.partition, (found.from, found.to));
        true
    }

    /// Takes note of where the partitions are, begins a look when one is due, and comes back with
    /// what a look has found empty.
    fn watch(&mut self, settings: &Settings, behind: &[Stretch]) -> Option<Stretch> {
        let now = Instant::now();
        self.still.retain(|partition, still| {
            let same = |stretch: &&Stretch| {
                stretch.topic == partition.0 && stretch.partition == partition.1
            };
            behind.iter().find(same).is_some_and(|stretch| stretch.from == still.from)
        });
        for stretch in behind {
            let partition = (stretch.topic.clone(), stretch.partition);
            self.still.entry(partition).or_insert(Still { from: stretch.from, since: now });
        }
        if let Some(found) = self.heed_answer(now) {
            // It may have been read meanwhile.
            return behind.contains(&found).then_some(found);
        }
        if self.look.is_none() {
            let due = |stretch: &&Stretch| {
                let partition = (stretch.topic.clone(), stretch.partition);
                self.still.get(&partition).is_some_and(|still| still.since + STILL <= now)
            };
            self.look = behind.iter().find(due).map(|stretch| begin(settings, stretch.clone()));
        }
        None
    }

    fn heed_answer(&mut self, now: Instant) -> Option<Stretch> {
        let answer = match self.look.as_mut()?.answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => false,
            Ok(answer) => answer,
        };
        let Look { stretch, .. } = self.look.take()?;
        if answer {
            return Some(stretch);
        }
        if let Some(still) = self.still.get_mut(&(stretch.topic, stretch.partition)) {
            still.since = now + AGAIN;
        }
        None
    }
}

fn begin(settings: &Settings, stretch: Stretch) -> Look {
    let (sender, answer) = oneshot::channel();
    let (settings, looked_at) = (settings.clone(), stretch.clone());
    let task = tokio::runtime::Handle::current().spawn_blocking(move || {
        let silent = is_silent(&settings, &looked_at).unwrap_or_else(|error| {
            let Stretch { topic, partition, .. } = &looked_at;
            tracing::debug!(%error, topic, partition, "looking at a partition that stands still");
            false
        });
        if sender.send(silent).is_err() {
            tracing::trace!("nobody waits for the answer any more");
        }
    });
    Look { stretch, answer, _task: task }
}

/// Whether reading comes to the end without a message.
fn is_silent(settings: &Settings, stretch: &Stretch) -> KafkaResult<bool> {
    let place = (stretch.topic.clone(), stretch.partition, stretch.from);
    let found = peek::look(settings, &[place], LOOK)?;
    Ok(found.iter().all(|found| match found {
        Found::Message { offset, .. } => *offset >= stretch.to,
        Found::End => true,
        Found::Unknown => false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(from: i64, to: i64) -> Stretch {
        Stretch { topic: "t".into(), partition: 0, from, to }
    }

    #[tokio::test]
    async fn only_what_stands_still_is_looked_at() {
        let settings = Settings::new("127.0.0.1:1", "g", "p");
        let mut silence = Silence::default();
        assert_eq!(silence.watch(&settings, &[stretch(5, 6)]), None);
        assert!(silence.look.is_none(), "not yet");
        let waited = |silence: &mut Silence| {
            for still in silence.still.values_mut() {
                still.since -= STILL;
            }
        };
        waited(&mut silence);
        silence.watch(&settings, &[stretch(6, 7)]);
        assert!(silence.look.is_none(), "it moved");
        waited(&mut silence);
        silence.watch(&settings, &[stretch(6, 7)]);
        assert!(silence.look.is_some());
    }

    #[tokio::test]
    async fn an_answer_holds_only_where_nothing_moved() {
        let settings = Settings::new("127.0.0.1:1", "g", "p");
        for (now, found) in [(stretch(5, 6), true), (stretch(6, 6), false), (stretch(5, 8), false)]
        {
            let (sender, answer) = oneshot::channel();
            let task = tokio::spawn(async {});
            let look = Some(Look { stretch: stretch(5, 6), answer, _task: task });
            let mut silence = Silence { look, ..Silence::default() };
            sender.send(true).unwrap();
            let answer = silence.watch(&settings, std::slice::from_ref(&now));
            assert_eq!(answer.is_some(), found, "{now:?}");
        }
    }
}
