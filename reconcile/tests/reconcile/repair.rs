//! Rows that differ, read again from the legacy side: what heals, what is left, what is newer.

use std::sync::Arc;

use reconcile::{Compared, DifferenceKind, Repaired, Terms, Verdict, Watch};

use crate::{lab::Lab, racing::Payment};

const ROWS: u64 = 2_000;

async fn repair(lab: &Lab, compared: &Compared, delete_extra: bool) -> Repaired {
    let run = compared.report.run.clone();
    let terms = Terms { actor: "a test".to_owned(), run, delete_extra };
    let done = reconcile::repair(
        (&lab.source(), &lab.target, &Arc::clone(&lab.plan)),
        &compared.repairs,
        &terms,
        &Watch::nobody(),
    )
    .await
    .unwrap();
    done.into_values().fold(Repaired::default(), |sum, one| Repaired {
        read: sum.read + one.read,
        applied: sum.applied + one.applied,
        stale: sum.stale + one.stale,
        quarantined: sum.quarantined + one.quarantined,
        ignored: sum.ignored + one.ignored,
        gone: sum.gone + one.gone,
        removed: sum.removed + one.removed,
        left: sum.left + one.left,
    })
}

/// Deletes a row on the legacy side; the stream of these tests brings nothing.
fn lose(lab: &Lab, table: &str, nth: usize) {
    let catalog = lab.database.catalog();
    let name = table.trim_start_matches("dbo.");
    let plan = catalog.tables.iter().find(|table| table.table.name == name).unwrap();
    let key = plan
        .columns
        .iter()
        .position(|column| Some(&column.name) == plan.primary_key.first())
        .unwrap();
    let rows = lab.database.rows(table).unwrap();
    let row = rows.get(nth).unwrap();
    let key = row.get(key).unwrap().clone();
    let deleted = lab
        .database
        .transaction(|transaction| transaction.delete(table, &[key]).map(|found| assert!(found)));
    deleted.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_difference_is_healed_and_extra_rows_only_when_asked_for() {
    let lab = Lab::filled(ROWS).await;
    for (sql, rows) in [
        (
            "update contracts set monthly_total = monthly_total + 1 where id in (select id from contracts order by id limit 3)",
            3,
        ),
        (
            "update payments set source_position = null where id = (select id from payments order by id limit 1)",
            1,
        ),
        (
            "update payments set amount = amount + 5, source_position = null where id = (select id from payments order by id offset 3 limit 1)",
            1,
        ),
        (
            "delete from contracts where id = (select id from contracts order by id offset 9 limit 1)",
            1,
        ),
        ("delete from tenants where id = (select id from tenants order by id offset 4 limit 1)", 1),
        (
            "update property_owners set name = name || 'x' where id = (select id from property_owners order by id offset 2 limit 1)",
            1,
        ),
        (
            "insert into invoices select (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid()))).* from invoices i limit 2",
            2,
        ),
    ] {
        assert_eq!(lab.sql(sql).await, rows, "{sql}");
    }
    lose(&lab, "dbo.Payment", 20);

    let compared = lab.compare(&Lab::settings(), &[]).await;
    assert_eq!(compared.report.verdict, Verdict::Different);
    // A row that only lost its position is equal; nothing is to be done about it.
    assert_eq!(compared.repairs.len(), 10, "{:?}", compared.repairs);
    let tampered: u64 = compared.report.entities.iter().map(|entity| entity.tampered).sum();
    // Not the contract that is missing, nor the payment whose delete never came. The parts of the
    // tenant are still there, so somebody has deleted the row.
    assert_eq!(tampered, 8, "{}", compared.report.to_text());
    assert!(compared.report.to_text().contains("TAMPERED: 3 rows"));

    let done = repair(&lab, &compared, false).await;
    assert_eq!((done.left, done.removed, done.gone, done.stale), (3, 0, 0, 0), "{done:?}");
    let compared = lab.compare(&Lab::settings(), &[]).await;
    let kinds: Vec<DifferenceKind> = compared.repairs.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [DifferenceKind::Extra; 3], "{}", compared.report.to_text());

    let done = repair(&lab, &compared, true).await;
    assert_eq!((done.removed, done.applied, done.left), (2, 1, 0), "{done:?}");
    let report = lab.run(&Lab::settings(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    let audited = lab
        .text("select string_agg(distinct action, ' ' order by action) from ficus.audit where actor = 'a test'")
        .await;
    assert_eq!(audited, "reconcile.repair reconcile.repaired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_newer_here_is_not_overwritten() {
    let lab = Lab::filled(ROWS).await;
    let row = "(select id from contracts order by id limit 1)";
    lab.sql(&format!("update contracts set monthly_total = 1 where id = {row}")).await;
    let compared = lab.compare(&Lab::settings(), &["contracts"]).await;
    assert_eq!(compared.repairs.len(), 1);
    // The stream brings a change that capture has not told this reading of.
    let later = "\\xff000000000000000000000000000000ff00";
    let sql = format!(
        "update contracts set monthly_total = 2, source_position = '{later}' where id = {row}"
    );
    assert_eq!(lab.sql(&sql).await, 1);
    let done = repair(&lab, &compared, true).await;
    assert_eq!((done.read, done.applied, done.stale), (1, 0, 1), "{done:?}");
    let total = lab.text("select monthly_total::text from contracts order by id limit 1").await;
    assert_eq!(total, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_by_now_is_left_to_the_stream_unless_extra_rows_go() {
    let lab = Lab::filled(ROWS).await;
    let payment = Payment::nth(&lab, 20);
    payment.set_amount(7);
    let compared = lab.compare(&Lab::settings(), &["payments"]).await;
    assert_eq!(compared.repairs.len(), 1, "{}", compared.report.to_text());
    payment.delete();
    let count = lab.text("select count(*)::text from payments").await;
    let done = repair(&lab, &compared, false).await;
    assert_eq!((done.gone, done.applied), (1, 0), "{done:?}");
    assert_eq!(lab.text("select count(*)::text from payments").await, count);
    let done = repair(&lab, &compared, true).await;
    assert_eq!((done.gone, done.applied), (0, 1), "{done:?}");
    let report = lab.run(&Lab::settings(), &["payments"]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_is_cut_over_is_not_repaired() {
    let lab = Lab::filled(ROWS).await;
    lab.sql("delete from invoices where id = (select id from invoices order by id limit 1)").await;
    lab.sql(
        "insert into invoices select (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid()))).*
         from invoices i limit 1",
    )
    .await;
    lab.sql("alter table ficus.domain disable trigger domain_guard").await;
    lab.sql("update ficus.domain set state = 'cut_over' where name = 'invoices'").await;
    let compared = lab.compare(&Lab::settings(), &["invoices"]).await;
    assert_eq!(compared.report.domains[0].state, "cut_over");
    assert!(compared.report.entities.iter().all(|entity| entity.tampered == 0));
    assert!(compared.report.to_text().contains("Postgres owns the row"));
    let terms = Terms { actor: "a test".to_owned(), run: "1".to_owned(), delete_extra: true };
    let source = lab.source();
    let refused = reconcile::repair(
        (&source, &lab.target, &lab.plan),
        &compared.repairs,
        &terms,
        &Watch::nobody(),
    )
    .await
    .unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("invoices is cut over"), "{cause}");
    let missing = lab.run(&Lab::settings(), &["invoices"]).await;
    assert_eq!(missing.verdict, Verdict::Different, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_row_that_was_discarded_is_left_behind_by_name() {
    let lab = Lab::filled(ROWS).await;
    let before = lab.run(&Lab::settings(), &[]).await;
    let quarantined = |report: &reconcile::Report| -> u64 {
        report.entities.iter().map(|entity| entity.rows.quarantined).sum()
    };
    let id: i64 = lab
        .text("select min(id)::text from ficus.quarantine where state = 'open' and key is not null")
        .await
        .parse()
        .unwrap();
    lab.target.quarantine_discard(id, "a test", "the row is of a test").await.unwrap();
    let report = lab.run(&Lab::settings(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    assert_eq!(quarantined(&report) + 1, quarantined(&before));
    assert!(report.to_text().contains("1 rows ignored by rule `quarantine-discarded`"));
    assert!(report.entities.iter().all(|entity| entity.rows.adds_up()));

    // Unreported rows are found, and put into quarantine by a repair.
    lab.sql("delete from ficus.quarantine where key is not null").await;
    let compared = lab.compare(&Lab::settings(), &[]).await;
    let unreported = compared.repairs.len();
    assert!(unreported > 0);
    assert!(compared.repairs.iter().all(|row| row.kind == DifferenceKind::Unreported));
    let done = repair(&lab, &compared, false).await;
    assert_eq!(done.quarantined, u64::try_from(unreported).unwrap(), "{done:?}");
    let payload = lab
        .text("select convert_from(payload, 'UTF8') from ficus.quarantine where key is not null limit 1")
        .await;
    assert!(payload.starts_with('{') && payload.len() > 10, "{payload}");
    let report = lab.run(&Lab::settings(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
}
