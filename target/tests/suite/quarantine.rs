//! What can't be mapped or written: kept, superseded, waited behind, found by halving.

use mapping::value::{Decimal, LegacyValue};
use target::{
    batch::{SourceRow, Sources},
    quarantine::{Filter, PayloadFormat},
};

use crate::lab::{Lab, Values, at, contract, partial, read, short, with};

const C: &str = "Contract";

/// Half a mungo: the mapping refuses it.
fn inexact(values: Values) -> Values {
    let total = LegacyValue::Decimal(Decimal { unscaled: 50, scale: 4 });
    with(values, &[("Total", total)])
}

async fn states(lab: &Lab) -> Vec<String> {
    lab.texts("select rule || ' ' || state from ficus.quarantine order by key, id").await
}

#[tokio::test]
async fn a_newer_complete_image_settles_it() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(5)).apply(&lab.target).await;
    lab.batch().upsert(C, inexact(contract("A", 1, "y")), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, inexact(contract("A", 1, "y")), at(10)).apply(&lab.target).await;
    assert_eq!(states(&lab).await, ["money.inexact open"], "a replay is one entry");
    lab.batch().upsert(C, contract("A", 2, "z"), at(20)).apply(&lab.target).await;
    assert_eq!(states(&lab).await, ["money.inexact superseded"]);
    assert_eq!(lab.contracts().await, ["A|200|z|live|1"]);
    // What comes after something newer is kept, but needs nobody.
    lab.batch().upsert(C, inexact(contract("A", 1, "y")), at(11)).apply(&lab.target).await;
    assert_eq!(states(&lab).await, ["money.inexact superseded", "money.inexact superseded"]);
}

#[tokio::test]
async fn a_partial_image_waits_behind_a_quarantined_one() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "old terms"), at(5)).apply(&lab.target).await;
    lab.batch()
        .upsert(C, inexact(contract("A", 1, "new terms")), at(10))
        .upsert(C, partial("A", 3), at(20))
        .apply(&lab.target)
        .await;
    lab.batch().upsert(C, partial("A", 4), at(30)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|100|old terms|live|1"]);
    // The mapping was corrected, and the change is tried again with its own position: what waited
    // behind it goes on, too.
    let entry = &lab.target.quarantine_list(&filter()).await.expect("entries")[0];
    let again = lab.batch().upsert(C, contract("A", 2, "new terms"), at(10)).batch;
    lab.target.retry(entry.id, again, "me").await.expect("settled");
    assert_eq!(lab.contracts().await, ["A|400|new terms|live|1"]);
    assert!(lab.target.parked_counts().await.expect("parked").is_empty());
}

fn filter() -> Filter {
    Filter { limit: 10, ..Filter::default() }
}

#[derive(Debug)]
struct Messages;

impl Sources for Messages {
    fn source(&self, sequence: u32) -> Option<SourceRow> {
        Some(SourceRow {
            payload: format!("message {sequence}").into_bytes(),
            payload_key: Some(b"key".to_vec()),
            payload_headers: Some(b"[]".to_vec()),
            source: Some(("topic".to_owned(), 3, 100 + i64::from(sequence))),
        })
    }
}

#[tokio::test]
async fn a_row_that_postgres_refuses_is_found_and_the_others_are_written() {
    let lab = Lab::new().await;
    let mut builder = lab.batch();
    for row in 0..100_i64 {
        let total = if row % 33 == 7 { 20_000 } else { row };
        builder = builder.upsert(C, contract(&format!("N{row:02}"), total, "x"), at(10));
    }
    builder.batch.sources = Some(Box::new(Messages));
    builder.apply(&lab.target).await;
    assert_eq!(lab.text("select count(*)::text from contracts").await, "97");
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 100, applied 97, quarantined 3");
    let entries = lab.target.quarantine_list(&filter()).await.expect("entries");
    let sources: Vec<i64> =
        entries.iter().map(|e| e.source.clone().expect("a message").2).collect();
    let mut sorted = sources.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [107, 140, 173]);
    assert_eq!(entries[0].rule, "postgres.23514");
    assert_eq!(entries[0].detail, "Postgres refuses the row: it breaks a check (total_check)");
    let full = lab.target.quarantine_get(entries[0].id).await.expect("the entry");
    assert_eq!(full.format, PayloadFormat::Message);
    assert!(full.payload.starts_with(b"message "));
    lab.batch().upsert(C, contract("N07", 1, "x"), at(11)).apply(&lab.target).await;
    assert_eq!(states(&lab).await.iter().filter(|state| state.ends_with("open")).count(), 2);
}

/// A trigger that is a check in other clothes: the row goes, and its text with its values stays out.
#[tokio::test]
async fn a_row_that_a_trigger_refuses_costs_itself_only() {
    let lab = Lab::new().await;
    let sql = "create function refuse() returns trigger language plpgsql as $$
               begin
                 if new.number = 'N3' then raise exception 'no % here', new.number; end if;
                 if new.number = 'N5' then
                   raise exception 'no % here', new.number using errcode = 'ZZ001';
                 end if;
                 return new;
               end $$;
               create trigger refuse before insert on contracts
               for each row execute function refuse()";
    sqlx::raw_sql(sql).execute(&lab.admin).await.expect("a trigger");
    let mut builder = lab.batch();
    for row in 0..8 {
        builder = builder.upsert(C, contract(&format!("N{row}"), 1, "x"), at(10));
    }
    builder.apply(&lab.target).await;
    assert_eq!(lab.text("select count(*)::text from contracts").await, "6");
    assert_eq!(states(&lab).await, ["postgres.P0001 open", "postgres.ZZ001 open"]);
    let details = lab.texts("select distinct detail from ficus.quarantine").await;
    assert_eq!(details, ["Postgres refuses the row: a trigger of the table refuses it"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 8, applied 6, quarantined 2");
}

#[tokio::test]
async fn a_refused_image_does_not_take_a_good_one_with_it() {
    let lab = Lab::new().await;
    let three = || {
        lab.batch()
            .upsert(C, contract("A", 1, "x"), at(10))
            .upsert(C, partial("A", 20_000), at(20))
            .upsert(C, partial("A", 3), at(30))
    };
    // What the last image overwrites nobody has to refuse …
    let other = Lab::new().await;
    three().apply(&other.target).await;
    assert_eq!(other.contracts().await, ["A|300|x|live|1"]);
    // … but when rows are tried one by one, 20 is refused, and 30 waits: its LOBs are those of 20.
    three().upsert(C, contract("C", 20_000, "x"), at(10)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|100|x|live|1"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 4, applied 1, quarantined 3");
    lab.batch().upsert(C, contract("A", 2, "y"), read(25)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|300|y|live|1"]);
    assert_eq!(states(&lab).await, ["postgres.23514 superseded", "postgres.23514 open"]);
}

#[tokio::test]
async fn a_flood_stops_and_writes_nothing() {
    let lab = Lab::new().await;
    let mut builder = lab.batch();
    for row in 0..300 {
        builder = builder.upsert(C, contract(&format!("N{row}"), 20_000, "x"), at(10));
    }
    let error = lab.target.apply(builder.batch).await.expect_err("a flood");
    assert!(matches!(error, target::Error::Flood { .. }), "{error}");
    assert_eq!(error.disposition(), target::Disposition::Stop);
    assert!(lab.contracts().await.is_empty());
    assert!(states(&lab).await.is_empty());
}

#[tokio::test]
async fn a_refused_row_of_an_entity_with_parts() {
    let lab = Lab::new().await;
    lab.rows("alter table tenants add constraint credit_check check (credit < 10)").await;
    let int = LegacyValue::Int;
    let party = |oid| {
        let name = crate::lab::text("Bat");
        vec![
            ("OID", int(oid)),
            ("Name", name.clone()),
            ("Note", name),
            ("ObjectType", int(1)),
            ("OptimisticLockField", int(1)),
        ]
    };
    let mut builder = lab.batch();
    for oid in 0..5 {
        builder = builder.upsert("Party", party(oid), at(10)).upsert(
            "Tenant",
            vec![("OID", int(oid)), ("Credit", int(oid * 4))],
            at(10),
        );
    }
    builder.apply(&lab.target).await;
    assert_eq!(lab.text("select count(*)::text from tenants").await, "3");
    assert_eq!(
        short(&lab.counts("dbo.Tenant", "repair").await),
        "read 5, applied 3, quarantined 2"
    );
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 5, applied 3, quarantined 2");
    lab.batch()
        .upsert("Party", party(4), at(20))
        .upsert("Tenant", vec![("OID", int(4)), ("Credit", int(1))], at(20))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.text("select count(*)::text from tenants").await, "4");
    assert_eq!(
        lab.text("select count(*)::text from ficus.quarantine where state = 'superseded'").await,
        "2"
    );
}

#[tokio::test]
async fn discarding_needs_a_reason_and_is_written_down() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, inexact(contract("A", 1, "y")), at(10)).apply(&lab.target).await;
    let id = lab.target.quarantine_list(&filter()).await.expect("entries")[0].id;
    assert!(lab.target.quarantine_discard(id, "me", " ").await.is_err());
    lab.target.quarantine_discard(id, "me", "a test row").await.expect("discarded");
    assert!(lab.target.quarantine_discard(id, "me", "again").await.is_err());
    assert_eq!(
        lab.text("select actor || ' ' || action || ' ' || (detail->>'reason') from ficus.audit")
            .await,
        "me quarantine.discarded a test row"
    );
}
