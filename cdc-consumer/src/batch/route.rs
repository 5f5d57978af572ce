//! Which table an event is of: its source says so, and not its topic.

use super::{Batcher, count};
use crate::decode::Event;

/// Names of tables that no mapping file names, kept at most.
const UNMAPPED_MAX: usize = 1_000;

/// Where a topic's events go; topics carry one table each, nearly always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Table(usize),
    Marker,
    Unmapped,
}

#[derive(Debug)]
pub(super) struct RouteMemo {
    schema: String,
    table: String,
    pub(super) route: Route,
}

impl Batcher {
    pub(super) fn route(&mut self, topic: &str, event: &Event<'_>) -> Route {
        let source = &event.source;
        if let Some(memo) = self.routes.get(topic)
            && memo.table == source.table
            && memo.schema == source.schema
        {
            return memo.route.clone();
        }
        let is_marker = self.marker.schema.eq_ignore_ascii_case(&source.schema)
            && self.marker.name.eq_ignore_ascii_case(&source.table);
        let index = self.plan.tables.iter().position(|plan| {
            plan.table.schema.eq_ignore_ascii_case(&source.schema)
                && plan.table.name.eq_ignore_ascii_case(&source.table)
        });
        let route = match index {
            _ if is_marker => Route::Marker,
            Some(index) => Route::Table(index),
            None => Route::Unmapped,
        };
        let (schema, table) = (source.schema.to_string(), source.table.to_string());
        self.routes.insert(topic.into(), RouteMemo { schema, table, route: route.clone() });
        route
    }

    pub(super) fn count_unmapped(&mut self, event: &Event<'_>) {
        let name = format!("{}.{}", event.source.schema, event.source.table);
        let unmapped = &mut self.seen.unmapped;
        if !unmapped.contains_key(&name) {
            tracing::warn!(table = %name, "events of a table that no mapping file names are ignored");
        }
        if unmapped.len() < UNMAPPED_MAX || unmapped.contains_key(&name) {
            count(unmapped, &name);
        }
    }
}
