//! A second run that reads what has changed since the first.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mapping::value::LegacyValue;
use reconcile::{DifferenceKind, Event, Report, Selection, Settings, Start, Tier, Verdict, Watch};
use tokio_util::sync::CancellationToken;

use crate::{follow::follow, lab::Lab};

fn since() -> Settings {
    Settings { start: Start::Since, ..Lab::settings() }
}

/// The report, and how many legacy rows were scanned.
async fn watched(lab: &Lab, settings: &Settings) -> (Report, u64) {
    let scanned = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&scanned);
    let watch = Watch {
        progress: Arc::new(move |event| {
            if let Event::Legacy { rows, .. } = event {
                seen.fetch_max(rows, Ordering::Relaxed);
            }
        }),
        stop: CancellationToken::new(),
    };
    let (target, plan) = (Arc::clone(&lab.target), Arc::clone(&lab.plan));
    let (source, selection) = (lab.source(), Selection::default());
    let running = reconcile::run(settings, &source, target, plan, &selection, &watch);
    let report = tokio::select! {
        report = running => report.unwrap(),
        never = lab.pass_all() => match never {},
    };
    (report, scanned.load(Ordering::Relaxed))
}

fn keys(report: &Report) -> u64 {
    let Tier::Since { keys, .. } = report.tier else { panic!("{:?}", report.tier) };
    keys
}

fn different(report: &Report) -> Vec<(String, DifferenceKind)> {
    let of = |entity: &reconcile::EntityReport| {
        let name = entity.entity.clone();
        entity.differences.iter().map(move |one| (name.clone(), one.kind)).collect::<Vec<_>>()
    };
    report.entities.iter().flat_map(of).collect()
}

/// Changes a payment on the legacy side, logged by CDC.
fn change_a_payment(lab: &Lab) {
    let catalog = lab.database.catalog();
    let table = catalog.tables.iter().find(|table| table.table.name == "Payment").unwrap();
    let column = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap();
    let (key, amount) = (column("Oid"), column("Amount"));
    let row = lab.database.rows("Payment").unwrap().pop().unwrap();
    let LegacyValue::Decimal(now) = row[amount] else { panic!("{:?}", row[amount]) };
    let more = mapping::value::Decimal { unscaled: now.unscaled + 10_000, ..now };
    lab.database
        .transaction(|transaction| {
            let change =
                |row: &mut Vec<LegacyValue<'static>>| row[amount] = LegacyValue::Decimal(more);
            transaction.update("Payment", &row[key..=key], change).map(|_| ())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_reads_what_has_changed_and_sees_what_somebody_did() {
    let lab = Lab::filled(4_000).await;
    let first = lab.run(&Lab::settings(), &[]).await;
    assert_eq!(first.verdict, Verdict::Equal, "{}", first.to_text());
    let (same, scanned) = watched(&lab, &since()).await;
    assert_eq!((same.verdict, scanned, keys(&same)), (Verdict::Equal, 0, 0), "{}", same.to_text());
    assert!(same.to_text().contains("CDC did not log"), "{}", same.to_text());
    let rows =
        |report: &Report| report.entities.iter().map(|one| one.rows.clone()).collect::<Vec<_>>();
    assert_eq!(rows(&same), rows(&first), "each row is accounted for all the same");
    let judged = "select count(distinct run)::text from ficus.reconcile_verdict";
    assert_eq!(lab.text(judged).await, "1", "a gate takes verdicts of full runs only");

    // Changes that arrive.
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let stream = follow(&lab, from, Duration::from_millis(1), stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 3);
    let writing = tokio::spawn(writer.run(300, quiet.clone()));
    let comparing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        quiet.cancel();
        writing.await.unwrap().unwrap();
        let settings = Settings { patience: Duration::from_secs(120), ..since() };
        let report = crate::moving::compare(&lab, &settings).await;
        stop.cancel();
        report
    };
    let ((), moved) = tokio::join!(stream, comparing);
    assert_eq!(moved.verdict, Verdict::Equal, "{}", moved.to_text());
    assert!(keys(&moved) > 20, "{}", moved.to_text());
    assert!(moved.entities.iter().all(|entity| entity.rows.adds_up()));

    // One that does not, and somebody's hand in the target.
    change_a_payment(&lab);
    assert_eq!(lab.sql("update properties set name = name || 'x' where id in (select id from properties order by id limit 2)").await, 2);
    let (report, scanned) = watched(&lab, &since()).await;
    assert_eq!(report.verdict, Verdict::Different, "{}", report.to_text());
    let changed = |name: &str| (name.to_owned(), DifferenceKind::Changed);
    let mut found = different(&report);
    found.sort();
    assert_eq!(found, [changed("payments"), changed("properties"), changed("properties")]);
    assert_eq!(scanned, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_digest_can_vouch_for_is_read_whole_and_said() {
    let lab = Lab::filled(2_000).await;
    let (nothing, scanned) = watched(&lab, &since()).await;
    assert_eq!(nothing.verdict, Verdict::Equal, "{}", nothing.to_text());
    assert!(
        scanned > 0 && nothing.to_text().contains("no digest to go by"),
        "{}",
        nothing.to_text()
    );
    lab.run(&Lab::settings(), &[]).await;

    // A change that CDC does not log is what this tier can't see, and a full run can.
    lab.database.set_captured("Payment", false).unwrap();
    change_a_payment(&lab);
    lab.database.set_captured("Payment", true).unwrap();
    change_a_payment(&lab);
    let instance = lab.database.log().min_lsn("dbo_Payment").unwrap();
    let (report, _) = watched(&lab, &since()).await;
    assert_eq!(
        report.verdict,
        Verdict::Different,
        "CDC was made anew at {instance}: {}",
        report.to_text()
    );
    let Tier::Since { whole, .. } = &report.tier else { panic!() };
    let [whole] = whole.as_slice() else { panic!("{whole:?}") };
    assert!(
        whole.column.contains("Payment") && whole.reason.contains("does not have all"),
        "{whole:?}"
    );

    let few = Settings { changes_max: 0, ..since() };
    lab.run(&Lab::settings(), &[]).await;
    change_a_payment(&lab);
    let (report, scanned) = watched(&lab, &few).await;
    assert!(
        scanned > 0 && report.to_text().contains("more than 0 of its rows"),
        "{}",
        report.to_text()
    );
}
