//! Legacy rows outside an entity's filter: absent, not missing; and extra where they are all the same.

use std::time::Duration;

use mapping::{file::MappingFile, value::LegacyValue};
use reconcile::{DifferenceKind, Settings, Verdict};
use tokio_util::sync::CancellationToken;

use crate::{follow::follow, lab::Lab, moving::compare};

/// Spacehub's files, but contracts are taken while they are active or suspended, and payments when
/// they were not in cash.
fn mappings() -> Vec<MappingFile> {
    let with = |file: MappingFile, entity: &str, filter: &str| {
        let head = format!("name = \"{entity}\"\n");
        assert!(file.text.contains(&head), "{}", file.name);
        let (before, after) = file.text.split_once(&head).unwrap();
        let after = after.replacen("[entity.columns]", &format!("{filter}\n[entity.columns]"), 1);
        MappingFile { name: file.name.clone(), text: format!("{before}{head}{after}") }
    };
    spacehub::mappings()
        .into_iter()
        .map(|file| match file.name.rsplit('/').next() {
            Some("contracts.toml") => with(file, "contracts", "[entity.where]\nStatus = [1, 2]"),
            Some("payments.toml") => with(file, "payments", "[entity.where]\nMethod = { not = 0 }"),
            _ => file,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_outside_the_filter_are_ignored_by_name_and_not_missing() {
    let lab = Lab::filled_by(4_000, mappings()).await;
    let report = lab.run(&Lab::settings(), &["payments"]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    let payments = report.entities.iter().find(|entity| entity.entity == "payments").unwrap();
    let ignored = payments.ignored.iter().find(|count| count.name == "where").unwrap().rows;
    let cash = lab.database.rows("dbo.Payment").unwrap();
    let cash = u64::try_from(cash.iter().filter(|row| row.contains(&LegacyValue::Int(0))).count());
    assert!(ignored > 0 && ignored <= cash.unwrap(), "{}", report.to_text());
    assert!(payments.rows.adds_up() && payments.rows.moved == 0, "{:?}", payments.rows);
    assert_eq!(payments.rows.read, payments.target_rows + ignored + payments.rows.quarantined);
    let told = report.to_text();
    assert!(told.contains("rows ignored by rule `where`"), "{told}");
    assert!(
        told.contains("other rows of dbo.Payment (it takes those where Method is not 0)"),
        "{told}"
    );

    // The stream of this test brings nothing: a row that moves out is one too many, one that
    // moves in is missing.
    let catalog = lab.database.catalog();
    let table = catalog.tables.iter().find(|table| table.table.name == "Payment").unwrap();
    let place = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap();
    let (key, method) = (place(&table.primary_key[0]), place("Method"));
    let rows = lab.database.rows("dbo.Payment").unwrap();
    // The first ones may be planted with what mapping rejects.
    let by = |wanted: i64| {
        let live = rows.iter().filter(|row| row[place("GCRecord")].is_null());
        live.filter(|row| row[method] == LegacyValue::Int(wanted)).nth(10).unwrap()
    };
    let (out, moved) = (by(1), by(0));
    lab.database
        .transaction(|transaction| {
            for (row, to) in [(out, 0), (moved, 1)] {
                transaction.update("dbo.Payment", &[row[key].clone()], |values| {
                    values[method] = LegacyValue::Int(to);
                })?;
            }
            Ok(())
        })
        .unwrap();
    let report = lab.run(&Lab::settings(), &["payments"]).await;
    let mut kinds: Vec<DifferenceKind> = report
        .entities
        .iter()
        .flat_map(|entity| entity.differences.iter().map(|one| one.kind))
        .collect();
    kinds.sort();
    assert_eq!(kinds, [DifferenceKind::Missing, DifferenceKind::Extra], "{}", report.to_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_move_in_and_out_are_never_called_different() {
    let lab = Lab::filled_by(4_000, mappings()).await;
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let stream = follow(&lab, from, Duration::from_millis(20), stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 13);
    let writing = tokio::spawn(writer.run(300, quiet.clone()));
    let comparing = async {
        let settings = Settings { patience: Duration::from_secs(3), ..Lab::settings() };
        for _ in 0..3 {
            let report = compare(&lab, &settings).await;
            assert_ne!(report.verdict, Verdict::Different, "{}", report.to_text());
            assert!(report.entities.iter().all(|entity| entity.rows.adds_up()));
        }
        quiet.cancel();
        writing.await.unwrap().unwrap();
        let report = compare(&lab, &Lab::settings()).await;
        assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
        let contracts = report.entities.iter().find(|one| one.entity == "contracts").unwrap();
        assert!(contracts.rows.ignored > 0, "{}", report.to_text());
        stop.cancel();
    };
    tokio::join!(stream, comparing);
    let moved = lab
        .text(
            "select count(*)::text from ficus.tombstone t join ficus.entity e on e.id = t.entity
             where e.name = 'contracts' and substr(t.position, 11) <> '\\xffffffffffffffff'::bytea",
        )
        .await;
    assert_ne!(moved, "0", "no contract moved out, so nothing was tried");
}
