//! What becomes of single messages.

use cdc_consumer::{
    Error,
    batch::Batcher,
    settings::{DriftPolicies, DriftPolicy, Settings},
};
use mapping::{position::Position, row::RowKind};
use target::{Batch, Checkpoint, QuarantineEntry, drift::DriftKind};

use crate::fixture::{
    At, Contract, Record, TOPIC, batcher, event, owned, plan, push_all, reselecting_plan, settings,
};

const AT: At = At { lsn: 9, order: Some(3) };

fn one(record: Record) -> Batch {
    let mut batcher = batcher();
    push_all(&mut batcher, TOPIC, &[record]);
    batcher.take().unwrap()
}

/// A batcher that does this about every surprise.
fn drifting(policy: DriftPolicy) -> Batcher {
    let settings = Settings { drift: DriftPolicies::all(policy), ..settings() };
    let mut batcher = Batcher::new(&settings, plan(), Default::default());
    batcher.assign(vec![owned(TOPIC, 0)]);
    batcher
}

fn quarantined(value: &str) -> QuarantineEntry {
    let mut batcher = drifting(DriftPolicy::Quarantine);
    push_all(&mut batcher, TOPIC, &[Record::of(value)]);
    let batch = batcher.take().unwrap();
    assert_eq!(batch.rows.row_count(), 0);
    batch.quarantine.into_iter().next().unwrap()
}

fn contract() -> Contract {
    Contract::new("Г-1", 2, Some("нөхцөл"))
}

#[test]
fn a_change_is_mapped_once_with_its_position() {
    let batch = one(Record::insert(&contract(), AT));
    let rows: Vec<_> = batch.rows.iter().flat_map(|part| &part.rows).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].kind, RowKind::Upsert);
    assert_eq!(rows[0].position.order(), 3);
    assert_eq!(rows[0].position.lsn().to_string(), AT.lsn());
    assert_eq!(batch.tables.len(), 1);
    assert_eq!(batch.read.values().next().unwrap().read, 1);
    let Checkpoint::Offsets { group, advances } = batch.checkpoint else { panic!() };
    assert_eq!((&*group, advances[0].expected, advances[0].next), ("g", 0, 1));
    assert_eq!(advances[0].commit_lsn.unwrap().to_string(), AT.lsn());
}

#[test]
fn without_a_transaction_block_the_offset_is_the_order() {
    let mut batcher = batcher();
    let at = At { order: None, ..AT };
    push_all(
        &mut batcher,
        TOPIC,
        &[Record::insert(&contract(), at), Record::update(&contract(), true, at)],
    );
    let batch = batcher.take().unwrap();
    let orders: Vec<u64> =
        batch.rows.iter().flat_map(|part| &part.rows).map(|row| row.position.order()).collect();
    assert_eq!(orders, [0, 1]);
}

/// `change_lsn` (`__$seqval`) is not monotonic, and the two halves of a deferred update share it.
/// A transaction is ordered by its commit, a change in it by `total_order`, else by its offset.
#[test]
fn trap_23_two_changes_of_one_row_are_ordered_by_their_change_lsn() {
    let of = |status, lsn, order, seqval: &str| {
        let row = Contract { status, ..contract() };
        let record = Record::update(&row, true, At { lsn, order });
        let own = format!(r#""change_lsn":"{}""#, At { lsn, order }.lsn());
        let value = record.value.as_deref().unwrap();
        assert!(value.contains(&own));
        let other = format!(r#""change_lsn":"00000027:{seqval}:0001""#);
        Record { value: Some(value.replace(&own, &other)), ..record }
    };
    // The log: first 1, then 2 in the same transaction, then 3 in one that committed later
    // although its change was written first.
    let log = |order: fn(u64) -> Option<u64>| {
        [
            of(1, 9, order(1), "00000008"),
            of(2, 9, order(2), "00000002"),
            of(3, 10, order(1), "00000001"),
        ]
    };
    for (name, records) in [("total_order", log(Some)), ("offset", log(|_| None))] {
        let mut batcher = batcher();
        push_all(&mut batcher, TOPIC, &records);
        let batch = batcher.take().unwrap();
        let positions: Vec<Position> =
            batch.rows.iter().flat_map(|part| &part.rows).map(|row| row.position).collect();
        assert_eq!(positions.len(), 3);
        assert!(positions.is_sorted_by(|a, b| a < b), "{name}: {positions:?}");
    }
    // Where there is a total order it decides, whatever the offsets say.
    let [first, second, _] = log(Some);
    let mut batcher = batcher();
    push_all(&mut batcher, TOPIC, &[second, first]);
    let batch = batcher.take().unwrap();
    let orders: Vec<u64> =
        batch.rows.iter().flat_map(|part| &part.rows).map(|row| row.position.order()).collect();
    assert_eq!(orders, [2, 1]);
}

/// The tombstone between the halves is for Kafka's compaction; the row was never away.
#[test]
fn trap_05_a_tombstone_between_delete_and_insert_is_a_delete() {
    let mut batcher = batcher();
    let at = |order| At { lsn: 9, order: Some(order) };
    let records = [
        Record::delete(&contract(), at(1)),
        Record::tombstone(&contract()),
        Record::insert(&contract(), at(2)),
        // A late one, as after a restart that read the delete only.
        Record::tombstone(&contract()),
    ];
    push_all(&mut batcher, TOPIC, &records);
    let batch = batcher.take().unwrap();
    let rows: Vec<_> = batch.rows.iter().flat_map(|part| &part.rows).collect();
    let kinds: Vec<RowKind> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [RowKind::Delete, RowKind::Upsert]);
    assert!(rows[0].position < rows[1].position, "the insert is the newer half");
    assert_eq!(batch.read.values().next().unwrap().read, 2, "a tombstone is no change");
}

#[test]
fn f50_an_update_does_not_know_its_lobs() {
    let batch = one(Record::update(&contract(), false, AT));
    let part = batch.rows.iter().next().unwrap();
    assert_ne!(part.rows[0].unchanged, 0);
    let batch = one(Record::insert(&Contract { terms: None, ..contract() }, AT));
    assert_eq!(batch.rows.iter().next().unwrap().rows[0].unchanged, 0);
}

#[test]
fn trap_10_a_row_without_its_lobs_is_asked_for_where_the_mapping_wants_it() {
    let mut batcher = Batcher::new(&settings(), reselecting_plan(), Default::default());
    batcher.assign(vec![owned(TOPIC, 0)]);
    let records = [
        Record::update(&contract(), false, AT),
        Record::insert(&Contract { terms: None, ..contract() }, AT),
        Record::update(&contract(), true, AT),
    ];
    push_all(&mut batcher, TOPIC, &records);
    let batch = batcher.take().unwrap();
    let rows = &batch.rows.iter().next().unwrap().rows;
    assert_eq!(batch.reselect.len(), 1, "{:?}", batch.reselect);
    let asked = &batch.reselect[0];
    assert_eq!((&asked.key, asked.position), (&rows[0].key, rows[0].position));
    assert!(one(Record::update(&contract(), false, AT)).reselect.is_empty());
}

#[test]
fn a_delete_needs_no_more_than_its_key() {
    for before in [None, Some(contract().row(false))] {
        let mut record = Record::of(&event("Contract", "d", before.as_deref(), None, AT));
        record.key = Some(contract().key());
        let batch = one(record);
        assert_eq!(batch.rows.iter().next().unwrap().rows[0].kind, RowKind::Delete);
    }
    let entry = quarantined(&event("Contract", "d", None, None, AT));
    assert_eq!(entry.rule, "delete.no-key");
}

#[test]
fn f23_tombstones_heartbeats_and_marks_only_move_the_offset() {
    let mut batcher = batcher();
    let records = [
        Record::tombstone(&contract()),
        Record::of(r#"{"ts_ms":1795246489367}"#),
        Record::of(
            r#"{"status":"BEGIN","id":"00000027:00000108:0005","event_count":null,"data_collections":null,"ts_ms":1}"#,
        ),
        Record::of(
            r#"{"source":{},"ts_ms":1,"databaseName":"Db","schemaName":"dbo","ddl":null,"tableChanges":[]}"#,
        ),
    ];
    push_all(&mut batcher, TOPIC, &records);
    let messages = batcher.seen().messages;
    assert_eq!((messages.tombstone, messages.heartbeat), (1, 1));
    assert_eq!((messages.transaction, messages.schema_change), (1, 1));
    let batch = batcher.take().unwrap();
    assert!(batch.quarantine.is_empty() && batch.read.is_empty());
    let Checkpoint::Offsets { advances, .. } = batch.checkpoint else { panic!() };
    assert_eq!(advances[0].next, 4);
    assert!(batcher.take().is_none());
}

/// `d` without its tombstone (a connector may be told to send none), and a tombstone without its `d`.
#[test]
fn f24_a_delete_needs_no_tombstone_and_a_tombstone_deletes_nothing() {
    let other = Contract::new("Г-2", 2, None);
    let at = |order| At { lsn: 9, order: Some(order) };
    let mut batcher = batcher();
    let records = [
        // Whoever had the partition before us may have read the delete.
        Record::tombstone(&other),
        Record::insert(&contract(), at(1)),
        Record::delete(&contract(), at(2)),
        Record::insert(&other, at(3)),
        // Lost before it: a delete.
        Record::tombstone(&other),
        Record::delete(&other, at(5)),
        Record::tombstone(&other),
        // Sent twice.
        Record::tombstone(&other),
        // Of another row than the delete before it.
        Record::tombstone(&contract()),
    ];
    push_all(&mut batcher, TOPIC, &records);
    let messages = batcher.seen().messages;
    assert_eq!((messages.tombstone, messages.lone_tombstone), (5, 2));
    let batch = batcher.take().unwrap();
    let rows: Vec<_> = batch.rows.iter().flat_map(|part| &part.rows).collect();
    let kinds: Vec<RowKind> = rows.iter().map(|row| row.kind).collect();
    use RowKind::{Delete, Upsert};
    assert_eq!(kinds, [Upsert, Delete, Upsert, Delete]);
    let Checkpoint::Offsets { advances, .. } = batch.checkpoint else { panic!() };
    assert_eq!(advances[0].next, 9);
}

#[test]
fn f19_what_is_not_debeziums_is_kept_whole() {
    for (value, rule) in [
        ("{", "message.json"),
        ("not json", "message.json"),
        ("[1,2]", "message.not-debezium"),
        (r#"{"id":1,"name":"a flattened row"}"#, "message.not-debezium"),
        (r#"{"op":"x","source":{"table":"Contract"}}"#, "message.op"),
        (r#"{"op":"c","source":{"table":"Contract"}}"#, "message.not-debezium"),
    ] {
        let entry = quarantined(value);
        assert_eq!(entry.rule, rule, "{value}");
        assert_eq!(entry.source, Some((TOPIC.into(), 0, 0)));
    }
    // A topic whose table is known counts its foreign messages as that table's.
    let mut batcher = batcher();
    push_all(&mut batcher, TOPIC, &[Record::insert(&contract(), AT), Record::of("{")]);
    let batch = batcher.take().unwrap();
    assert_eq!(batch.read.values().next().unwrap().read, 2);
    assert!(batch.quarantine[0].table.is_some());
}

#[test]
fn trap_20_secrets_do_not_enter_the_quarantine() {
    let row = contract().row(true).replace(r#""Status":2"#, r#""Status":"two""#);
    let entry = quarantined(&event("Contract", "c", None, Some(&row), AT));
    assert_eq!((&*entry.rule, &*entry.column), ("column.type", "Status"));
    assert!(entry.key.is_some());
    let payload = String::from_utf8(entry.payload).unwrap();
    assert!(!payload.contains("s3cret") && payload.contains("нөхцөл"), "{payload}");
    assert!(!entry.detail.contains("two"));
}

#[test]
fn a_lone_surrogate_is_for_the_mapping_to_refuse() {
    let row = contract().row(true).replace("нөхцөл", r"a\uD83Db");
    let entry = quarantined(&event("Contract", "c", None, Some(&row), AT));
    assert_eq!(entry.column, "Terms");
    assert!(String::from_utf8(entry.payload).unwrap().contains(r"a\uD83Db"));
}

#[test]
fn f52_a_missing_column_is_quarantine_or_stops_its_table() {
    let row = contract().row(true).replace(r#""Status":2,"#, "");
    let value = event("Contract", "c", None, Some(&row), AT);
    assert_eq!(quarantined(&value).rule, "column.missing");
    // Stopping is what happens when nobody says otherwise.
    let mut batcher = batcher();
    let records = [
        Record::insert(&contract(), AT),
        Record::of(&value),
        Record::tombstone(&contract()),
        Record::insert(&contract(), AT),
    ];
    push_all(&mut batcher, TOPIC, &records);
    let batch = batcher.take().unwrap();
    // What came before is applied, and nothing that comes after.
    assert_eq!((batch.rows.row_count(), batch.quarantine.len()), (1, 0));
    assert!(batch.stops[0].detail.contains("`Status`"), "{}", batch.stops[0].detail);
    let Checkpoint::Offsets { advances, .. } = batch.checkpoint else { panic!() };
    assert_eq!(advances[0].next, 1);
    assert_eq!(batcher.waiting_partitions(), [(TOPIC.to_owned(), 0)]);
    assert!(batcher.take().is_none());
}

#[test]
fn f52_f53_whoever_goes_on_keeps_what_the_target_has() {
    let missing = contract().row(true).replace(r#""Status":2,"#, "");
    let retyped = contract().row(true).replace(r#""Status":2"#, r#""Status":"two""#);
    for (row, kind) in [(missing, DriftKind::Missing), (retyped, DriftKind::Retyped)] {
        let value = event("Contract", "u", Some(&row), Some(&row), AT);
        let mut batcher = drifting(DriftPolicy::Report);
        push_all(&mut batcher, TOPIC, &[Record::of(&value), Record::of(&value)]);
        let batch = batcher.take().unwrap();
        assert!(batch.quarantine.is_empty());
        let plan = plan();
        let columns = &plan.entity("contracts").unwrap().columns;
        let status = columns.iter().position(|column| column.name == "status").unwrap();
        for row in &batch.rows.iter().next().unwrap().rows {
            assert_ne!(row.unchanged & 1 << status, 0, "the status is left alone");
        }
        let note = &batch.drift[0];
        assert_eq!((&*note.column, note.kind, note.events), ("Status", kind, 2));
        assert_eq!(note.policy, "report");
    }
    // A delete needs its key only, whatever else is missing.
    let before = contract().row(false).replace(r#""Status":2,"#, "");
    let mut batcher = drifting(DriftPolicy::Report);
    let delete = event("Contract", "d", Some(&before), None, AT);
    push_all(&mut batcher, TOPIC, &[Record::of(&delete)]);
    assert_eq!(batcher.take().unwrap().rows.iter().next().unwrap().rows[0].kind, RowKind::Delete);
}

#[test]
fn f51_an_unknown_column_is_told_and_the_row_is_applied() {
    let row = contract().row(true).replacen('{', r#"{"New":7,"#, 1);
    let record = Record::of(&event("Contract", "c", None, Some(&row), AT));
    let mut batcher = batcher();
    push_all(&mut batcher, TOPIC, std::slice::from_ref(&record));
    let drift = batcher.seen().drift.values().next().unwrap().clone();
    assert_eq!(drift.unknown.get("New"), Some(&1));
    let batch = batcher.take().unwrap();
    assert_eq!(batch.rows.row_count(), 1);
    assert_eq!((&*batch.drift[0].column, batch.drift[0].kind), ("New", DriftKind::Unknown));
    // By policy, it is kept aside, or ends there.
    let mut batcher = drifting(DriftPolicy::Quarantine);
    push_all(&mut batcher, TOPIC, std::slice::from_ref(&record));
    let batch = batcher.take().unwrap();
    assert_eq!(batch.quarantine[0].rule, "column.unknown");
    assert!(batch.quarantine[0].whole && batch.quarantine[0].key.is_some());
    assert_eq!(batch.drift[0].policy, "quarantine");
    let mut batcher = drifting(DriftPolicy::Stop);
    push_all(&mut batcher, TOPIC, &[record]);
    assert_eq!(batcher.take().unwrap().stops.len(), 1);
}

#[test]
fn tables_are_told_by_their_source_and_not_by_the_topic() {
    let mut batcher = batcher();
    let at = |order| At { lsn: 4, order: Some(order) };
    let records = [
        Record::of(&event("Elsewhere", "c", None, Some("{}"), at(1))),
        Record::insert(&contract(), at(2)),
        Record::of(&event("ModuleInfo", "c", None, Some(r#"{"ID":1,"Version":"1"}"#), at(3))),
        Record::of(&event(
            "XPObjectType",
            "c",
            None,
            Some(r#"{"OID":5,"TypeName":"Demo.Owner"}"#),
            at(4),
        )),
        Record::of(&event("ficus_marker", "c", None, Some(r#"{"token":"x","at":1}"#), at(5))),
    ];
    push_all(&mut batcher, TOPIC, &records);
    assert_eq!(batcher.seen().unmapped.get("dbo.Elsewhere"), Some(&1));
    assert_eq!(batcher.take_marker().map(|lsn| lsn.to_string()), Some(at(5).lsn()));
    let batch = batcher.take().unwrap();
    assert_eq!(batch.object_types, [(5, "Demo.Owner".to_owned())]);
    assert_eq!(batch.rows.row_count(), 1);
    let ignored: u64 = batch.read.values().flat_map(|counts| counts.ignored.values()).sum();
    let read: u64 = batch.read.values().map(|counts| counts.read).sum();
    assert_eq!((read, ignored), (3, 2));
}

#[test]
fn a_change_without_a_place_in_the_log_is_not_applied() {
    let value = event("Contract", "c", None, Some(&contract().row(true)), AT);
    let entry = quarantined(
        &value.replace(&format!(r#""commit_lsn":"{}""#, AT.lsn()), r#""commit_lsn":null"#),
    );
    assert_eq!(entry.rule, "source.lsn");
    assert_eq!(entry.position, Position::streamed(mapping::position::Lsn::ZERO, 0));
    assert_eq!(quarantined(&event("Contract", "t", None, None, AT)).rule, "op.truncate");
}

#[test]
fn gaps_stop_and_repeats_are_passed_over() {
    let mut batcher = batcher();
    let record = Record::insert(&contract(), AT);
    batcher.push(&record.incoming(TOPIC, 0, 0), 0).unwrap();
    batcher.push(&record.incoming(TOPIC, 0, 0), 0).unwrap();
    assert_eq!(batcher.seen().messages.duplicate, 1);
    let error = batcher.push(&record.incoming(TOPIC, 0, 2), 0).unwrap_err();
    assert!(matches!(error, Error::Gap { expected: 1, found: 2, .. }));
    // A message of a partition that was taken away is nobody's.
    batcher.assign(Vec::new());
    batcher.push(&record.incoming(TOPIC, 0, 1), 0).unwrap();
    assert!(batcher.take().is_none());
}

#[test]
fn f44_a_flood_stops_its_table_instead_of_filling_the_quarantine() {
    let good = Record::insert(&contract(), AT);
    let row = contract().row(true).replace(r#""MonthlyTotal":"AeII""#, r#""MonthlyTotal":"AQ==""#);
    let bad = Record::of(&event("Contract", "c", None, Some(&row), AT));
    let mut batcher = batcher();
    let mut records = vec![good.clone(); 10];
    records.extend(vec![bad.clone(); 150]);
    push_all(&mut batcher, TOPIC, &records);
    let batch = batcher.take().unwrap();
    assert_eq!((batch.rows.row_count(), batch.quarantine.len()), (10, 99));
    assert!(batch.stops[0].detail.contains("money.inexact"), "{}", batch.stops[0].detail);
    assert!(batch.stops[0].remedy.contains("quarantine retry --table dbo.Contract"));
    let Checkpoint::Offsets { advances, .. } = batch.checkpoint else { panic!() };
    assert_eq!(advances[0].next, 109, "the hundredth waits");
    let read: u64 = batch.read.values().map(|counts| counts.read).sum();
    assert_eq!(read, 109);
}

#[test]
fn f43_a_few_bad_rows_stop_nothing() {
    let row = contract().row(true).replace(r#""MonthlyTotal":"AeII""#, r#""MonthlyTotal":"AQ==""#);
    let bad = Record::of(&event("Contract", "c", None, Some(&row), AT));
    let records: Vec<Record> = (0..4_000)
        .map(|n| if n % 20 == 0 { bad.clone() } else { Record::insert(&contract(), AT) })
        .collect();
    let mut batcher = batcher();
    push_all(&mut batcher, TOPIC, &records);
    let batch = batcher.take().unwrap();
    assert_eq!((batch.rows.row_count(), batch.quarantine.len()), (3_800, 200));
    assert!(batch.stops.is_empty());
}
