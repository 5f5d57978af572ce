//! A run that was stopped or killed goes on where it was, with a verdict that is right.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reconcile::{DifferenceKind, Error, Event, Report, Selection, Settings, Start, Verdict, Watch};
use tokio_util::sync::CancellationToken;

use crate::{follow::follow, lab::Lab};

/// Small ranges that are kept at once, and slow enough to be stopped between them.
fn settings(start: Start) -> Settings {
    Settings {
        start,
        range_rows: 150,
        keep_every: Duration::from_millis(1),
        rows_per_second: Some(4_000),
        patience: Duration::from_secs(60),
        ..Lab::settings()
    }
}

/// Runs until it has kept something so many times, and then is gone without a word; `None` when it
/// was killed.
async fn killed_after(lab: &Lab, settings: &Settings, kept: u32) -> Option<Report> {
    let dead = CancellationToken::new();
    let (count, kill) = (Arc::new(AtomicU32::new(0)), dead.clone());
    let watch = Watch {
        progress: Arc::new(move |event| {
            if matches!(event, Event::Kept { .. })
                && count.fetch_add(1, Ordering::Relaxed) + 1 >= kept
            {
                kill.cancel();
            }
        }),
        stop: CancellationToken::new(),
    };
    tokio::select! {
        report = compare(lab, settings, &watch) => Some(report.unwrap()),
        () = dead.cancelled() => None,
    }
}

async fn compare(lab: &Lab, settings: &Settings, watch: &Watch) -> Result<Report, Error> {
    let (target, plan) = (Arc::clone(&lab.target), Arc::clone(&lab.plan));
    let selection = Selection::default();
    reconcile::run(settings, &lab.source(), target, plan, &selection, watch).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_killed_again_and_again_under_a_writer_ends_with_exactly_what_differs() {
    let lab = Lab::filled(4_000).await;
    // Rows that the writer leaves alone.
    let gone = "delete from roles where id in (select id from roles order by id limit 3)";
    assert_eq!(lab.sql(gone).await, 3);
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let stream = follow(&lab, from, Duration::from_millis(5), stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 5);
    let writing = tokio::spawn(writer.run(200, quiet.clone()));
    let comparing = async {
        let mut kills = 0;
        let mut low = None;
        for kept in [3, 2, 5, 4, 6] {
            if killed_after(&lab, &settings(Start::Resume), kept).await.is_none() {
                kills += 1;
                let first = "select min(encode(lsn, 'hex')) from ficus.reconcile_digest";
                low.get_or_insert(lab.text(first).await);
            }
        }
        assert!(kills >= 3, "{kills}");
        quiet.cancel();
        println!("{:?}; {kills} kills", writing.await.unwrap().unwrap());
        let report = compare(&lab, &settings(Start::Resume), &Watch::nobody()).await.unwrap();
        assert_eq!(report.verdict, Verdict::Different, "{}", report.to_text());
        for entity in &report.entities {
            assert!(entity.rows.adds_up(), "{}: {:?}", entity.entity, entity.rows);
            let expect = if entity.entity == "roles" { 3 } else { 0 };
            assert_eq!(entity.different(), expect, "{}", report.to_text());
            assert_eq!(entity.undecided(), 0, "{}", report.to_text());
            assert!(entity.differences.iter().all(|one| one.kind == DifferenceKind::Missing));
        }
        let resumed = report.resumed.clone().expect("it went on");
        assert!(resumed.rows > 0, "{resumed:?}");
        assert!(report.to_text().contains("Went on with run"), "{}", report.to_text());
        // The verdict holds where the oldest reading began, and is as old as that.
        let oldest = report.low.clone().unwrap().replace(':', "");
        assert_eq!(Some(oldest), low, "{resumed:?}");
        let at = "select max(abs(extract(epoch from v.at) - extract(epoch from $$".to_owned()
            + &resumed.began_at
            + "$$::timestamptz)))::int4::text from ficus.reconcile_verdict v";
        assert_eq!(lab.text(&at).await, "0");
        let ends = "select string_agg(state, ' ' order by id) from ficus.reconcile_run";
        let failed = "failed ".repeat(kills);
        assert_eq!(lab.text(ends).await, format!("{failed}different"));
        stop.cancel();
    };
    tokio::join!(stream, comparing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_on_with_was_stopped_is_of_the_same_names_and_is_not_old() {
    let lab = Lab::filled(3_000).await;
    let stop = CancellationToken::new();
    let (told, count) = (stop.clone(), AtomicU32::new(0));
    let watch = Watch {
        progress: Arc::new(move |event| {
            if matches!(event, Event::Kept { .. }) && count.fetch_add(1, Ordering::Relaxed) == 3 {
                told.cancel();
            }
        }),
        stop,
    };
    let stopped = compare(&lab, &settings(Start::Anew), &watch).await;
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    let kept = "select count(*)::text from ficus.reconcile_digest where run = 1";
    assert_ne!(lab.text(kept).await, "0");

    let other = lab.run(&settings(Start::Resume), &["payments"]).await;
    assert_eq!((other.verdict, other.resumed), (Verdict::Equal, None));
    let locked = lab.target.lock_run(1).await.unwrap();
    let beside = lab.run(&settings(Start::Resume), &[]).await;
    assert_eq!(beside.resumed, None, "run 1 is under way");
    drop(locked);

    let stopped = killed_after(&lab, &settings(Start::Anew), 4).await;
    assert!(stopped.is_none());
    let begun = lab.text("select max(id)::text from ficus.reconcile_run").await;
    let young = Settings { resume_age_max: Duration::ZERO, ..settings(Start::Resume) };
    assert_eq!(lab.run(&young, &[]).await.resumed, None, "run {begun} is too old");
    let left = "select coalesce(string_agg(d.run || ' ' || d.source_table, ', '), '') from ficus.reconcile_digest d where d.run < (select max(id) from ficus.reconcile_run)";
    assert_eq!(lab.text(left).await, "", "what was not gone on with is forgotten");
}
