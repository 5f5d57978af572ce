//! Which topics are read, and how far they reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mapping::plan::{Plan, TableRole};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};

use super::client::Client;
use crate::settings::Settings;

/// How long one question to the brokers may take.
pub(super) const ASK: Duration = Duration::from_secs(5);

/// The topics of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Those that carry rows, the marker's among them. A fence names their ends.
    pub rows: BTreeSet<String>,
    /// Heartbeats and transaction marks: read, but they prove nothing.
    pub others: BTreeSet<String>,
}

impl Topics {
    /// The topics of the plan's tables under the settings' prefix. Ignored tables are not read.
    #[must_use]
    pub fn new(settings: &Settings, plan: &Plan) -> Self {
        let prefix = &settings.topic_prefix;
        let tables = plan
            .tables
            .iter()
            .filter(|table| !matches!(table.role, TableRole::Ignored { .. }))
            .map(|table| table.table.to_string());
        let rows = tables
            .chain([settings.marker_table.clone()])
            .map(|table| sanitised(&format!("{prefix}.{}.{table}", plan.database)))
            .collect();
        let others = [format!("{prefix}.transaction"), format!("__debezium-heartbeat.{prefix}")];
        Self { rows, others: others.into() }
    }

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

/// Debezium replaces every character outside of letters, digits, `.`, `_` and `-`.
fn sanitised(topic: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    topic.chars().map(|c| if kept(c) { c } else { '_' }).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_debezium_makes() {
        assert_eq!(sanitised("p.bank.бүртгэл.Гэрээ Contract"), "p.bank._______.______Contract");
        let plan = Plan { database: "Spacehub23".into(), ..Plan::default() };
        let topics = Topics::new(&Settings::new("b", "g", "spacehub"), &plan);
        assert!(topics.rows.contains("spacehub.Spacehub23.dbo.ficus_marker"));
        assert!(topics.others.contains("spacehub.transaction"));
        assert!(topics.others.contains("__debezium-heartbeat.spacehub"));
    }
}
