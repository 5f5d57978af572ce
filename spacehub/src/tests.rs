//! The mapping against the schema, and the demo's rows against the model.

mod decode;
mod editor;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use mapping::plan::{EntityPlan, Plan};

use crate::{
    demo::{self, writer::Writer},
    model::{Model, key_text},
};

fn plan() -> Plan {
    let catalog = crate::catalog().expect("the DDL");
    match Plan::compile(&crate::mappings(), &catalog) {
        Ok(plan) => plan,
        Err(mistakes) => {
            let lines: Vec<String> =
                mistakes.iter().map(|m| format!("{m}\n    {}", m.help)).collect();
            panic!("{} mistakes:\n{}", lines.len(), lines.join("\n"));
        }
    }
}

#[test]
fn the_mapping_has_no_mistakes_and_names_every_table() {
    let plan = plan();
    let unnamed = plan.unnamed_tables(&crate::catalog().expect("the DDL"));
    assert!(unnamed.is_empty(), "{unnamed:?}");
    let domains = [
        "property-owners",
        "tenants",
        "properties",
        "contracts",
        "invoices",
        "payments",
        "users",
        "attachments",
    ];
    assert_eq!(plan.domains(), domains);
    assert_eq!(plan.entities.len(), 18);
}

/// Trap 4: what a legacy unique index keeps apart among live rows, the seal must keep apart too.
#[test]
fn every_unique_index_of_the_legacy_schema_is_a_rule() {
    let plan = plan();
    let mut indexes = 0;
    for table in crate::catalog().expect("the DDL").tables {
        let Some(id) = plan.table(&table.table.schema, &table.table.name).map(|plan| plan.id)
        else {
            continue;
        };
        let fed = |entity: &&EntityPlan| entity.parts.iter().any(|part| part.table == id);
        for index in &table.unique_indexes {
            let wanted: BTreeSet<&str> =
                index.columns.iter().map(String::as_str).filter(|c| *c != "GCRecord").collect();
            for entity in plan.entities.iter().filter(fed) {
                let from = |name: &String| {
                    let column = entity.columns.iter().find(|column| column.name == *name);
                    column.and_then(|column| column.from.as_deref()).expect("a legacy column")
                };
                let kept = entity.unique.iter().any(|rule| {
                    let columns: BTreeSet<&str> = rule.columns.iter().map(from).collect();
                    columns == wanted && rule.live == index.columns.contains(&"GCRecord".into())
                });
                assert!(kept, "{} keeps nothing of {}", entity.name, index.name);
                indexes += 1;
            }
        }
    }
    assert_eq!(indexes, 6, "of which Party's counts for owners and for tenants");
}

#[test]
fn the_demo_is_as_big_as_asked() {
    for rows in [1_000, 20_000, 100_000] {
        let database = demo::empty_database().expect("the DDL");
        let demo = demo::fill(&database, rows, 7).expect("the rows");
        let count = demo.row_count();
        assert!(count * 10 > rows * 9, "{count} of {rows}");
        assert!(rows < 10_000 || count * 10 < rows * 11, "{count} of {rows}");
    }
}

#[test]
fn one_seed_gives_one_history() {
    let write = |seed| {
        let database = demo::empty_database().expect("the DDL");
        let demo = demo::fill(&database, 3_000, seed).expect("the rows");
        let mut writer = Writer::new(&database, &demo, seed);
        for _ in 0..300 {
            writer.step().expect("a transaction");
        }
        writer.finish().expect("the rest");
        Model::of(&database).expect("the model")
    };
    let (first, again, other) = (write(5), write(5), write(6));
    assert!(first == again, "the same seed gave other rows");
    assert!(first != other, "another seed gave the same rows");
}

/// Maps what the database holds and compares it with the model: every column of every row.
fn compare(database: &sandbox::legacy::Database, plan: &Plan) -> BTreeSet<decode::Found> {
    let model = Model::of(database).expect("the model");
    let mapped = decode::map_all(database, plan);
    // Trap 21: a number that is not read keeps its domain from being cut over, and rightly so.
    assert_eq!(mapped.unread, BTreeSet::new(), "document numbers of unknown forms");
    let names: BTreeSet<&str> = plan.entities.iter().map(|entity| &*entity.target_table).collect();
    assert_eq!(model.tables.keys().copied().collect::<BTreeSet<_>>(), names);
    for (table, expected) in &model.tables {
        let empty = BTreeMap::new();
        let rows = mapped.tables.get(*table).unwrap_or(&empty);
        let missing: Vec<_> = expected.keys().filter(|key| !rows.contains_key(*key)).collect();
        let surplus: Vec<_> = rows.keys().filter(|key| !expected.contains_key(*key)).collect();
        assert!(missing.is_empty(), "{table} lacks {missing:?}");
        assert!(surplus.is_empty(), "{table} has {surplus:?} too many");
        for (key, row) in expected {
            let found = &rows[key];
            assert_eq!(found.soft_deleted, row.soft_deleted, "{table} {key}");
            for (column, value) in &row.columns {
                let said = found.columns.get(*column);
                assert_eq!(said, Some(value), "{table} {key} {column}");
            }
            for column in found.columns.keys() {
                let known = row.columns.contains_key(column.as_str()) || row.soft_deleted;
                assert!(known, "the model does not know {table}.{column}");
            }
        }
    }
    let expected: BTreeSet<_> = model
        .unmappable
        .iter()
        .map(|wrong| {
            (wrong.table.to_owned(), wrong.key.clone(), wrong.column.to_owned(), wrong.rule)
        })
        .collect();
    assert_eq!(mapped.rejected, expected);
    mapped.rejected
}

#[test]
fn every_row_maps_to_what_the_model_says() {
    let plan = plan();
    let database = demo::empty_database().expect("the DDL");
    let demo = demo::fill(&database, 20_000, 42).expect("the rows");
    let found = compare(&database, &plan);
    let planted: BTreeSet<decode::Found> = demo
        .planted
        .iter()
        .map(|p| (p.table.to_owned(), key_text(&p.key), p.column.to_owned(), p.rule))
        .collect();
    assert_eq!(found, planted, "planted and found");
    assert_eq!(planted.len(), demo.planted.len(), "each one once");
    let of_owners = |p: &&demo::PlantedDefect| matches!(p.table, "Owner");
    assert_eq!(demo.planted.iter().filter(of_owners).count(), 0);
}

#[test]
fn the_writer_writes_only_good_rows_but_for_those_it_reports() {
    let plan = plan();
    let database = demo::empty_database().expect("the DDL");
    let demo = demo::fill(&database, 6_000, 1).expect("the rows");
    let before = demo.planted.len();
    let mut writer = Writer::new(&database, &demo, 99).planting_once_in(500);
    for _ in 0..6_000 {
        writer.step().expect("a transaction");
    }
    let counts = writer.finish().expect("the rest");
    assert!(counts.deeds.len() > 35, "some deeds are never done: {:?}", counts.deeds.keys());
    assert!(!counts.planted.is_empty());
    let repaired = demo::writer::repair_contracts(&database, &demo).expect("the repair");
    assert_eq!(repaired.len(), 3);
    let found = compare(&database, &plan);
    assert_eq!(found.len(), before + counts.planted.len() - repaired.len());
}

#[tokio::test(flavor = "current_thread")]
async fn a_running_writer_stops_when_told() {
    let database = demo::empty_database().expect("the DDL");
    let demo = demo::fill(&database, 3_000, 1).expect("the rows");
    let stop = tokio_util::sync::CancellationToken::new();
    let writer = Writer::new(&database, &demo, 1);
    let running = tokio::spawn(writer.run(2_000, stop.clone()));
    while database.log().committed_lsn() == mapping::position::Lsn::ZERO {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    stop.cancel();
    let counts = running.await.expect("no panic").expect("no refusal");
    assert!(counts.transactions > 20, "{counts:?}");
}
