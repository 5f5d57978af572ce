//! Mistakes of the encoder itself. A process that makes one copies and compares by it, so both sides
//! are wrong alike; only the independent check can tell.

use std::{collections::BTreeSet, process::Command, sync::Arc};

use mapping::{
    file::MappingFile,
    value::{Decimal, LegacyValue},
};
use reconcile::{Settings, Verdict, paranoid::Rules};

use crate::lab::Lab;

/// The mistake, and the column that must give it away.
const MUTANTS: [(&str, &str); 8] = [
    ("numeric-sign", "contract_items.unit_price"),
    ("minor-unit", "payments.amount"),
    ("hour", "payments.paid_on"),
    ("text-blank", "property_owners.name"),
    ("uuid-bytes", "payments.legacy_id"),
    ("bool", "users.is_active"),
    ("day", "payments.value_date"),
    ("float", "properties.total_area"),
];

#[test]
fn every_mistake_of_the_encoder_is_found_and_named() {
    let myself = std::env::current_exe().unwrap();
    for (mutant, column) in MUTANTS {
        let child = Command::new(&myself)
            .args(["--exact", "mutants::both_sides_by_one_encoder", "--nocapture"])
            .env("FICUS_MUTANT", mutant)
            .env("FICUS_MUTANT_ENTITY", column.split('.').next().unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        let all = format!("{mutant}: {text}\n{}", String::from_utf8_lossy(&child.stderr));
        assert!(child.status.success() && text.contains("1 passed"), "{all}");
        let found = text.lines().find_map(|line| line.strip_prefix("found:")).unwrap_or_default();
        let found: BTreeSet<&str> = found.split_whitespace().collect();
        println!("{mutant}: {found:?}");
        assert!(found.contains(column), "{all}");
    }
}

/// With a column of GUIDs, which the product's mapping has as keys only.
fn with_guid(text: String) -> String {
    let column = "[entity.columns]\nlegacy_id = { from = \"Oid\", as = \"uuid\" }\n";
    match text.find("from = \"dbo.Payment\"\n") {
        Some(at) => text[..at].to_owned() + &text[at..].replacen("[entity.columns]\n", column, 1),
        None => text,
    }
}

/// A sign needs something negative.
fn discount(lab: &Lab) {
    let catalog = lab.database.catalog();
    let table = catalog.tables.iter().find(|table| table.table.name == "ContractItem").unwrap();
    let column = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap();
    let price = column("UnitPrice");
    // Not the last: what is planted to be rejected comes there.
    let row = lab.database.rows("ContractItem").unwrap().swap_remove(5);
    let key: Vec<_> = table.primary_key.iter().map(|name| row[column(name)].clone()).collect();
    let less = LegacyValue::Decimal(Decimal { unscaled: -15_000_000_000, scale: 10 });
    lab.database
        .transaction(|transaction| {
            let change = |row: &mut Vec<LegacyValue<'static>>| row[price] = less.clone();
            transaction.update("ContractItem", &key, change).map(|_| ())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_by_one_encoder() {
    let sql = "alter table payments add column legacy_id uuid";
    let lab = Lab::filled_with(1_000, &with_guid, (sql, None)).await;
    discount(&lab);
    lab.copy().await;
    let entity = std::env::var("FICUS_MUTANT_ENTITY").unwrap_or_default();
    let names: Vec<&str> = [entity.as_str()].into_iter().filter(|name| !name.is_empty()).collect();
    let blind = lab.run(&Lab::settings(), &names).await;
    assert_eq!(blind.verdict, Verdict::Equal, "{}", blind.to_text());
    let file = |file: MappingFile| MappingFile { text: with_guid(file.text), ..file };
    let files: Vec<MappingFile> = spacehub::mappings().into_iter().map(file).collect();
    let rules = Arc::new(Rules::read(&files));
    let settings = Settings { independent: Some((rules, 1_000_000)), ..Lab::settings() };
    let report = lab.run(&settings, &names).await;
    let check = report.independent.as_ref().unwrap();
    let columns = check.examples.iter().flat_map(|row| {
        let entity = row.part.clone().unwrap_or_default();
        row.columns.iter().map(move |pair| format!("{entity}.{}", pair.column))
    });
    let found: BTreeSet<String> = columns.collect();
    println!("\nfound: {}", found.into_iter().collect::<Vec<_>>().join(" "));
    // By itself it is the control: without a mistake there is nothing to find.
    let is_wrong = std::env::var("FICUS_MUTANT").is_ok();
    let expect = if is_wrong { Verdict::Different } else { Verdict::Equal };
    assert_eq!(report.verdict, expect, "{}", report.to_text());
}
