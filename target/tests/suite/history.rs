//! Whatever order, duplication and cutting a valid history is delivered in, and however a copy
//! races it, the target ends as the history says.
//!
//! What a source really does is generated: a log of changes of a few rows with whole and partial
//! images, deletes and soft deletes; a stream that starts somewhere in the log, is cut into
//! batches anywhere, and starts again from an earlier place now and then; and reads of rows at
//! some moment, stamped with a low watermark that may lie before it, which are written at any
//! later time. The model is the last state in the log.

use std::collections::BTreeMap;

use mapping::{plan::Plan, value::LegacyValue};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::lab::{Lab, MAPPING, Values, at, contract, plan, plan_of, read, text, with};

const C: &str = "Contract";
const KEYS: [&str; 3] = ["A", "B", "C"];

#[derive(Debug, Clone, PartialEq)]
struct Row {
    total: i64,
    terms: u8,
    deleted: bool,
    version: i64,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    /// Insert, or update with a new LOB.
    Whole,
    /// Update that leaves the LOB alone.
    Partial,
    SoftDelete,
    Undelete,
    Delete,
}

/// A change and the row after it.
#[derive(Debug, Clone)]
struct Change {
    key: usize,
    lob_changed: bool,
    after: Option<Row>,
}

/// The log: change *n* has LSN *n + 1*.
fn log(wanted: &[(usize, Op)]) -> Vec<Change> {
    let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
    let mut log = Vec::new();
    for (n, (key, op)) in wanted.iter().enumerate() {
        let n = i64::try_from(n).expect("few");
        let terms = u8::try_from(n % 26).expect("small") + b'a';
        let before = rows.get(key).cloned();
        let (after, lob_changed) = match (op, before) {
            (Op::Delete, None) => continue,
            (Op::Delete, Some(_)) => (None, false),
            (_, None) => (Some(Row { total: n, terms, deleted: false, version: 1 }), true),
            (Op::Whole, Some(row)) => {
                (Some(Row { total: n, terms, version: row.version + 1, ..row }), true)
            }
            (Op::Partial, Some(row)) => {
                (Some(Row { total: n, version: row.version + 1, ..row }), false)
            }
            (Op::SoftDelete, Some(row)) => {
                (Some(Row { deleted: true, version: row.version + 1, ..row }), false)
            }
            (Op::Undelete, Some(row)) => {
                (Some(Row { deleted: false, version: row.version + 1, ..row }), false)
            }
        };
        match &after {
            Some(row) => rows.insert(*key, row.clone()),
            None => rows.remove(key),
        };
        log.push(Change { key: *key, lob_changed, after });
    }
    log
}

fn values(key: usize, row: &Row, with_lob: bool) -> Values {
    let terms = char::from(row.terms).to_string();
    let deleted = if row.deleted { LegacyValue::Int(1) } else { LegacyValue::Null };
    let lob = if with_lob { text(&terms) } else { LegacyValue::Unchanged };
    with(
        contract(KEYS[key], row.total, ""),
        &[
            ("Terms", lob),
            ("GCRecord", deleted),
            ("OptimisticLockField", LegacyValue::Int(row.version)),
        ],
    )
}

/// What is delivered, in order.
#[derive(Debug, Clone)]
enum Step {
    /// The next so many changes of the stream, as one batch.
    Stream(usize),
    /// The consumer starts again, so many changes earlier.
    Restart(usize),
    /// Read all rows now (after so many changes of the log), stamped so many changes earlier.
    Read(usize, usize),
    /// Write the oldest read that is not written yet.
    Write,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Whole),
        4 => Just(Op::Partial),
        1 => Just(Op::SoftDelete),
        1 => Just(Op::Undelete),
        1 => Just(Op::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..5).prop_map(Step::Stream),
        1 => (1_usize..9).prop_map(Step::Restart),
        1 => (0_usize..30, 0_usize..6).prop_map(|(at, behind)| Step::Read(at, behind)),
        2 => Just(Step::Write),
    ]
}

#[derive(Clone)]
struct Case {
    log: Vec<Change>,
    /// The stream begins after so many changes; a copy after that brings the rest.
    begin: usize,
    steps: Vec<Step>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, change) in self.log.iter().enumerate() {
            let lob = if change.lob_changed { "whole" } else { "partial" };
            writeln!(f, "{} {} {lob} {:?}", n + 1, KEYS[change.key], change.after)?;
        }
        write!(f, "begin {}, {:?}", self.begin, self.steps)
    }
}

fn case() -> impl Strategy<Value = Case> {
    let ops = proptest::collection::vec((0..KEYS.len(), op()), 1..30);
    (ops, 0_usize..12, proptest::collection::vec(step(), 0..25)).prop_map(|(ops, begin, steps)| {
        let log = log(&ops);
        Case { begin: begin.min(log.len()), log, steps }
    })
}

/// The rows after `count` changes.
fn state(log: &[Change], count: usize) -> BTreeMap<usize, Row> {
    let mut rows = BTreeMap::new();
    for change in log.iter().take(count) {
        match &change.after {
            Some(row) => rows.insert(change.key, row.clone()),
            None => rows.remove(&change.key),
        };
    }
    rows
}

struct Delivery<'a> {
    lab: &'a Lab,
    case: &'a Case,
    next: usize,
    /// Low watermark and rows.
    reads: Vec<(usize, BTreeMap<usize, Row>)>,
}

impl Delivery<'_> {
    async fn stream(&mut self, count: usize) {
        let mut builder = self.lab.batch();
        let end = (self.next + count).min(self.case.log.len());
        for n in self.next..end {
            let change = &self.case.log[n];
            let position = at(u64::try_from(n).expect("few") + 1);
            builder = match &change.after {
                Some(row) => {
                    builder.upsert(C, values(change.key, row, change.lob_changed), position)
                }
                None => builder.delete(C, vec![("No", text(KEYS[change.key]))], position),
            };
        }
        self.next = end;
        builder.apply(&self.lab.target).await;
    }

    async fn write(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        let (low, rows) = self.reads.remove(0);
        let mut builder = self.lab.batch();
        for (key, row) in rows {
            let low = u64::try_from(low).expect("few");
            builder = builder.upsert(C, values(key, &row, true), read(low));
        }
        builder.apply(&self.lab.target).await;
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Stream(count) => self.stream(count).await,
            Step::Restart(back) => self.next = self.next.saturating_sub(back).max(self.case.begin),
            Step::Read(now, behind) => {
                let now = now.clamp(self.case.begin, self.case.log.len());
                // The watermark is never before the stream's beginning: the copy starts later.
                let low = now.saturating_sub(behind).max(self.case.begin);
                self.reads.push((low, state(&self.case.log, now)));
            }
            Step::Write => self.write().await,
        }
    }
}

fn lines(rows: &BTreeMap<usize, Row>) -> Vec<String> {
    rows.iter()
        .map(|(key, row)| {
            let state = if row.deleted { "deleted" } else { "live" };
            let (name, total, terms) = (KEYS[*key], row.total * 100, char::from(row.terms));
            format!("{name} {total} {terms} {state} {}", row.version)
        })
        .collect()
}

async fn run(lab: &Lab, case: &Case) -> (Vec<String>, Vec<String>) {
    lab.rows(
        "truncate contracts, ficus.key_map, ficus.tombstone, ficus.parked, ficus.table_count,
           ficus.archive",
    )
    .await;
    // The ids were minted anew.
    let fresh = lab.another().await;
    let lab = &Lab { target: std::sync::Arc::new(fresh), ..lab.share() };
    let mut delivery = Delivery { lab, case, next: case.begin, reads: Vec::new() };
    delivery.reads.push((case.begin, state(&case.log, case.begin)));
    for step in &case.steps {
        delivery.step(step).await;
    }
    while delivery.next < case.log.len() {
        delivery.stream(4).await;
    }
    while !delivery.reads.is_empty() {
        delivery.write().await;
    }
    let found = lab
        .texts(
            "select concat_ws(' ', number, total, terms,
                case when deleted_at is null then 'live' else 'deleted' end, version)
             from (select number, total, terms, deleted_at, version from contracts
                   union all select r.number, r.total, r.terms, now(), r.version
                   from ficus.archive a, jsonb_populate_record(null::contracts, a.row) r
                   where a.state = 'archived') rows
             order by number",
        )
        .await;
    lab.counts("dbo.Contract", "repair").await;
    assert!(lab.target.parked_counts().await.expect("parked").is_empty(), "{case:?}");
    (found, lines(&state(&case.log, case.log.len())))
}

#[test]
fn any_delivery_of_a_history_converges() {
    converges(plan());
}

/// A soft-deleted row is in the archive, and nowhere else.
#[test]
fn any_delivery_of_a_history_converges_with_an_archive() {
    converges(plan_of(&MAPPING.replace("\"deleted_at\"", "\"archive\"")));
}

fn converges(plan: Plan) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let lab = runtime.block_on(Lab::of(plan));
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&case(), |case| {
            let (found, wanted) = runtime.block_on(run(&lab, &case));
            prop_assert_eq!(found, wanted);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
