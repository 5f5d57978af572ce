//! Totals tell in seconds that something is wrong, and never that all is well.

use std::{sync::Arc, time::Duration};

use reconcile::{Evidence, Report, Settings, Tier, Verdict, paranoid::Rules};
use tokio_util::sync::CancellationToken;

use crate::{
    follow::follow,
    lab::Lab,
    racing::{Payment, run_beside},
};

fn quick() -> Settings {
    let rules = Rules::read(&spacehub::mappings());
    Settings {
        quick: Some(Arc::new(rules)),
        patience: Duration::from_millis(500),
        ..Lab::settings()
    }
}

fn different(report: &Report) -> Vec<(&str, Vec<&str>)> {
    let entities = report.entities.iter().filter(|one| one.verdict == Verdict::Different);
    entities
        .map(|one| (one.entity.as_str(), one.columns.keys().map(String::as_str).collect()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_agree_where_rows_do_and_each_kind_of_total_tells() {
    let lab = Lab::filled(4_000).await;
    // What is in quarantine is not in the sums of both sides.
    let report = lab.run(&quick(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    let Tier::Quick { totals } = report.tier else { panic!("{:?}", report.tier) };
    assert!(totals > 60, "{totals}");
    assert!(report.to_text().contains("It verifies no domain"), "{}", report.to_text());
    assert_eq!(lab.text("select count(*)::text from ficus.reconcile_verdict").await, "0");

    // Take quarantine away, so that sums are said of every table.
    for table in ["Invoice", "Payment", "Contract"] {
        heal(&lab, table).await;
    }
    let report = lab.run(&quick(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    for (sql, entity, columns) in [
        ("delete from roles where id in (select id from roles limit 1)", "roles", "count(*)"),
        (
            "update payments set amount = amount + 1 where id in (select id from payments where amount is not null order by id limit 1)",
            "payments",
            "sum(amount)",
        ),
        (
            "update invoices set version = version - 1 where id in (select id from invoices order by id limit 1)",
            "invoices",
            "sum(version)",
        ),
        (
            "update contracts set terms = null where id in (select id from contracts where terms is not null limit 1)",
            "contracts",
            "count(terms)",
        ),
        (
            "update contracts set signed_on = signed_on + interval '1 hour' where signed_on = (select max(signed_on) from contracts)",
            "contracts",
            "max(signed_on)",
        ),
    ] {
        assert!(lab.sql(sql).await > 0, "{sql}");
        let report = lab.run(&quick(), &[]).await;
        let found = different(&report);
        assert!(
            found.iter().any(|(name, all)| *name == entity && all.contains(&columns)),
            "{sql}: {found:?}\n{}",
            report.to_text()
        );
    }
    // What it can't see.
    let lab = Lab::filled(1_000).await;
    lab.sql("update properties set name = name || 'x'").await;
    let report = lab.run(&quick(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    assert_eq!(lab.run(&Lab::settings(), &["properties"]).await.verdict, Verdict::Different);
}

/// Removes a table's rejected rows from both sides.
async fn heal(lab: &Lab, table: &str) {
    let rejected = format!(
        "select string_agg(encode(key, 'hex'), ' ') from ficus.quarantine where source_table = 'dbo.{table}' and key is not null"
    );
    let keys = lab.text(&rejected).await;
    for key in keys.split(' ') {
        let bytes: Vec<u8> = (0..key.len() / 2)
            .map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let key = mapping::key::CanonicalKey::from_bytes(&bytes).parts();
        lab.database
            .transaction(|transaction| transaction.delete(table, &key).map(|_| ()))
            .unwrap();
    }
    lab.sql(&format!("update ficus.quarantine set state = 'retried', resolved_at = clock_timestamp(), resolution = 'test' where source_table = 'dbo.{table}'")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_that_move_are_never_called_different() {
    let lab = Lab::filled(2_000).await;
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let stream = follow(&lab, from, Duration::from_millis(10), stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 13);
    let writing = tokio::spawn(writer.run(200, quiet.clone()));
    let comparing = async {
        let mut open = 0;
        for _ in 0..12 {
            let report = crate::moving::compare(&lab, &quick()).await;
            assert_ne!(report.verdict, Verdict::Different, "{}", report.to_text());
            open += report.entities.iter().filter(|one| one.verdict == Verdict::InFlight).count();
        }
        assert!(open > 0, "nothing moved, so nothing was tried");
        quiet.cancel();
        println!("{:?}; {open} tables were in flight", writing.await.unwrap().unwrap());
        let settings = Settings { patience: Duration::from_secs(120), ..quick() };
        let report = crate::moving::compare(&lab, &settings).await;
        assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
        stop.cancel();
    };
    tokio::join!(stream, comparing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_added_up_again_when_rows_were_read_again_beside() {
    let lab = Lab::filled(1_000).await;
    heal(&lab, "Payment").await;
    let settings = Settings { patience: Duration::from_secs(20), ..quick() };
    let payment = Payment::nth(&lab, 20);
    let beside = async |marker: usize| {
        if marker == 1 {
            let lock = lab.target.begin_rereading().await.unwrap();
            payment.set_amount(1_000);
            payment.read_again().await;
            drop(lock);
        }
    };
    let (report, markers) = run_beside(&lab, (&settings, &["payments"]), beside).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    assert!(markers > 1, "the first pass decides nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_fence_totals_are_read_twice() {
    let lab = Lab::filled(1_000).await;
    lab.database.set_cdc_enabled(false);
    let report = lab.run(&quick(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    assert!(matches!(report.evidence, Evidence::ConfirmedTwice { .. }));
    lab.sql("delete from roles where id in (select id from roles limit 2)").await;
    let report = lab.run(&quick(), &[]).await;
    let found = different(&report);
    let [("roles", columns)] = found.as_slice() else { panic!("{}", report.to_text()) };
    assert!(columns.contains(&"count(*)"), "{columns:?}");
    assert_eq!(
        (report.passes, report.entities.iter().map(|one| one.rows.missing).sum::<u64>()),
        (2, 2)
    );
}
