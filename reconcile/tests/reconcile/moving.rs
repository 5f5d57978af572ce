//! Two databases that are written to: no row in flight is ever called different.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reconcile::{Exit, Selection, Settings, Verdict, Watch};
use tokio_util::sync::CancellationToken;

use crate::{follow::follow_counted, lab::Lab};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_flight_are_never_called_different() {
    let lab = Lab::filled(4_000).await;
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let carried = Arc::new(AtomicU64::new(0));
    let stream = follow_counted(&lab, (from, &carried), Duration::from_millis(20), stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 11);
    let began = std::time::Instant::now();
    let bound = (Arc::clone(&carried), 1_000);
    let writing = tokio::spawn(at_full_speed(writer, bound, quiet.clone()));
    let comparing = async {
        let settings = Settings { patience: Duration::from_secs(3), ..Lab::settings() };
        let mut again = 0;
        for _ in 0..20 {
            let report = compare(&lab, &settings).await;
            assert_ne!(report.verdict, Verdict::Different, "{}", report.to_text());
            for entity in &report.entities {
                assert!(entity.rows.adds_up(), "{}: {:?}", entity.entity, entity.rows);
                again += entity.read_again;
            }
        }
        assert!(again > 0, "nothing was in flight, so nothing was tried");
        quiet.cancel();
        let written = writing.await.unwrap();
        let rate = u128::from(written) * 1_000 / began.elapsed().as_millis();
        println!("{written} transactions, {rate} a second; {again} rows were read again");
        // A loaded machine has a backlog to apply first.
        let settings = Settings { patience: Duration::from_secs(300), ..Lab::settings() };
        let report = compare(&lab, &settings).await;
        assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
        stop.cancel();
    };
    tokio::join!(stream, comparing);
}

/// The legacy server keeps all of it in memory.
const WRITTEN_MAX: u64 = 200_000;

/// Nobody holds this writer back. It writes many times more than the stream of these tests carries,
/// so runs can't decide where rows move: then they say so, and never that anything differs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_outruns_the_stream_leaves_runs_undecided_and_none_wrong() {
    let lab = Lab::filled(500).await;
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let carried = Arc::new(AtomicU64::new(0));
    let stream = follow_counted(&lab, (from, &carried), Duration::ZERO, stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 12);
    let began = std::time::Instant::now();
    let until = quiet.clone();
    let writing = std::thread::spawn(move || {
        let mut writer = writer;
        while !until.is_cancelled() && writer.counts().transactions < WRITTEN_MAX {
            writer.step().unwrap();
        }
        writer.finish().unwrap().transactions
    });
    let comparing = async {
        let settings = Settings {
            patience: Duration::from_millis(300),
            capture_patience: Duration::from_secs(1),
            ..Lab::settings()
        };
        let (mut equal, mut again) = (0, 0);
        for _ in 0..20 {
            let report = compare_some(&lab, &settings, &["users"]).await;
            assert_ne!(report.verdict, Verdict::Different, "{}", report.to_text());
            let is_equal = report.verdict == Verdict::Equal;
            assert_eq!(Exit::from(report.verdict).code(), if is_equal { 0 } else { 2 });
            equal += u32::from(is_equal);
            again += report.entities.iter().map(|entity| entity.read_again).sum::<u64>();
        }
        assert!(again > 0, "nothing was in flight, so nothing was tried");
        quiet.cancel();
        let (written, carried) = (writing.join().unwrap(), carried.load(Ordering::Relaxed));
        let a_second = |count: u64| u128::from(count) * 1_000 / began.elapsed().as_millis();
        println!(
            "{written} transactions, {} a second, {} of them carried; {equal} of 20 runs equal, \
             the others in flight; {again} rows were read again",
            a_second(written),
            a_second(carried)
        );
    };
    tokio::select! {
        () = stream => unreachable!("nobody stops the stream"),
        () = comparing => {}
    }
}

/// Writes as fast as it can, but not so many transactions further ahead than the stream carries:
/// what only waits tries nothing. Returns the transactions.
async fn at_full_speed(
    mut writer: spacehub::demo::writer::Writer,
    (carried, ahead_max): (Arc<AtomicU64>, u64),
    stop: CancellationToken,
) -> u64 {
    while !stop.is_cancelled() {
        let written = writer.counts().transactions;
        if written.saturating_sub(carried.load(Ordering::Relaxed)) < ahead_max {
            writer.step().unwrap();
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    writer.finish().unwrap().transactions
}

pub(crate) async fn compare(lab: &Lab, settings: &Settings) -> reconcile::Report {
    compare_some(lab, settings, &[]).await
}

async fn compare_some(lab: &Lab, settings: &Settings, names: &[&str]) -> reconcile::Report {
    reconcile::run(
        settings,
        &lab.source(),
        Arc::clone(&lab.target),
        Arc::clone(&lab.plan),
        &Selection { names: names.iter().map(ToString::to_string).collect() },
        &Watch::nobody(),
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_stands_still_is_undecided_where_rows_disagree() {
    let lab = Lab::filled(4_000).await;
    let settings = Settings { patience: Duration::from_millis(300), ..Lab::settings() };
    let equal = compare(&lab, &settings).await;
    assert_eq!(equal.verdict, Verdict::Equal, "agreement needs no stream: {}", equal.to_text());
    assert_eq!(equal.evidence, reconcile::Evidence::MarkerNotPassed);
    lab.sql("delete from payments where id in (select id from payments order by id limit 3)").await;
    let report = compare(&lab, &settings).await;
    assert_eq!(report.verdict, Verdict::InFlight, "{}", report.to_text());
    let in_flight: u64 = report.entities.iter().map(|entity| entity.rows.in_flight).sum();
    assert_eq!(in_flight, 3);
}
