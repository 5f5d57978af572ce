//! Positions commit with the data, and only for their owner.

use std::time::Duration;

use target::{
    Checkpoint, Error,
    batch::{ChunkProgress, Fence, OffsetAdvance},
    chunk::ChunkPlan,
};

use crate::lab::{Builder, Lab, at, contract, lsn, read, short};

const C: &str = "Contract";
const TOPIC: &str = "lab.Lab.dbo.Contract";

fn offsets(expected: i64, next: i64, epoch: i64) -> Checkpoint {
    Checkpoint::Offsets {
        group: "g".to_owned(),
        advances: vec![OffsetAdvance {
            topic: TOPIC.to_owned(),
            partition: 0,
            expected,
            next,
            epoch,
            commit_lsn: Some(lsn(10)),
            source_ts_ms: Some(5),
            fingerprint: Some(7),
            kafka_ts_ms: None,
        }],
    }
}

fn one(builder: Builder, number: &str, checkpoint: Checkpoint) -> Builder {
    builder.upsert(C, contract(number, 1, "x"), at(10)).checkpoint(checkpoint)
}

#[tokio::test]
async fn a_zombie_can_not_commit() {
    let lab = Lab::new().await;
    let old = lab.target.claim_partition("g", TOPIC, 0, "old").await.expect("a claim");
    assert_eq!(old.next_offset, None);
    one(lab.batch(), "A", offsets(0, 5, old.epoch)).apply(&lab.target).await;
    let new = lab.target.claim_partition("g", TOPIC, 0, "new").await.expect("a claim");
    assert_eq!(new.next_offset, Some(5));
    let zombie = one(lab.batch(), "B", offsets(5, 9, old.epoch));
    let error = lab.target.apply(zombie.batch).await.expect_err("fenced");
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    assert_eq!(error.disposition(), target::Disposition::Reclaim);
    assert_eq!(lab.contracts().await.len(), 1);
    // The wrong offset, too: the batch was committed before.
    let twice = one(lab.batch(), "B", offsets(0, 5, new.epoch));
    assert!(matches!(lab.target.apply(twice.batch).await, Err(Error::Fenced { .. })));
    one(lab.batch(), "B", offsets(5, 9, new.epoch)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await.len(), 2);
    let position = &lab.target.positions().await.expect("positions")[0];
    assert_eq!((position.next_offset, position.owner.as_str()), (9, "new"));
    assert_eq!(short(&lab.counts("dbo.Contract", "stream").await), "read 2, applied 2");
}

#[tokio::test]
async fn a_fence_is_passed_when_every_partition_is_at_its_end() {
    let lab = Lab::new().await;
    let claim = lab.target.claim_partition("g", TOPIC, 0, "me").await.expect("a claim");
    let ends = vec![(TOPIC.to_owned(), 0, 8), ("lab.other".to_owned(), 0, 0)];
    let mut builder = one(lab.batch(), "A", offsets(0, 5, claim.epoch));
    builder.batch.fences.push(Fence { lsn: lsn(50), ends });
    builder.apply(&lab.target).await;
    assert!(!lab.target.passed(lsn(40)).await.expect("an answer"));
    one(lab.batch(), "B", offsets(5, 8, claim.epoch)).apply(&lab.target).await;
    assert!(lab.target.passed(lsn(50)).await.expect("an answer"));
    assert!(!lab.target.passed(lsn(51)).await.expect("an answer"));
}

#[tokio::test]
async fn chunks_are_claimed_once_and_fenced() {
    let lab = Lab::new().await;
    let table = lab.target.plan().table("dbo", C).expect("the table").id;
    let run = lab.target.start_run(&serde_json::json!({})).await.expect("a run").id;
    let chunk = |number, after: Option<&[u8]>, up_to: Option<&[u8]>| ChunkPlan {
        table,
        number,
        after: after.map(<[u8]>::to_vec),
        up_to: up_to.map(<[u8]>::to_vec),
    };
    let chunks = [chunk(0, None, Some(b"M")), chunk(1, Some(b"M"), None)];
    for _ in 0..2 {
        lab.target.plan_chunks(run, &chunks).await.expect("planned");
    }
    let lease = Duration::from_secs(60);
    let a = lab.target.claim_chunk(run, None, "a", lease).await.expect("a").expect("a chunk");
    let b = lab.target.claim_chunk(run, None, "b", lease).await.expect("b").expect("a chunk");
    assert_eq!((a.plan.number, b.plan.number), (0, 1));
    assert_eq!(lab.target.claim_chunk(run, None, "c", lease).await.expect("c"), None);
    lab.target.begin_chunk(&a, Some(lsn(10))).await.expect("begun");
    let step = |claim: &target::chunk::ChunkClaim, done| {
        Checkpoint::Chunk(ChunkProgress {
            chunk: claim.chunk,
            epoch: claim.epoch,
            last_key: Some(b"A".to_vec()),
            rows: 1,
            done,
            high_watermark: done.then(|| lsn(12)),
        })
    };
    let row = |number| lab.batch().upsert(C, contract(number, 1, "x"), read(10));
    row("A").checkpoint(step(&a, false)).apply(&lab.target).await;
    lab.target.release_chunk(&a, Some("a pause")).await.expect("released");
    let late = row("B").checkpoint(step(&a, true));
    assert!(matches!(lab.target.apply(late.batch).await, Err(Error::Fenced { .. })));
    let again = lab.target.claim_chunk(run, None, "c", lease).await.expect("c").expect("a chunk");
    assert_eq!((again.chunk, again.last_key.as_deref(), again.rows), (a.chunk, Some(&b"A"[..]), 1));
    assert!(matches!(lab.target.rewind_chunk(&a, None, 0).await, Err(Error::Fenced { .. })));
    for (last_key, rows) in [(None, 0), (Some(&b"A"[..]), 1)] {
        lab.target.rewind_chunk(&again, last_key, rows).await.expect("taken back");
        let chunk = &lab.target.chunks(run).await.expect("chunks")[0];
        assert_eq!((chunk.last_key.as_deref(), chunk.rows), (last_key, rows));
    }
    row("B").checkpoint(step(&again, true)).apply(&lab.target).await;
    assert!(!lab.target.finish_run(run).await.expect("not yet"));
    row("C").checkpoint(step(&b, true)).apply(&lab.target).await;
    assert!(lab.target.finish_run(run).await.expect("done"));
    let progress = &lab.target.progress(run).await.expect("progress")[0];
    assert_eq!((progress.rows, progress.chunks_done), (3, 2));
    assert_eq!(progress.high_watermark, Some(lsn(12)));
    assert_eq!(short(&lab.counts("dbo.Contract", "backfill").await), "read 3, applied 3");
}

/// Several readers run into a time limit at once, and each splits what it has.
#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_split_by_several_at_once() {
    let lab = Lab::new().await;
    let table = lab.target.plan().table("dbo", C).expect("the table").id;
    let run = lab.target.start_run(&serde_json::json!({})).await.expect("a run").id;
    let bounds: Vec<Option<Vec<u8>>> =
        vec![None, Some(vec![1]), Some(vec![2]), Some(vec![3]), None];
    let chunks: Vec<ChunkPlan> = (0..)
        .zip(bounds.windows(2))
        .map(|(number, ends)| ChunkPlan {
            table,
            number,
            after: ends[0].clone(),
            up_to: ends[1].clone(),
        })
        .collect();
    lab.target.plan_chunks(run, &chunks).await.expect("planned");
    let mut claims = Vec::new();
    for owner in ["a", "b", "c", "d"] {
        let claim = lab.target.claim_chunk(run, None, owner, Duration::from_secs(60)).await;
        claims.push(claim.expect("an answer").expect("a chunk"));
    }
    // So that each has read which number is the next before another one has taken it.
    sqlx::raw_sql(
        "create function dawdle() returns trigger language plpgsql as
           $$ begin perform pg_sleep(0.05); return new; end $$;
         create trigger dawdle before insert on ficus.backfill_chunk
           for each row execute function dawdle()",
    )
    .execute(&lab.admin)
    .await
    .expect("a trigger");
    for round in 1..4_u8 {
        let place = [0, round];
        let splits = claims.iter().map(|claim| lab.target.split_chunk(claim, &place));
        for split in futures_util::future::join_all(splits).await {
            split.expect("split");
        }
    }
    let chunks = lab.target.chunks(run).await.expect("chunks");
    let mut numbers: Vec<i32> = chunks.iter().map(|chunk| chunk.plan.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..16).collect::<Vec<_>>());
    lab.target.release_chunk(&claims[0], None).await.expect("released");
    let late = lab.target.split_chunk(&claims[0], &[0]).await;
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
}

#[tokio::test]
async fn a_lost_connection_is_met_again() {
    let lab = Lab::new().await;
    one(lab.batch(), "A", Checkpoint::None).apply(&lab.target).await;
    lab.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .await;
    one(lab.batch(), "B", Checkpoint::None).apply(&lab.target).await;
    assert_eq!(lab.contracts().await.len(), 2);
}

/// A process that was stopped in the middle of a COPY holds its partition; Postgres itself would
/// wait for it for ever.
#[tokio::test]
async fn a_session_whose_process_stands_still_is_ended() {
    let lab = Lab::new().await;
    lab.target.claim_partition("g", TOPIC, 0, "old").await.expect("a claim");
    let mut old = lab.target.pool().begin().await.expect("a transaction");
    sqlx::raw_sql("update ficus.partition set owner = owner").execute(&mut *old).await.expect("it");
    sqlx::raw_sql("create temporary table staged (id int)").execute(&mut *old).await.expect("it");
    let copy = old.copy_in_raw("copy staged from stdin").await.expect("a copy");
    let claim = lab.target.claim_partition("g", TOPIC, 0, "new");
    let waited = tokio::time::timeout(Duration::from_millis(200), claim).await;
    assert!(waited.is_err(), "the old owner's lock holds");
    // Who works is let alone.
    assert_eq!(lab.target.end_silent_sessions(Duration::from_secs(60)).await.expect("none"), 0);
    assert_eq!(lab.target.end_silent_sessions(Duration::from_millis(1)).await.expect("one"), 1);
    let claim = lab.target.claim_partition("g", TOPIC, 0, "new").await.expect("a claim");
    assert!(claim.epoch > 1, "{claim:?}");
    copy.finish().await.expect_err("its session was ended");
}

#[tokio::test]
async fn cancelled_batches_leave_nothing_behind() {
    let lab = Lab::new().await;
    for round in 0..60_u64 {
        let mut builder = lab.batch();
        for row in 0..20 {
            builder = builder.upsert(C, contract(&format!("N{row}"), 1, "x"), at(10 + round));
        }
        let applying = lab.target.apply(builder.batch);
        drop(tokio::time::timeout(Duration::from_micros(200 * round), applying).await);
    }
    one(lab.batch(), "Z", Checkpoint::None).apply(&lab.target).await;
    // Closing takes the server a moment.
    for _ in 0..100 {
        let open = lab
            .text(
                "select count(*)::text from pg_stat_activity where datname = current_database()
                 and state like 'idle in transaction%'",
            )
            .await;
        if open == "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("an open transaction was left behind");
}
