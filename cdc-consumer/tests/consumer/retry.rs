//! Messages out of the quarantine, read again.

use cdc_consumer::{
    batch::{Batcher, Headers},
    retry::{Rereader, Stored},
};
use mapping::row::RowKind;
use target::QuarantineEntry;

use crate::fixture::{At, Contract, Record, TOPIC, batcher, event, owned, plan, settings};

const AT: At = At { lsn: 9, order: None };

fn contract() -> Contract {
    Contract::new("Г-1", 2, Some("нөхцөл"))
}

/// Puts a message aside as the consumer does.
fn put_aside(record: &Record, headers: &Headers) -> QuarantineEntry {
    let drift = "missing=quarantine, retyped=quarantine".parse().unwrap();
    let settings = cdc_consumer::Settings { drift, ..settings() };
    let mut batcher = Batcher::new(&settings, plan(), Default::default());
    let at_5 = cdc_consumer::batch::Owned { expected: 5, next: 5, ..owned(TOPIC, 0) };
    batcher.assign(vec![at_5]);
    let incoming = record.incoming(TOPIC, 0, 5);
    let incoming = cdc_consumer::batch::Incoming { headers: headers.as_bytes(), ..incoming };
    batcher.push(&incoming, 0).unwrap();
    batcher.take().unwrap().quarantine.remove(0)
}

fn again(entry: &QuarantineEntry, value: &[u8]) -> target::Batch {
    let (topic, partition, offset) = entry.source.clone().unwrap();
    let stored = Stored {
        place: (&topic, partition, offset),
        key: entry.payload_key.as_deref(),
        value,
        headers: entry.payload_headers.as_deref(),
    };
    Rereader::new(&settings(), plan(), Default::default()).read(&stored, 0)
}

#[test]
fn a_mended_message_is_its_row_at_its_own_position_but_for_its_secrets() {
    let row = contract().row(true).replace(r#""Status":2"#, r#""Status":"two""#);
    let entry = put_aside(
        &Record {
            key: Some(contract().key()),
            ..Record::of(&event("Contract", "c", None, Some(&row), AT))
        },
        &Headers::default(),
    );
    // Nobody has mended anything: it is put aside again, for the same reason, and stops nothing.
    let still = again(&entry, &entry.payload);
    assert_eq!((&*still.quarantine[0].rule, still.stops.len()), ("column.type", 0));
    assert_eq!(still.quarantine[0].key, entry.key);

    let mended = String::from_utf8(entry.payload.clone()).unwrap().replace(r#""two""#, "2");
    let batch = again(&entry, mended.as_bytes());
    assert!(batch.quarantine.is_empty() && batch.rows.row_count() == 1);
    let part = batch.rows.iter().next().unwrap();
    let fresh = {
        let mut batcher = batcher();
        crate::fixture::push_all(&mut batcher, TOPIC, &[Record::insert(&contract(), AT)]);
        batcher.take().unwrap()
    };
    let fresh_part = fresh.rows.iter().next().unwrap();
    assert_eq!(
        part.rows[0].position,
        mapping::position::Position::streamed(fresh_part.rows[0].position.lsn(), 5,)
    );
    // The secret was never stored: the target keeps what it has.
    let plan = plan();
    let columns = &plan.entity("contracts").unwrap().columns;
    let secret = columns.iter().position(|column| column.name == "secret").unwrap();
    assert_eq!(part.rows[0].unchanged, 1 << secret);
}

#[test]
fn headers_come_back() {
    // The second half of a renamed key: its missing LOBs are unknown and not NULL.
    let mut headers = Headers::default();
    headers.push("__debezium.oldkey", Some(br#"{"CompanyNo":1,"ContractNo":"old"}"#));
    let row = contract().row(false).replace(r#""Status":2"#, r#""Status":"two""#);
    let value = event("Contract", "c", None, Some(&row), AT)
        .replace(r#""event_serial_no":1"#, r#""event_serial_no":2"#);
    let entry = put_aside(&Record::of(&value), &headers);
    let stored = String::from_utf8(entry.payload_headers.clone().unwrap()).unwrap();
    assert!(stored.contains("__debezium.oldkey"), "{stored}");
    let mended = String::from_utf8(entry.payload.clone()).unwrap().replace(r#""two""#, "2");
    let batch = again(&entry, mended.as_bytes());
    assert_ne!(batch.rows.iter().next().unwrap().rows[0].unchanged, 0);
}

#[test]
fn a_key_only_delete_and_what_is_no_change() {
    let mut record = Record::of(&event("Contract", "d", None, None, AT));
    let entry = put_aside(&record, &Headers::default());
    assert_eq!(entry.rule, "delete.no-key");
    record.key = Some(contract().key());
    let stored = Stored {
        place: (TOPIC, 0, 5),
        key: record.key.as_deref().map(str::as_bytes),
        value: &entry.payload,
        headers: None,
    };
    let mut rereader = Rereader::new(&settings(), plan(), Default::default());
    let batch = rereader.read(&stored, 0);
    assert_eq!(batch.rows.iter().next().unwrap().rows[0].kind, RowKind::Delete);
    // The same one again, and one that turns out to be a heartbeat.
    assert_eq!(rereader.read(&stored, 0).rows.row_count(), 1);
    let heartbeat = Stored { value: br#"{"ts_ms":1}"#, ..stored };
    let batch = rereader.read(&heartbeat, 0);
    assert!(batch.rows.row_count() == 0 && batch.quarantine.is_empty() && batch.read.is_empty());
}
