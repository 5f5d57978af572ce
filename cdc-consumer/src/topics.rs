//! The topics of a connector, by its naming rule.

use std::collections::{BTreeMap, BTreeSet};

use mapping::plan::{Plan, TableId, TableRole};

use crate::settings::Settings;

/// The topics of a connector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics {
    /// Those that carry rows, the marker's among them. A fence names their ends.
    pub rows: BTreeSet<String>,
    /// Heartbeats and transaction marks: read, but they prove nothing.
    pub others: BTreeSet<String>,
    /// The tables of each topic: nearly always one, but characters that a topic can't have are
    /// replaced, so two names may become one.
    pub tables: BTreeMap<String, Vec<TableId>>,
}

impl Topics {
    /// The topics of the plan's tables under the settings' prefix. Ignored tables are not read.
    #[must_use]
    pub fn new(settings: &Settings, plan: &Plan) -> Self {
        let prefix = &settings.topic_prefix;
        let topic = |table: &str| sanitised(&format!("{prefix}.{}.{table}", plan.database));
        let mut tables: BTreeMap<String, Vec<TableId>> = BTreeMap::new();
        for table in &plan.tables {
            if !matches!(table.role, TableRole::Ignored { .. }) {
                tables.entry(topic(&table.table.to_string())).or_default().push(table.id);
            }
        }
        let rows = tables.keys().cloned().chain([topic(&settings.marker_table)]).collect();
        let others = [transactions(prefix), format!("__debezium-heartbeat.{prefix}")];
        Self { rows, others: others.into(), tables }
    }

    /// The topics that carry a table's rows.
    pub fn of(&self, table: TableId) -> impl Iterator<Item = &str> {
        let carries = move |tables: &Vec<TableId>| tables.contains(&table);
        self.tables.iter().filter(move |(_, tables)| carries(tables)).map(|(topic, _)| &**topic)
    }

    /// The tables whose rows a topic carries.
    #[must_use]
    pub fn tables_of(&self, topic: &str) -> &[TableId] {
        self.tables.get(topic).map_or(&[], Vec::as_slice)
    }
}

/// The topic of transaction marks.
pub(crate) fn transactions(prefix: &str) -> String {
    format!("{prefix}.transaction")
}

/// Debezium replaces every character outside of letters, digits, `.`, `_` and `-`.
fn sanitised(topic: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    topic.chars().map(|c| if kept(c) { c } else { '_' }).collect()
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
