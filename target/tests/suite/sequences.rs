//! Document numbers: what the legacy side gave is counted for good, and the new side begins above.

use mapping::value::LegacyValue;
use target::{Error, domain::State};

use crate::{
    domains::{ME, make_green, red, tenant, terms, verify},
    lab::{Lab, MAPPING, at, contract, deleted, plan_of, read, with},
};

const C: &str = "Contract";

/// The lab's mapping with one sequence.
fn numbered(rest: &str) -> String {
    format!(
        "{MAPPING}\n[[sequence]]\nname = \"contract_no_seq\"\nfrom = \"contracts.number\"\n\
         pattern = 'C-(?:\\d{{4}}/)?(\\d+)'\n{rest}"
    )
}

async fn lab(rest: &str) -> Lab {
    let lab = Lab::of(plan_of(&numbered(rest))).await;
    lab.rows("create sequence contract_no_seq").await;
    lab.rows("alter sequence contract_no_seq owner to ficus_owner").await;
    lab
}

async fn next(lab: &Lab) -> String {
    lab.text("select nextval('contract_no_seq')::text").await
}

async fn highest(lab: &Lab) -> String {
    lab.text("select coalesce(highest::text, 'none') from ficus.sequence order by defined_at").await
}

async fn gate(lab: &Lab) -> (bool, String) {
    let gates = lab.target.gates("contracts", &terms()).await.expect("gates");
    let gate = gates.into_iter().find(|gate| gate.name == "sequences").expect("the gate");
    (gate.green, gate.detail)
}

/// Contracts with a parent, copied, compared: nothing but the sequence can be red.
async fn make_ready(lab: &Lab) {
    tenant(lab).await;
    verify(lab).await;
    make_green(lab).await;
}

#[tokio::test]
async fn trap_21_the_new_side_begins_above_numbers_of_deleted_rows() {
    let lab = lab("").await;
    lab.batch()
        .upsert(C, contract("C-2024/5", 1, "x"), at(10))
        .upsert(C, contract("C-2024/17", 1, "x"), at(11))
        .upsert(C, deleted(contract("C-2023/0016", 1, "x")), read(9))
        .apply(&lab.target)
        .await;
    // Purged before anything looked at the tables.
    lab.batch().delete(C, contract("C-2024/17", 1, "x"), at(20)).apply(&lab.target).await;
    // The copy never saw this one, and the delete brought its last image.
    lab.batch().delete(C, contract("C-2024/21", 1, "x"), at(21)).apply(&lab.target).await;
    assert_eq!(lab.text("select count(*)::text from contracts").await, "2");
    make_ready(&lab).await;
    let (green, detail) = gate(&lab).await;
    assert!(green, "{detail}");
    assert_eq!(
        detail,
        "public.contract_no_seq will begin at 22 at least: the highest number seen is 21, of \
         contracts C-2024/21; the tables and the archive go up to 16"
    );
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert_eq!((&*done.sequences[0].name, done.sequences[0].next), ("public.contract_no_seq", 22));
    assert_eq!(next(&lab).await, "22");
}

#[tokio::test]
async fn the_highest_is_written_only_when_it_grows() {
    let lab = lab("").await;
    let version = "select xmin::text from ficus.sequence";
    lab.batch().upsert(C, contract("C-7", 1, "x"), at(10)).apply(&lab.target).await;
    assert_eq!(highest(&lab).await, "7");
    let before = lab.text(version).await;
    let other = lab.another().await;
    for target in [&lab.target, &other] {
        lab.batch()
            .upsert(C, contract("C-7", 1, "x"), at(10))
            .upsert(C, contract("C-3", 1, "x"), at(11))
            .apply(target)
            .await;
    }
    assert_eq!(lab.text(version).await, before, "replays and lower numbers");
    lab.batch().upsert(C, contract("C-8", 1, "x"), at(12)).apply(&other).await;
    lab.batch().upsert(C, contract("C-9", 1, "x"), at(13)).apply(&lab.target).await;
    assert_eq!(highest(&lab).await, "9");
}

#[tokio::test]
async fn a_row_that_goes_to_quarantine_has_given_its_number() {
    let lab = lab("").await;
    let broken =
        with(contract("C-30", 1, "x"), &[("Terms", LegacyValue::BrokenText("\u{fffd}".into()))]);
    lab.batch()
        .upsert(C, broken, at(10))
        // Postgres refuses it.
        .upsert(C, contract("C-31", 2_000_000, "x"), at(11))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.text("select count(*)::text from contracts").await, "0");
    assert_eq!(highest(&lab).await, "31");
}

#[tokio::test]
async fn a_batch_that_is_rolled_back_has_given_nothing() {
    let lab = lab("").await;
    let fenced = target::Checkpoint::Chunk(target::batch::ChunkProgress {
        chunk: 99,
        epoch: 1,
        last_key: None,
        rows: 1,
        done: false,
        high_watermark: None,
    });
    let batch = lab.batch().upsert(C, contract("C-7", 1, "x"), at(10)).checkpoint(fenced).batch;
    lab.target.apply(batch).await.expect_err("nobody's chunk");
    assert_eq!(highest(&lab).await, "none");
    lab.batch().upsert(C, contract("C-5", 1, "x"), at(10)).apply(&lab.target).await;
    assert_eq!(highest(&lab).await, "5", "memory did not believe it either");
}

#[tokio::test]
async fn values_that_nobody_can_read_are_named() {
    let lab = lab("except = 'DRAFT.*'\n").await;
    lab.batch()
        .upsert(C, contract("C-5", 1, "x"), at(10))
        .upsert(C, contract("DRAFT 1", 1, "x"), at(10))
        .upsert(C, contract("2009-17", 1, "x"), at(10))
        .upsert(C, contract("17/B", 1, "x"), at(10))
        .apply(&lab.target)
        .await;
    make_ready(&lab).await;
    let (green, detail) = gate(&lab).await;
    assert!(!green);
    assert_eq!(
        detail,
        "2 values of contracts.number have no number by the pattern, such as those of contracts \
         17/B, 2009-17"
    );
    assert_eq!(red(&lab).await, ["sequences"]);
    let refused = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await;
    assert!(matches!(refused, Err(Error::Gates { .. })));
    assert_eq!(next(&lab).await, "1", "nothing was set");
    lab.target.waive("contracts", "sequences", "", ME).await.expect("waived");
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert_eq!(done.sequences[0].next, 6);
}

#[tokio::test]
async fn a_corrected_value_is_unread_no_more() {
    let mapping = numbered("").replace("contracts.number", "contracts.terms");
    let lab = Lab::of(plan_of(&mapping)).await;
    let unread = "select count(*)::text from ficus.sequence_unread";
    lab.batch().upsert(C, contract("A", 1, "17/B"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, contract("A", 1, "C-9"), at(9)).apply(&lab.target).await;
    assert_eq!(lab.text(unread).await, "1", "an older image says nothing");
    lab.batch().upsert(C, contract("A", 1, "C-4"), at(20)).apply(&lab.target).await;
    assert_eq!(lab.text(unread).await, "0");
    lab.batch().upsert(C, contract("A", 1, "17/B"), at(10)).apply(&lab.target).await;
    assert_eq!(lab.text(unread).await, "1", "a replay, until the rest of it comes");
    lab.batch().upsert(C, contract("A", 1, "C-4"), at(20)).apply(&lab.target).await;
    assert_eq!(lab.text(unread).await, "0");
    assert_eq!(highest(&lab).await, "9");
}

#[tokio::test]
async fn a_sequence_that_postgres_does_not_have_or_that_is_full_is_told() {
    let lab = lab("").await;
    lab.batch().upsert(C, contract("C-5", 1, "x"), at(10)).apply(&lab.target).await;
    make_ready(&lab).await;
    lab.rows("alter sequence contract_no_seq maxvalue 5").await;
    assert_eq!(
        gate(&lab).await,
        (false, "public.contract_no_seq has no number left above 5".into())
    );
    lab.rows("drop sequence contract_no_seq").await;
    let missing = "there is no sequence public.contract_no_seq in Postgres";
    assert_eq!(gate(&lab).await, (false, missing.into()));
}

#[tokio::test]
async fn another_pattern_needs_another_copy() {
    let lab = lab("").await;
    lab.batch().upsert(C, contract("C-2024/5", 1, "x"), at(10)).apply(&lab.target).await;
    make_ready(&lab).await;
    assert!(gate(&lab).await.0);
    // The year was taken for the number.
    let mapping = numbered("").replace("(?:\\d{4}/)?(\\d+)", "(\\d+)/\\d+");
    let settings = target::Settings {
        url: lab.url.clone(),
        role: target::Role::Engine,
        set_role: true,
        max_connections: 2,
    };
    let pool = target::connect(&settings).await.expect("a pool");
    let plan = std::sync::Arc::new(plan_of(&mapping));
    let other = target::Target::open(pool, plan).await.expect("a target");
    let (green, detail) = gate(&lab).await;
    assert!(!green);
    assert_eq!(detail, "public.contract_no_seq is read otherwise by a process of another mapping");
    let lab = Lab { target: std::sync::Arc::new(other), ..lab.share() };
    assert_eq!(
        gate(&lab).await.1,
        "dbo.Contract not copied since the mapping says how public.contract_no_seq is read"
    );
    lab.batch().upsert(C, contract("C-2024/5", 1, "x"), read(30)).apply(&lab.target).await;
    make_green(&lab).await;
    assert!(gate(&lab).await.1.starts_with("public.contract_no_seq will begin at 2025 at least"));
    assert_eq!(highest(&lab).await, "5\n2024", "each definition has its own");
}

#[tokio::test]
async fn a_second_cutover_begins_above_both_sides() {
    let lab = lab("above = 100\nstep = 50\n").await;
    lab.batch().upsert(C, contract("C-5", 1, "x"), at(10)).apply(&lab.target).await;
    make_ready(&lab).await;
    lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert_eq!(next(&lab).await, "150");
    lab.rows(
        "insert into contracts (id, number, version) values (gen_random_uuid(), 'C-2026/170', 0)",
    )
    .await;
    // The legacy side still gives one: the row is only an echo, and its number counts.
    lab.batch().upsert(C, contract("C-201", 1, "x"), at(60)).apply(&lab.target).await;
    lab.target.roll_back(&lab.owner, "contracts", ME).await.expect("rolled back");
    for (from, to) in [
        (State::RolledBack, State::Backfilling),
        (State::Backfilling, State::Following),
        (State::Following, State::Verified),
    ] {
        lab.target.transition("contracts", from, to, ME).await.expect("a step");
    }
    make_green(&lab).await;
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("again");
    assert_eq!(done.sequences[0].next, 250);
    // A sequence that is further is never set back.
    lab.rows("select setval('contract_no_seq', 1000)").await;
    lab.target.roll_back(&lab.owner, "contracts", ME).await.expect("rolled back");
    for (from, to) in [
        (State::RolledBack, State::Backfilling),
        (State::Backfilling, State::Following),
        (State::Following, State::Verified),
    ] {
        lab.target.transition("contracts", from, to, ME).await.expect("a step");
    }
    make_green(&lab).await;
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("again");
    assert_eq!(done.sequences[0].next, 1001);
}

#[tokio::test]
async fn the_numbers_of_archived_rows_count() {
    let mapping = numbered("").replace("\"deleted_at\"", "\"archive\"");
    let lab = Lab::of(plan_of(&mapping)).await;
    lab.rows("create sequence contract_no_seq owned by none").await;
    lab.rows("alter sequence contract_no_seq owner to ficus_owner").await;
    lab.batch().upsert(C, deleted(contract("C-40", 1, "x")), read(10)).apply(&lab.target).await;
    // As if it had been archived before the mapping named the sequence.
    lab.rows("update ficus.sequence set highest = null, highest_entity = null, highest_key = null")
        .await;
    make_ready(&lab).await;
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert_eq!(done.sequences[0].next, 41);
}
