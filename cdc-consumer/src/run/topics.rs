//! Which topics there are, and how far they reach.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};

use super::client::Client;
use crate::topics::Topics;

/// How long one question to the brokers may take.
pub(super) const ASK: Duration = Duration::from_secs(5);

impl Topics {
    /// Those that exist, with their numbers of partitions.
    pub(super) fn existing(&self, client: &Client) -> KafkaResult<BTreeMap<String, i32>> {
        let metadata = client.fetch_metadata(None, ASK)?;
        let wanted = |name: &str| self.rows.contains(name) || self.others.contains(name);
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| wanted(topic.name()) && !topic.partitions().is_empty())
            .map(|topic| {
                let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
                (topic.name().to_owned(), count)
            })
            .collect())
    }

    /// The end offsets of all partitions that carry rows, whoever owns them.
    pub(super) fn ends(&self, client: &Client) -> KafkaResult<Vec<(String, i32, i64)>> {
        let existing = self.existing(client)?;
        let partitions = existing
            .iter()
            .filter(|(name, _)| self.rows.contains(*name))
            .flat_map(|(name, count)| (0..*count).map(|number| (name.clone(), number)))
            .collect::<Vec<_>>();
        offsets(client, &partitions, Offset::End)
    }
}

/// The first or last offsets of partitions, in one question to each broker.
pub(super) fn offsets(
    client: &Client,
    partitions: &[(String, i32)],
    which: Offset,
) -> KafkaResult<Vec<(String, i32, i64)>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, which)?;
    }
    let answer = client.offsets_for_times(list, ASK)?;
    let mut offsets = Vec::with_capacity(partitions.len());
    for element in answer.elements() {
        element.error()?;
        let Offset::Offset(offset) = element.offset() else {
            // A leader that did not answer leaves what was asked.
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NoOffset));
        };
        offsets.push((element.topic().to_owned(), element.partition(), offset));
    }
    Ok(offsets)
}
