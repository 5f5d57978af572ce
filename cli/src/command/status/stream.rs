//! The stream by table: how far, how far behind at each hop, and whether it waits.

use std::collections::BTreeMap;

use mapping::position::Lsn;
use serde_json::{Value, json};
use target::{
    Target,
    drift::Drift,
    follow::{Follow, TableState},
    stream::PartitionPace,
};

use crate::out;

/// A table of the stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TablePace {
    pub(crate) table: String,
    pub(crate) state: Follow,
    pub(crate) reason: String,
    pub(crate) detail: String,
    pub(crate) remedy: String,
    pub(crate) position: Option<Lsn>,
    pub(crate) behind: Option<i64>,
    pub(crate) behind_ms: Option<i64>,
    pub(crate) legacy_to_kafka_ms: Option<i64>,
    pub(crate) kafka_to_applied_ms: Option<i64>,
    pub(crate) messages_per_second: f64,
    pub(crate) told_ms_ago: Option<i64>,
}

/// Everything about the stream that is in Postgres.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Stream {
    pub(crate) tables: Vec<TablePace>,
    pub(crate) drift: Vec<Drift>,
}

impl Stream {
    /// Of one consumer group; of all when none is named.
    pub(crate) async fn read(target: &Target, group: Option<&str>) -> anyhow::Result<Self> {
        let mut paces = target.pace().await?;
        paces.retain(|pace| group.is_none_or(|group| pace.group == group));
        Ok(Self::of(&paces, &target.table_states().await?, target.drift().await?))
    }

    /// From its parts.
    pub(crate) fn of(paces: &[PartitionPace], states: &[TableState], drift: Vec<Drift>) -> Self {
        Self { tables: by_table(paces, states), drift }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.tables.iter().map(TablePace::row).collect();
        let mut text = out::table(HEADER, &rows);
        for table in self.tables.iter().filter(|table| table.state != Follow::Following) {
            let TablePace { table, state, detail, remedy, .. } = table;
            text.push_str(&format!("  {table} is {state}: {detail}\n      {remedy}\n"));
        }
        for drift in &self.drift {
            let Drift { table, column, kind, policy, events, first, .. } = drift;
            text.push_str(&format!(
                "  drift: {table} column `{column}` is {kind} in {} events since {first} ({policy})\n",
                out::thousands(*events)
            ));
        }
        text
    }

    /// For machines.
    pub(crate) fn json(&self) -> (Value, Value) {
        let tables = self.tables.iter().map(TablePace::json).collect();
        let drift = self.drift.iter().map(|drift| {
            json!({
                "table": drift.table, "column": drift.column, "kind": drift.kind,
                "policy": drift.policy, "events": drift.events, "firstAtMs": drift.first_at_ms,
                "lastAtMs": drift.last_at_ms, "firstPosition": drift.first.to_string(),
            })
        });
        (Value::Array(tables), drift.collect())
    }
}

const HEADER: &[&str] = &[
    "stream of",
    "state",
    "commit LSN",
    "behind",
    "behind s",
    "legacy-Kafka s",
    "Kafka-applied s",
    "messages/s",
    "told s ago",
];

impl TablePace {
    fn row(&self) -> Vec<String> {
        let number = |value: Option<i64>| {
            value.map_or("-".to_owned(), |value| {
                out::thousands(u64::try_from(value).unwrap_or_default())
            })
        };
        let state = match self.reason.as_str() {
            "" | "operator" => self.state.to_string(),
            reason => format!("{} ({reason})", self.state),
        };
        vec![
            self.table.clone(),
            state,
            self.position.map_or("-".to_owned(), |lsn| lsn.to_string()),
            number(self.behind),
            seconds(self.behind_ms),
            seconds(self.legacy_to_kafka_ms),
            seconds(self.kafka_to_applied_ms),
            format!("{:.0}", self.messages_per_second),
            seconds(self.told_ms_ago),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "table": self.table, "state": self.state.as_str(), "reason": self.reason,
            "detail": self.detail, "remedy": self.remedy,
            "commitLsn": self.position.map(|lsn| lsn.to_string()),
            "behindMessages": self.behind, "behindMs": self.behind_ms,
            "legacyToKafkaMs": self.legacy_to_kafka_ms,
            "kafkaToAppliedMs": self.kafka_to_applied_ms,
            "messagesPerSecond": self.messages_per_second, "toldMsAgo": self.told_ms_ago,
        })
    }
}

fn seconds(ms: Option<i64>) -> String {
    ms.map_or("-".to_owned(), |ms| format!("{}.{}", ms / 1_000, ms % 1_000 / 100))
}

/// Partitions joined by their table; the two hops are those of the newest change.
fn by_table(paces: &[PartitionPace], states: &[TableState]) -> Vec<TablePace> {
    let mut tables: BTreeMap<&str, TablePace> = BTreeMap::new();
    for state in states {
        tables.insert(&state.table, TablePace::new(&state.table, Some(state)));
    }
    for pace in paces {
        let Some(name) = pace.table.as_deref() else { continue };
        let table = tables.entry(name).or_insert_with(|| TablePace::new(name, None));
        table.add(pace);
    }
    tables.into_values().collect()
}

impl TablePace {
    fn new(name: &str, state: Option<&TableState>) -> Self {
        let text = |pick: fn(&TableState) -> &String| state.map(pick).cloned().unwrap_or_default();
        Self {
            table: name.to_owned(),
            state: state.map_or(Follow::Following, |state| state.state),
            reason: text(|state| &state.reason),
            detail: text(|state| &state.detail),
            remedy: text(|state| &state.remedy),
            position: None,
            behind: None,
            behind_ms: None,
            legacy_to_kafka_ms: None,
            kafka_to_applied_ms: None,
            messages_per_second: 0.0,
            told_ms_ago: None,
        }
    }

    fn add(&mut self, pace: &PartitionPace) {
        if pace.commit_lsn >= self.position && pace.legacy_to_kafka_ms.is_some() {
            self.legacy_to_kafka_ms = pace.legacy_to_kafka_ms;
            self.kafka_to_applied_ms = pace.kafka_to_applied_ms;
        }
        self.position = self.position.max(pace.commit_lsn);
        if let Some(behind) = pace.behind() {
            self.behind = Some(self.behind.unwrap_or(0) + behind);
        }
        self.behind_ms = self.behind_ms.max(pace.behind_ms);
        self.messages_per_second += pace.messages_per_second.unwrap_or(0.0);
        self.told_ms_ago = self.told_ms_ago.max(pace.told_ms_ago);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(partition: i32, lsn: &str, behind: i64, times: (i64, i64)) -> PartitionPace {
        PartitionPace {
            group: "g".to_owned(),
            topic: "t".to_owned(),
            partition,
            table: Some("dbo.Contract".to_owned()),
            next_offset: 100,
            end_offset: Some(100 + behind),
            commit_lsn: Lsn::parse(lsn).ok(),
            owner: "me".to_owned(),
            messages_per_second: Some(1.5),
            legacy_to_kafka_ms: Some(times.0),
            kafka_to_applied_ms: Some(times.1),
            behind_ms: Some(if behind > 0 { 7_000 } else { 0 }),
            told_ms_ago: Some(900),
        }
    }

    #[test]
    fn partitions_become_their_table() {
        let paces = [
            pace(0, "00000027:00000758:0001", 5, (1, 2)),
            pace(1, "00000027:00000758:0009", 0, (1_200, 345)),
        ];
        let state = TableState {
            table: "dbo.Gone".to_owned(),
            state: Follow::Stopped,
            reason: "gap".to_owned(),
            detail: "changes are gone".to_owned(),
            remedy: "copy it again".to_owned(),
            since_ms: 0,
            verified: None,
            gap_accepted: false,
        };
        let stream = Stream::of(&paces, &[state], Vec::new());
        insta::assert_snapshot!(stream.text());
        let (tables, _) = stream.json();
        assert_eq!(tables[0]["behindMessages"], 5);
        assert_eq!(tables[0]["legacyToKafkaMs"], 1_200);
        assert_eq!(tables[1]["state"], "stopped");
    }
}
