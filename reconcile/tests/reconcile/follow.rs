//! A stream in small: brings what CDC captured, as the connector and the consumer do.

use std::time::Duration;

use mapping::{
    plan::{SourceOp, TableId, TableRole},
    position::{Lsn, Position},
    value::LegacyValue,
};
use sandbox::legacy::{Operation, Row};
use tokio_util::sync::CancellationToken;

use crate::lab::{Change, Lab};

/// Follows the log until it is stopped, `lag` behind and in small steps.
pub(crate) async fn follow(lab: &Lab, from: Lsn, lag: Duration, stop: CancellationToken) {
    let log = lab.database.log();
    let mut after = from;
    loop {
        let commits = log.read(after, 20).unwrap();
        if commits.is_empty() {
            if stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        tokio::time::sleep(lag).await;
        let mut changes = Vec::new();
        let mut passed = None;
        for commit in &commits {
            after = commit.lsn;
            for (change, order) in commit.changes.iter().zip(1_u64..) {
                if change.table.table.name == "ficus_marker" {
                    passed = Some(commit.lsn);
                    continue;
                }
                let position = Position::streamed(commit.lsn, order);
                let op = match change.operation {
                    Operation::Delete => SourceOp::Delete,
                    Operation::Insert | Operation::Update => SourceOp::Upsert,
                };
                let row = change.after.as_ref().or(change.before.as_ref()).unwrap();
                changes.extend(mapped(lab, &change.table.table, row, op, position));
            }
        }
        if !changes.is_empty() {
            lab.apply(changes).await;
        }
        if let Some(lsn) = passed {
            lab.pass(lsn).await;
        }
    }
}

fn mapped(
    lab: &Lab,
    table: &mapping::catalog::LegacyTable,
    row: &Row,
    op: SourceOp,
    position: Position,
) -> Option<Change> {
    let plan = lab.plan.table(&table.schema, &table.name)?;
    if !matches!(plan.role, TableRole::Entities(_)) {
        return None;
    }
    let catalog = lab.database.catalog();
    let names = &catalog.table(table)?.columns;
    let all = row.values();
    let value = |name: &str| {
        let index = names.iter().position(|column| column.name == name)?;
        all.get(index).cloned()
    };
    let values = plan.columns.iter().map(|column| value(&column.name).unwrap_or(LegacyValue::Null));
    let table: TableId = plan.id;
    Some(Change { table, op, values: values.collect(), position })
}
