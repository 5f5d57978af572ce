//! A stream in small: brings what CDC captured, as the connector and the consumer do.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use mapping::{
    catalog::Catalog,
    plan::{SourceOp, TableId, TableRole},
    position::{Lsn, Position},
    value::LegacyValue,
};
use sandbox::legacy::{Operation, Row};
use tokio_util::sync::CancellationToken;

use crate::lab::{Change, Lab};

/// Commits that are applied at a time.
const COMMITS: usize = 1_000;

/// Follows the log until it is stopped, `lag` behind.
pub(crate) async fn follow(lab: &Lab, from: Lsn, lag: Duration, stop: CancellationToken) {
    let carried = AtomicU64::new(0);
    follow_counted(lab, (from, &carried), lag, stop).await;
}

/// As [`follow`], and counts the transactions that it has brought.
pub(crate) async fn follow_counted(
    lab: &Lab,
    (from, carried): (Lsn, &AtomicU64),
    lag: Duration,
    stop: CancellationToken,
) {
    let log = lab.database.log();
    let catalog = lab.database.catalog();
    let mut after = from;
    loop {
        let commits = log.read(after, COMMITS).unwrap();
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
                changes.extend(mapped((lab, &catalog), &change.table.table, row, op, position));
            }
        }
        if !changes.is_empty() {
            lab.apply(changes).await;
        }
        carried.fetch_add(u64::try_from(commits.len()).unwrap(), Ordering::Relaxed);
        if let Some(lsn) = passed {
            lab.pass(lsn).await;
        }
    }
}

fn mapped(
    (lab, catalog): (&Lab, &Catalog),
    table: &mapping::catalog::LegacyTable,
    row: &Row,
    op: SourceOp,
    position: Position,
) -> Option<Change> {
    let plan = lab.plan.table(&table.schema, &table.name)?;
    if !matches!(plan.role, TableRole::Entities(_)) {
        return None;
    }
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
