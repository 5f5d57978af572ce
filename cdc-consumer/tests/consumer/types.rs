//! Rows whose type is not known yet, and what stands behind a mapped row.

use std::{collections::BTreeMap, sync::Arc};

use cdc_consumer::batch::Batcher;
use mapping::{
    catalog::{Catalog, Column, LegacyTable, Table},
    file::MappingFile,
    plan::Plan,
};

use crate::fixture::{At, Contract, Record, TOPIC, batcher, event, owned, push_all, settings};

const MAPPING: &str = r#"
domain = "people"
object_types = "dbo.XPObjectType"

[[entity]]
name = "tenants"
from = "dbo.Party"
type = "App.Tenant"
[entity.columns]
name = { from = "Name", as = "text" }

[[entity]]
name = "owners"
from = "dbo.Party"
type = "App.Owner"
[entity.columns]
name = { from = "Name", as = "text" }
"#;

const PARTY: &str = "p.Db.dbo.Party";
const TYPES: &str = "p.Db.dbo.XPObjectType";

fn plan() -> Arc<Plan> {
    let table = |name: &str, columns: &[(&str, &str)]| {
        Table::new(
            LegacyTable::new("dbo", name),
            columns
                .iter()
                .map(|(name, sql_type)| Column {
                    name: (*name).to_owned(),
                    sql_type: sql_type.parse().unwrap(),
                    nullable: *name != "OID",
                    collation: Some("Cyrillic_General_CI_AS".to_owned()),
                    computed: false,
                    identity: false,
                })
                .collect(),
            vec!["OID".to_owned()],
        )
    };
    let catalog = Catalog {
        database: "Db".into(),
        collation: "Cyrillic_General_CI_AS".into(),
        tables: vec![
            table("Party", &[("OID", "int"), ("Name", "nvarchar(100)"), ("ObjectType", "int")]),
            table("XPObjectType", &[("OID", "int"), ("TypeName", "nvarchar(254)")]),
        ],
    };
    let file = MappingFile { name: "people.toml".into(), text: MAPPING.into() };
    Arc::new(Plan::compile(&[file], &catalog).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")))
}

fn types(names: &[(i64, &str)]) -> BTreeMap<i64, String> {
    names.iter().map(|(oid, name)| (*oid, (*name).to_owned())).collect()
}

fn people(known: &[(i64, &str)]) -> Batcher {
    let mut batcher = Batcher::new(&settings(), plan(), types(known));
    batcher.assign(vec![owned(PARTY, 0), owned(TYPES, 0)]);
    batcher
}

fn party(oid: i64, object_type: &str, lsn: u32) -> Record {
    let row = format!(r#"{{"OID":{oid},"Name":"Bat","ObjectType":{object_type}}}"#);
    Record::of(&event("Party", "c", None, Some(&row), At { lsn, order: Some(1) }))
}

fn named(oid: i64, name: &str) -> Record {
    let row = format!(r#"{{"OID":{oid},"TypeName":"{name}"}}"#);
    Record::of(&event("XPObjectType", "c", None, Some(&row), At { lsn: 1, order: Some(1) }))
}

#[test]
fn a_row_may_be_read_before_its_type() {
    let mut batcher = people(&[]);
    push_all(&mut batcher, PARTY, &[party(1, "7", 2), party(2, "null", 3), party(3, "8", 4)]);
    assert!(batcher.has_unknown_types());
    push_all(&mut batcher, TYPES, &[named(7, "App.Tenant")]);
    // From Postgres, where a backfill has stored it.
    batcher.learn(types(&[(8, "App.Owner"), (7, "an older name")]));
    let batch = batcher.take().unwrap();
    assert_eq!(batch.rows.row_count(), 2);
    assert_eq!((batch.tables.len(), batch.quarantine.len()), (2, 1));
    let entry = &batch.quarantine[0];
    assert_eq!((&*entry.rule, entry.source.as_ref().unwrap().2), ("type.unknown", 1));
    assert!(entry.table.is_some() && entry.key.is_some() && entry.entity.is_none());
    assert!(entry.whole);
    let read: u64 = batch.read.values().map(|counts| counts.read).sum();
    assert_eq!(read, 4, "each event is counted once");
    let sources = batch.sources.unwrap();
    let offset = |sequence| sources.source(sequence).unwrap().source.unwrap().2;
    assert_eq!((offset(0), offset(1)), (0, 2));
    assert!(!batcher.has_unknown_types());
    assert!(batcher.take().is_none());
}

#[test]
fn a_row_that_a_rule_leaves_out_is_told() {
    let mut batcher = people(&[(9, "App.Clerk")]);
    push_all(&mut batcher, PARTY, &[party(1, "9", 2)]);
    let batch = batcher.take().unwrap();
    assert_eq!(batch.left_out.len(), 1);
    assert_eq!(batch.left_out[0].position.lsn().to_string(), At { lsn: 2, order: None }.lsn());
}

#[test]
fn the_message_behind_a_mapped_row_is_kept_without_its_secrets() {
    let mut batcher = batcher();
    let contract = |number| Contract::new(number, 1, Some("terms"));
    let at = At { lsn: 9, order: Some(1) };
    let broken = Record::of("{");
    let records = [Record::insert(&contract("A"), at), broken, Record::insert(&contract("B"), at)];
    push_all(&mut batcher, TOPIC, &records);
    let batch = batcher.take().unwrap();
    assert_eq!(batch.tables.len(), 2);
    let sources = batch.sources.unwrap();
    let row = sources.source(1).unwrap();
    assert_eq!(row.source, Some((TOPIC.to_owned(), 0, 2)));
    assert_eq!(row.payload_key.as_deref(), Some(contract("B").key().as_bytes()));
    let payload = String::from_utf8(row.payload).unwrap();
    assert!(payload.contains(r#""ContractNo":"B""#) && !payload.contains("s3cret"), "{payload}");
    assert_eq!(sources.source(2), None);
    assert!(!format!("{sources:?}").contains("Contract"), "no values in logs");
}
