//! Tables that are not followed while others are: they are paused, or were stopped.
//!
//! Postgres says which (`ficus.stream_table`). A table that is stopped by what it brings waits at
//! once; the word goes to Postgres with the batch that is open, and comes back from there.

use std::collections::{BTreeMap, BTreeSet};

use mapping::plan::{TableId, TablePlan};
use target::follow::{StopReason, TableStop};

use super::{Batcher, Incoming, offsets::Wait};

/// The tables that wait.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// Whether Postgres knows it already.
    tables: BTreeMap<TableId, bool>,
    /// Topics that brought rows of a table, other than by name.
    strays: BTreeMap<TableId, BTreeSet<String>>,
    changed: bool,
}

impl Holds {
    pub(super) fn contains(&self, table: TableId) -> bool {
        !self.tables.is_empty() && self.tables.contains_key(&table)
    }
}

impl Batcher {
    /// Takes over which tables Postgres says are not followed. Comes back with the partitions
    /// that go on, and where each of them does.
    pub fn heed(&mut self, held: &BTreeSet<TableId>) -> Vec<(String, i32, i64)> {
        for table in held {
            self.hold(*table, true);
        }
        let over =
            |(table, told): (&TableId, &bool)| (*told && !held.contains(table)).then_some(*table);
        let released: Vec<TableId> = self.holds.tables.iter().filter_map(over).collect();
        released.into_iter().flat_map(|table| self.release(table)).collect()
    }

    /// Tables that wait.
    pub fn held(&self) -> impl Iterator<Item = TableId> {
        self.holds.tables.keys().copied()
    }

    /// Partitions that are not to be read, on behalf of their tables or of the run's end.
    #[must_use]
    pub fn waiting_partitions(&self) -> Vec<(String, i32)> {
        let waiting = self.offsets.waiting(Wait::Table).chain(self.offsets.waiting(Wait::Until));
        waiting.map(|(topic, number, _)| (topic.to_owned(), number)).collect()
    }

    /// Partitions whose next change is above the LSN at which the run ends, and its offset.
    pub fn past_until(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.offsets.waiting(Wait::Until)
    }

    /// Whether other partitions wait than at the last call.
    pub fn take_waiting_change(&mut self) -> bool {
        std::mem::take(&mut self.holds.changed)
    }

    fn hold(&mut self, table: TableId, told: bool) {
        match self.holds.tables.get_mut(&table) {
            Some(known) => *known |= told,
            None => {
                self.holds.tables.insert(table, told);
                self.holds.changed = true;
                for topic in self.topics.of(table) {
                    self.offsets.wait_all(topic);
                }
            }
        }
    }

    fn release(&mut self, table: TableId) -> Vec<(String, i32, i64)> {
        self.holds.tables.remove(&table);
        let mut topics: BTreeSet<String> = self.topics.of(table).map(str::to_owned).collect();
        topics.extend(self.holds.strays.remove(&table).unwrap_or_default());
        // Another table of the topic may still wait.
        topics.retain(|topic| {
            let others = self.topics.tables_of(topic).iter();
            !others.chain(self.strays_of(topic).iter()).any(|table| self.holds.contains(*table))
        });
        topics.iter().flat_map(|topic| self.offsets.go_on(topic)).collect()
    }

    fn strays_of(&self, topic: &str) -> Vec<TableId> {
        let strays = self.holds.strays.iter().filter(|(_, topics)| topics.contains(topic));
        strays.map(|(table, _)| *table).collect()
    }

    /// Leaves a message of a table that waits where it is.
    pub(super) fn leave(&mut self, incoming: &Incoming<'_>, table: TableId) {
        let topic = incoming.topic;
        if !self.topics.tables_of(topic).contains(&table) {
            self.holds.strays.entry(table).or_default().insert(topic.to_owned());
        }
        self.offsets.wait(topic, incoming.partition, Wait::Table);
        self.holds.changed = true;
    }

    /// Ends at this message, which is above the run's end.
    pub(super) fn leave_for_good(&mut self, incoming: &Incoming<'_>) {
        self.offsets.wait(incoming.topic, incoming.partition, Wait::Until);
        self.holds.changed = true;
    }

    /// Stops a table before this message.
    pub(super) fn stop(
        &mut self,
        incoming: &Incoming<'_>,
        table: &TablePlan,
        reason: StopReason,
        (detail, remedy): (String, String),
    ) {
        let name = &table.table;
        tracing::error!(table = %name, reason = reason.as_str(), detail, remedy, "the table is stopped");
        self.open.batch.stops.push(TableStop { table: table.id, reason, detail, remedy });
        self.hold(table.id, false);
        self.leave(incoming, table.id);
    }

    /// Another assignment begins: what this process alone knew is met again.
    pub(super) fn forget_holds(&mut self) {
        let told: BTreeSet<TableId> =
            self.holds.tables.iter().filter_map(|(table, told)| told.then_some(*table)).collect();
        self.holds = Holds::default();
        for table in told {
            self.hold(table, true);
        }
    }
}
