//! How fast, by hand: `cargo test --release -p reconcile -- --ignored --nocapture speed`.

use std::time::Instant;

use reconcile::Verdict;

use crate::lab::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_the_contract_table() {
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(400_000);
    let lab = Lab::filled(rows).await;
    lab.sql("vacuum analyze").await;
    plain_scan(&lab).await;
    for _ in 0..3 {
        let started = Instant::now();
        let report = lab.run(&Lab::settings(), &["contracts"]).await;
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
        let read: u64 = report.entities.iter().map(|entity| entity.rows.read).sum();
        let per = |ms: f64| f64::from(u32::try_from(read).unwrap()) / ms * 1000.0;
        let ms = |ms: u64| f64::from(u32::try_from(ms).unwrap());
        let (legacy, target) = (ms(report.legacy_scan_ms), ms(report.target_scan_ms));
        println!(
            "{read} rows: {:.0}/s in all, {:.0}/s both scans (legacy {legacy} ms, target {target} ms)",
            per(seconds * 1000.0),
            per(legacy + target)
        );
    }
}

/// What reading alone costs.
async fn plain_scan(lab: &Lab) {
    let (sink, mut rows) = tokio::sync::mpsc::channel(16);
    let table = lab.plan.table("dbo", "Contract").unwrap();
    let mut session = lab.session().await;
    let started = Instant::now();
    let range = legacy::session::KeyRange::default();
    let dropping = async { while rows.recv().await.is_some() {} };
    let reading = async {
        let read = session.stream_range(table, &range, &sink).await.unwrap();
        drop(sink);
        read
    };
    let (read, ()) = tokio::join!(reading, dropping);
    println!("{read} rows read and dropped in {} ms", started.elapsed().as_millis());
}
