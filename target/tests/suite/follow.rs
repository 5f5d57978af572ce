//! Tables that are paused, stopped and resumed; and what is known of their place in the log.

use target::{
    Checkpoint,
    batch::ChunkProgress,
    chunk::ChunkPlan,
    domain::Decision,
    drift::{DriftKind, DriftNote},
    follow::{Follow, StopReason, TableStop},
};

use crate::lab::{Lab, at, contract, lsn};

const ME: Decision<'_> = Decision { actor: "me", reason: "a test" };

fn stop(lab: &Lab, reason: StopReason) -> TableStop {
    let table = lab.target.plan().table("dbo", "Contract").expect("a table").id;
    let (detail, remedy) = ("what happened".to_owned(), "what mends it".to_owned());
    TableStop { table, reason, detail, remedy }
}

async fn state(lab: &Lab) -> String {
    let states = lab.target.table_states().await.expect("states");
    states.first().map_or("-".to_owned(), |s| format!("{} {}", s.state, s.reason))
}

#[tokio::test]
async fn a_stop_commits_with_its_batch_and_stays_until_somebody_resumes() {
    let lab = Lab::new().await;
    let drift = stop(&lab, StopReason::Drift);
    let mut builder = lab.batch().upsert("Contract", contract("A", 1, "x"), at(10));
    builder.batch.stops.push(drift.clone());
    builder.apply(&lab.target).await;
    assert_eq!(state(&lab).await, "stopped drift");
    // The first reason stays, and a pause is none; but a gap needs more than a resume.
    assert!(!lab.target.stop_table(&stop(&lab, StopReason::Flood)).await.expect("stopped"));
    assert!(!lab.target.pause_table(drift.table, ME).await.expect("no pause"));
    assert_eq!(state(&lab).await, "stopped drift");
    assert!(lab.target.stop_table(&stop(&lab, StopReason::Gap)).await.expect("stopped"));
    assert!(!lab.target.stop_table(&drift).await.expect("stopped"));
    assert_eq!(state(&lab).await, "stopped gap");
    assert_eq!(lab.target.resume_table(drift.table, ME).await.expect("resumed"), Follow::Stopped);
    assert_eq!(lab.target.resume_table(drift.table, ME).await.expect("twice"), Follow::Following);
    let states = lab.target.table_states().await.expect("states");
    assert!(states[0].gap_accepted);
    let audit = lab
        .texts("select concat_ws(' ', action, detail->>'because', detail->>'reason') from ficus.audit order by id")
        .await;
    assert_eq!(
        audit,
        [
            "stream.stopped drift what happened",
            "stream.stopped gap what happened",
            "stream.following gap a test",
        ]
    );
}

#[tokio::test]
async fn a_batch_that_is_fenced_stops_nothing() {
    let lab = Lab::new().await;
    let mut builder = lab.batch();
    builder.batch.stops.push(stop(&lab, StopReason::Drift));
    builder.batch.checkpoint = Checkpoint::Chunk(ChunkProgress {
        chunk: 77,
        epoch: 1,
        last_key: None,
        rows: 0,
        done: true,
        high_watermark: None,
    });
    lab.target.apply(builder.batch).await.expect_err("no such chunk");
    assert_eq!(state(&lab).await, "-");
}

#[tokio::test]
async fn a_copy_speaks_from_its_oldest_chunk_on() {
    let lab = Lab::new().await;
    let table = lab.target.plan().table("dbo", "Contract").expect("a table").id;
    let run = lab.target.start_run(&serde_json::Value::Null).await.expect("a run").id;
    let chunk = |number, after: Option<u8>, up_to: Option<u8>| ChunkPlan {
        table,
        number,
        after: after.map(|key| vec![key]),
        up_to: up_to.map(|key| vec![key]),
    };
    let chunks = [chunk(0, None, Some(5)), chunk(1, Some(5), None)];
    lab.target.plan_chunks(run, &chunks).await.expect("planned");
    let known = async || lab.target.copied().await.expect("known").get(&table).copied();
    assert_eq!(known().await, None);
    for low in [30, 20] {
        let lease = std::time::Duration::from_secs(60);
        let claim = lab.target.claim_chunk(run, None, "me", lease).await.expect("asked");
        let claim = claim.expect("a chunk");
        lab.target.begin_chunk(&claim, Some(lsn(low))).await.expect("begun");
        let copied = known().await.expect("begun");
        assert_eq!((copied.low, copied.done), (lsn(low), false));
        let progress = ChunkProgress {
            chunk: claim.chunk,
            epoch: claim.epoch,
            last_key: None,
            rows: 1,
            done: true,
            high_watermark: None,
        };
        lab.batch().checkpoint(Checkpoint::Chunk(progress)).apply(&lab.target).await;
    }
    let copied = known().await.expect("copied");
    assert_eq!((copied.low, copied.done), (lsn(20), true));
    // Copied again, it speaks for nothing yet.
    lab.target.reset_chunks(run, Some(table)).await.expect("reset");
    assert_eq!(known().await, None);
    lab.target.note_verified(&[(table, lsn(40))]).await.expect("noted");
    lab.target.note_verified(&[(table, lsn(35))]).await.expect("noted");
    let states = lab.target.table_states().await.expect("states");
    assert_eq!((states[0].state, states[0].verified), (Follow::Following, Some(lsn(40))));
}

#[tokio::test]
async fn surprises_are_counted_until_somebody_has_mended_them() {
    let lab = Lab::new().await;
    let table = lab.target.plan().table("dbo", "Contract").expect("a table").id;
    let note = |column: &str, kind, events| DriftNote {
        table,
        column: column.to_owned(),
        kind,
        policy: "report",
        events,
        first: at(events),
    };
    for events in [3, 4] {
        let mut builder = lab.batch();
        builder.batch.drift = vec![
            note("New", DriftKind::Unknown, events),
            note("Old", DriftKind::Missing, events),
            note("total", DriftKind::Unknown, events),
        ];
        builder.apply(&lab.target).await;
    }
    let shown = async || {
        let drift = lab.target.drift().await.expect("drift");
        drift.iter().map(|d| format!("{} {} {}", d.column, d.kind, d.events)).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, ["New unknown 7", "Old missing 7", "total unknown 7"]);
    assert_eq!(lab.target.drift().await.expect("drift")[0].first, at(3));
    // The mapping has learnt one of them; the other is over when somebody says so.
    assert_eq!(lab.target.forget_known_columns().await.expect("forgotten"), 1);
    lab.target.resume_table(table, ME).await.expect("resumed");
    assert_eq!(shown().await, ["New unknown 7"]);
}
