//! Reading the same partitions once more from where Postgres is, without a word to the group.

use rdkafka::{Offset, TopicPartitionList, consumer::Consumer, error::KafkaResult};
use target::partition::PartitionPosition;

use super::{reader::Reader, shared::Notice, topics};
use crate::batch::Owned;

impl Reader {
    /// Goes back to what Postgres has of each partition; false where that can't be told, or where
    /// one of them is not ours any more.
    ///
    /// No epoch changes. Should a commit whose answer was lost get through after all, Postgres
    /// refuses the batch that is read again for its expected offset.
    pub(super) fn read_again(&self) -> bool {
        let asking = async { tokio::time::timeout(topics::ASK, self.target.positions()).await };
        let Ok(Ok(positions)) = self.runtime.block_on(asking) else { return false };
        let group = &self.shared.settings.group;
        let ours = self.owned.iter().map(|one| resume(one, group, &positions));
        let Some(owned) = ours.collect::<Option<Vec<Owned>>>() else { return false };
        match self.seek(&owned) {
            Ok(()) => {
                self.shared.notify(Notice::Again(owned));
                true
            }
            Err(error) => {
                tracing::debug!(%error, "seeking");
                false
            }
        }
    }

    fn seek(&self, owned: &[Owned]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(owned.len());
        for one in owned {
            let (topic, partition) = (&one.topic, one.partition);
            self.client.seek(topic, partition, Offset::Offset(one.next), topics::ASK)?;
            list.add_partition(topic, partition);
        }
        // Those that wait for something else find it out again.
        self.client.resume(&list)
    }
}

/// A partition as it is to be read now; `None` when somebody else has claimed it.
fn resume(one: &Owned, group: &str, positions: &[PartitionPosition]) -> Option<Owned> {
    let at = positions
        .iter()
        .find(|at| at.group == group && at.topic == one.topic && at.partition == one.partition)?;
    if at.epoch != one.epoch {
        return None;
    }
    if at.next_offset == one.expected {
        // Nothing was committed, not even where reading began.
        return Some(one.clone());
    }
    let next = at.next_offset;
    let commit_lsn = at.commit_lsn;
    Some(Owned { expected: next, next, first: false, commit_lsn, ..one.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_postgres_and_only_with_what_is_its_own() {
        let one = Owned {
            topic: "t".into(),
            partition: 3,
            epoch: 7,
            expected: 0,
            next: 5,
            first: true,
            commit_lsn: None,
        };
        let at = |next_offset, epoch| PartitionPosition {
            group: "g".into(),
            topic: "t".into(),
            partition: 3,
            next_offset,
            epoch,
            owner: String::new(),
            commit_lsn: None,
            source_ts_ms: None,
            updated_at_ms: 0,
            now_ms: 0,
        };
        // The log began at 5, which is still to be stored.
        assert_eq!(resume(&one, "g", &[at(0, 7)]), Some(one.clone()));
        let next = Owned { expected: 9, next: 9, first: false, ..one.clone() };
        assert_eq!(resume(&one, "g", &[at(9, 7)]), Some(next));
        assert_eq!(resume(&one, "g", &[at(9, 8)]), None, "another process has it");
        assert_eq!(resume(&one, "other", &[at(9, 7)]), None);
    }
}
