//! Domain states, gates, cutover and the way back.

use std::time::Duration;

use mapping::value::LegacyValue;
use target::{
    Checkpoint, Error,
    batch::{ChunkProgress, Fence, OffsetAdvance},
    chunk::ChunkPlan,
    domain::{Decision, State, Terms},
    report::{RunEnd, Verdict, VerdictKind},
};

use crate::lab::{Lab, at, contract, lsn, partial, read, short, text, with};

pub(crate) const ME: Decision<'static> = Decision { actor: "me", reason: "a test" };

pub(crate) fn terms() -> Terms {
    Terms { lag_ms_max: 60_000, verdict_age_ms_max: 60_000 }
}

pub(crate) async fn red(lab: &Lab) -> Vec<String> {
    let gates = lab.target.gates("contracts", &terms()).await.expect("gates");
    gates.into_iter().filter(|gate| !gate.green).map(|gate| gate.name).collect()
}

/// Copies every table, lets a marker come back, and stores verdicts.
pub(crate) async fn make_green(lab: &Lab) {
    let run = lab.target.start_run(&serde_json::json!({})).await.expect("a run").id;
    for table in &lab.target.plan().tables {
        let plan = ChunkPlan { table: table.id, number: 0, after: None, up_to: None };
        lab.target.plan_chunks(run, &[plan]).await.expect("planned");
    }
    let lease = Duration::from_secs(60);
    while let Some(claim) = lab.target.claim_chunk(run, None, "me", lease).await.expect("claim") {
        let progress = ChunkProgress {
            chunk: claim.chunk,
            epoch: claim.epoch,
            last_key: None,
            rows: 0,
            done: true,
            high_watermark: Some(lsn(30)),
        };
        lab.batch().checkpoint(Checkpoint::Chunk(progress)).apply(&lab.target).await;
    }
    lab.target.finish_run(run).await.expect("finished");
    let claim = lab.target.claim_partition("g", "t", 0, "me").await.expect("a claim");
    let expected = claim.next_offset.unwrap_or(0);
    let advance = OffsetAdvance {
        topic: "t".to_owned(),
        partition: 0,
        expected,
        next: expected + 1,
        epoch: claim.epoch,
        commit_lsn: None,
        source_ts_ms: None,
        fingerprint: None,
        kafka_ts_ms: None,
    };
    let mut builder = lab.batch();
    let ends = vec![("t".to_owned(), 0, expected + 1)];
    builder.batch.fences.push(Fence { lsn: lsn(40), ends });
    let checkpoint = Checkpoint::Offsets { group: "g".to_owned(), advances: vec![advance] };
    builder.checkpoint(checkpoint).apply(&lab.target).await;
    let run = lab.target.begin_reconcile("all").await.expect("a run");
    for entity in &lab.target.plan().entities {
        let verdict = Verdict {
            entity: entity.name.clone(),
            verdict: VerdictKind::Equal,
            lsn: Some(lsn(35)),
            legacy_rows: 1,
            target_rows: 1,
            equal_rows: 1,
            different_rows: 0,
            in_flight_rows: 0,
            quarantined_rows: 0,
            ignored_rows: 0,
            as_of_ms: None,
        };
        lab.target.store_verdict(run, &verdict).await.expect("stored");
    }
    let end = RunEnd {
        state: "equal".to_owned(),
        lsn: Some(lsn(35)),
        marker_lsn: Some(lsn(40)),
        body: "{}".to_owned(),
        tier: "full",
        different_rows: 0,
        in_flight_rows: 0,
    };
    lab.target.finish_reconcile(run, &end).await.expect("finished");
}

pub(crate) async fn verify(lab: &Lab) {
    let steps = [
        (State::Legacy, State::Backfilling),
        (State::Backfilling, State::Following),
        (State::Following, State::Verified),
    ];
    for (from, to) in steps {
        lab.target.transition("contracts", from, to, ME).await.expect("a step");
    }
}

pub(crate) async fn tenant(lab: &Lab) {
    let int = LegacyValue::Int;
    lab.batch()
        .upsert(
            "Party",
            vec![
                ("OID", int(7)),
                ("Name", text("Bat")),
                ("Note", text("n")),
                ("ObjectType", int(1)),
                ("OptimisticLockField", int(1)),
            ],
            at(11),
        )
        .upsert("Tenant", vec![("OID", int(7)), ("Credit", int(1))], at(11))
        .apply(&lab.target)
        .await;
}

#[tokio::test]
async fn steps_are_guarded_by_the_table_of_transitions() {
    let lab = Lab::new().await;
    let step = lab.target.transition("contracts", State::Legacy, State::Verified, ME).await;
    assert!(matches!(step, Err(Error::Transition { .. })));
    let step = lab.target.transition("contracts", State::Following, State::Verified, ME).await;
    assert!(matches!(step, Err(Error::Transition { .. })), "not in that state");
    let step = lab.target.transition("contracts", State::Verified, State::CutOver, ME).await;
    assert!(matches!(step, Err(Error::Transition { .. })), "not by this door");
    let raw = sqlx::query("update ficus.domain set state = 'cut_over'").execute(&lab.admin).await;
    assert!(raw.is_err(), "not even by hand");
    for _ in 0..2 {
        let step = lab.target.transition("contracts", State::Legacy, State::Backfilling, ME);
        step.await.expect("the same step again is no error");
    }
    assert_eq!(
        lab.text(
            "select actor || ': ' || (detail->>'from') || ' → ' || (detail->>'to') from ficus.audit"
        )
        .await,
        "me: legacy → backfilling"
    );
}

#[tokio::test]
async fn a_cutover_waits_for_every_gate() {
    let lab = Lab::new().await;
    lab.batch().upsert("Contract", contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    assert_eq!(red(&lab).await, ["state", "backfill", "stream", "reconcile", "seal"]);
    let error = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await;
    let Err(Error::Gates { red: names, .. }) = error else { panic!("{error:?}") };
    assert_eq!(names, ["state", "backfill", "stream", "reconcile", "seal"]);
    verify(&lab).await;
    make_green(&lab).await;
    assert_eq!(red(&lab).await, ["seal"]);
    let keys = lab.target.foreign_keys("contracts").await.expect("keys");
    assert_eq!((keys[0].subject().as_str(), keys[0].orphans), ("contracts.tenant_id", 1));
    assert!(keys[0].examples[0].1.is_some());
    tenant(&lab).await;
    assert!(red(&lab).await.is_empty());
    lab.batch().upsert("Contract", partial("B", 2), at(50)).apply(&lab.target).await;
    assert_eq!(red(&lab).await, ["parked"]);
    lab.target.waive("contracts", "parked", "", ME).await.expect("waived");
    assert!(red(&lab).await.is_empty());
}

#[tokio::test]
async fn after_the_cutover_the_stream_is_only_an_echo() {
    let lab = Lab::new().await;
    lab.rows("alter table contracts enable row level security").await;
    lab.rows("alter table contracts force row level security").await;
    lab.rows("create policy e on contracts to ficus_engine using (true) with check (true)").await;
    lab.batch().upsert("Contract", contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    tenant(&lab).await;
    verify(&lab).await;
    make_green(&lab).await;
    let mut listener = sqlx::postgres::PgListener::connect_with(&lab.admin).await.expect("listen");
    listener.listen("ficus_domain").await.expect("listen");
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert!(done.gates.iter().all(|gate| gate.green));
    let heard = listener.recv().await.expect("a notification");
    assert_eq!(heard.payload(), "contracts:cut_over");
    lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("twice is once");

    let total = LegacyValue::Decimal(mapping::value::Decimal { unscaled: 50, scale: 4 });
    lab.batch()
        .upsert("Contract", contract("A", 2, "y"), at(60))
        .delete("Contract", contract("B", 2, "y"), at(61))
        .upsert("Contract", with(contract("C", 2, "y"), &[("Total", total)]), at(62))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|100|x|live|1"]);
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 4, applied 1, ignored 3");
    let all = lab.target.counts().await.expect("counts");
    let line = all.iter().find(|line| line.table == "dbo.Contract").expect("the table");
    assert_eq!(line.ignored["domain-cut-over"], 3);

    let orphan = sqlx::query("update contracts set tenant_id = gen_random_uuid()");
    assert!(orphan.execute(&lab.admin).await.is_err(), "the reference is sealed");
    lab.rows("insert into contracts (id, number, version) values (gen_random_uuid(), 'api', 0)")
        .await;
    lab.target.roll_back(&lab.owner, "contracts", ME).await.expect("rolled back");
    assert_eq!(lab.target.domain_state("contracts").await.expect("a state"), State::RolledBack);
    assert_eq!(
        lab.text("select count(*)::text from pg_constraint where contype = 'f' and conrelid = 'contracts'::regclass").await,
        "0"
    );
    lab.batch().upsert("Contract", contract("A", 3, "z"), at(70)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await[0], "A|300|z|live|1");
}

#[tokio::test]
async fn a_cutover_waits_for_a_batch_in_flight() {
    let lab = Lab::new().await;
    verify(&lab).await;
    make_green(&lab).await;
    let mut held = lab.admin.begin().await.expect("a transaction");
    sqlx::query("select from ficus.domain where name = 'contracts' for share")
        .execute(&mut *held)
        .await
        .expect("held as a batch holds it");
    let terms = terms();
    let cutting = lab.target.cut_over(&lab.owner, "contracts", &terms, ME);
    let early = tokio::time::timeout(Duration::from_millis(300), cutting).await;
    assert!(early.is_err(), "the cutover waits");
    held.rollback().await.expect("let go");
    lab.target.cut_over(&lab.owner, "contracts", &terms, ME).await.expect("cut over");
}

#[tokio::test]
async fn reports_are_chained() {
    let lab = Lab::new().await;
    make_green(&lab).await;
    // A clock that goes back forks nothing.
    let sql = "update ficus.reconcile_run set finished_at = finished_at + interval '1 hour'";
    sqlx::query(sql).execute(&lab.owner).await.expect("an owner may");
    make_green(&lab).await;
    make_green(&lab).await;
    let runs = lab.target.reconcile_runs(10).await.expect("runs");
    assert_eq!(runs[0].prev_hash, runs[1].hash);
    assert_eq!(runs[1].prev_hash, runs[2].hash);
    let valid = lab
        .text(
            "select bool_and(hash = sha256(coalesce(prev_hash, ''::bytea) || convert_to(body, 'UTF8')))::text
             from ficus.reconcile_run",
        )
        .await;
    assert_eq!(valid, "true");
}

/// The stream passes a domain by while it is cut over, so a copy has to bring what was missed.
/// It brings rows that changed, and none that went: those stay until reconcile reports them as
/// `extra`, and keep the domain from being verified.
#[tokio::test]
async fn a_copy_after_a_rollback_brings_everything_but_deletes() {
    let lab = Lab::new().await;
    let legacy = |b: crate::lab::Builder, total, p| {
        b.upsert("Contract", contract("A", total, "x"), p).upsert(
            "Contract",
            contract("B", total, "x"),
            p,
        )
    };
    legacy(lab.batch(), 1, at(10)).apply(&lab.target).await;
    tenant(&lab).await;
    verify(&lab).await;
    make_green(&lab).await;
    lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    // Missed: B goes, C comes, A gets other terms.
    lab.batch()
        .delete("Contract", contract("B", 1, "x"), at(60))
        .upsert("Contract", contract("C", 3, "new"), at(61))
        .upsert("Contract", contract("A", 1, "other terms"), at(62))
        .apply(&lab.target)
        .await;
    lab.target.roll_back(&lab.owner, "contracts", ME).await.expect("rolled back");
    lab.batch()
        .upsert("Contract", contract("A", 1, "other terms"), read(70))
        .upsert("Contract", contract("C", 3, "new"), read(70))
        .apply(&lab.target)
        .await;
    assert_eq!(
        lab.contracts().await,
        ["A|100|other terms|live|1", "B|100|x|live|1", "C|300|new|live|1"],
        "B is the extra row"
    );
    assert_eq!(lab.text("select count(*)::text from ficus.tombstone").await, "0");
}
