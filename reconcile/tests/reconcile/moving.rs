//! Two databases that are written to: no row in flight is ever called different.

use std::{sync::Arc, time::Duration};

use reconcile::{Selection, Settings, Verdict, Watch};
use tokio_util::sync::CancellationToken;

use crate::{follow::follow, lab::Lab};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_flight_are_never_called_different() {
    let lab = Lab::filled(4_000).await;
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let stream = follow(&lab, from, Duration::from_millis(20), stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 11);
    // As fast as this test's stream can follow on a loaded machine; a backlog would only wait.
    let writing = tokio::spawn(writer.run(300, quiet.clone()));
    let comparing = async {
        let settings = Settings { patience: Duration::from_millis(500), ..Lab::settings() };
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
        let counts = writing.await.unwrap().unwrap();
        println!("{counts:?}; {again} rows were read again");
        // A loaded machine has a backlog to apply first.
        let settings = Settings { patience: Duration::from_secs(300), ..Lab::settings() };
        let report = compare(&lab, &settings).await;
        assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
        stop.cancel();
    };
    tokio::join!(stream, comparing);
}

pub(crate) async fn compare(lab: &Lab, settings: &Settings) -> reconcile::Report {
    reconcile::run(
        settings,
        &lab.source(),
        Arc::clone(&lab.target),
        Arc::clone(&lab.plan),
        &Selection::default(),
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
