//! `soft_delete = "archive"`: the row leaves its table, whole, and comes back.

use mapping::value::LegacyValue::{self, Int, Unchanged};

use crate::lab::{
    Builder, Lab, MAPPING, Values, at, contract, deleted, partial, plan_of, read, short, text, with,
};

const C: &str = "Contract";

async fn lab() -> Lab {
    Lab::of(plan_of(&MAPPING.replace("\"deleted_at\"", "\"archive\""))).await
}

/// A soft delete as the stream brings it: the LOBs are not in it, the references are cleared.
fn gone(number: &str, total: i64) -> Values {
    deleted(partial(number, total))
}

/// `state number|total|terms|tenant` of each entry, in the order in which they were made.
async fn archive(lab: &Lab) -> Vec<String> {
    lab.texts(
        "select state || ' ' || concat_ws('|', row->>'number', row->>'total', row->>'terms',
           case when row->>'tenant_id' is null then 'no tenant' else 'tenant' end, row->>'version')
         from ficus.archive order by id",
    )
    .await
}

#[tokio::test]
async fn trap_03_a_soft_deleted_row_leaves_its_table_with_its_references() {
    let lab = lab().await;
    lab.batch().upsert(C, contract("A", 1, "terms"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, gone("A", 2), at(20)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty());
    assert_eq!(archive(&lab).await, ["archived A|200|terms|tenant|2"]);
    let entry = lab
        .text(
            "select concat_ws('|', a.row_id = k.id, a.key = k.key, a.position = t.position,
               e.name, a.row ? 'source_position', a.row->>'id' = k.id::text)
             from ficus.archive a join ficus.key_map k on k.id = a.row_id
             join ficus.tombstone t on t.id = a.row_id join ficus.entity e on e.id = a.entity",
        )
        .await;
    assert_eq!(entry, "t|t|t|contracts|f|t");
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 2, applied 2");
}

#[tokio::test]
async fn replays_and_stale_copies_change_nothing() {
    let lab = lab().await;
    for _ in 0..3 {
        lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
        lab.batch().upsert(C, gone("A", 1), at(20)).apply(&lab.target).await;
        lab.batch().upsert(C, contract("A", 1, "x"), read(15)).apply(&lab.target).await;
        lab.batch().upsert(C, deleted(contract("A", 9, "old")), read(12)).apply(&lab.target).await;
    }
    assert!(lab.contracts().await.is_empty());
    assert_eq!(archive(&lab).await, ["archived A|100|x|tenant|2"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 12, applied 2, stale 10");
    // The copy after it shows the same row again.
    lab.batch().upsert(C, deleted(contract("A", 1, "x")), read(30)).apply(&lab.target).await;
    assert_eq!(archive(&lab).await, ["archived A|100|x|tenant|2"]);
}

#[tokio::test]
async fn a_row_that_was_deleted_years_ago_is_kept_as_it_is() {
    let lab = lab().await;
    lab.batch()
        .upsert(C, deleted(contract("A", 1, "x")), read(10))
        .upsert(C, contract("B", 2, "y"), read(10))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["B|200|y|live|1"]);
    assert_eq!(archive(&lab).await, ["archived A|100|x|no tenant|2"]);
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 2, applied 2");
    // And again, with a column that somebody corrected meanwhile.
    lab.batch().upsert(C, deleted(contract("A", 5, "x")), read(20)).apply(&lab.target).await;
    assert_eq!(archive(&lab).await, ["archived A|500|x|no tenant|2"]);
}

#[tokio::test]
async fn trap_03_an_undelete_brings_the_row_back() {
    let lab = lab().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, gone("A", 1), at(20)).apply(&lab.target).await;
    lab.batch().upsert(C, contract("A", 3, "x"), at(30)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|300|x|live|1"]);
    assert_eq!(archive(&lab).await, ["restored A|100|x|tenant|2"]);
    lab.batch().upsert(C, gone("A", 1), at(20)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|300|x|live|1"], "a replay");
    lab.batch().upsert(C, gone("A", 4), at(40)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty());
    assert_eq!(
        archive(&lab).await,
        ["restored A|100|x|tenant|2", "archived A|400|x|tenant|2"],
        "each time that it went is history"
    );
}

#[tokio::test]
async fn trap_10_an_undelete_without_its_lobs_finds_them_in_the_archive() {
    let lab = lab().await;
    let photo = LegacyValue::Bytes(vec![0, 1, 255].into());
    let row = with(contract("A", 1, "x\\\"y"), &[("Photo", photo)]);
    lab.batch().upsert(C, row, at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, gone("A", 1), at(20)).apply(&lab.target).await;
    let back = with(partial("A", 3), &[("Tenant", LegacyValue::Null)]);
    lab.batch().upsert(C, back, at(30)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|300|x\\\"y|live|1"]);
    assert_eq!(lab.text("select encode(photo, 'hex') from contracts").await, "0001ff");
    assert_eq!(
        lab.text("select (tenant_id is null)::text from contracts").await,
        "true",
        "the legacy row has no tenant any more"
    );
    assert_eq!(archive(&lab).await, ["restored A|100|x\\\"y|tenant|2"]);
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 3, applied 3");
}

#[tokio::test]
async fn one_batch_makes_the_same_history_as_many() {
    let steps: [fn(Builder) -> Builder; 5] = [
        |b| b.upsert(C, contract("A", 1, "x"), at(10)),
        |b| b.upsert(C, gone("A", 1), at(20)),
        |b| b.upsert(C, partial("A", 3), at(30)),
        |b| b.upsert(C, gone("A", 4), at(40)),
        |b| b.upsert(C, contract("A", 5, "y"), at(50)),
    ];
    let mut seen = Vec::new();
    for size in [1, 2, 5] {
        let lab = lab().await;
        for steps in steps.chunks(size) {
            let batch = steps.iter().fold(lab.batch(), |builder, step| step(builder));
            batch.apply(&lab.target).await;
        }
        assert_eq!(lab.contracts().await, ["A|500|y|live|1"]);
        seen.push(archive(&lab).await);
    }
    let wanted = ["restored A|100|x|tenant|2", "restored A|400|x|tenant|2"];
    assert_eq!(seen, [wanted, wanted, wanted]);
}

#[tokio::test]
async fn a_soft_delete_without_its_lobs_waits_for_its_row() {
    let lab = lab().await;
    lab.batch().upsert(C, gone("A", 2), at(20)).apply(&lab.target).await;
    assert!(archive(&lab).await.is_empty());
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 1, quarantined 1");
    // The copy read the row before, or after.
    for low in [15, 25] {
        let lab = self::lab().await;
        lab.batch().upsert(C, partial("A", 1), at(19)).apply(&lab.target).await;
        lab.batch().upsert(C, gone("A", 2), at(20)).apply(&lab.target).await;
        let row = contract("A", 2, "x");
        let row = if low > 20 { deleted(row) } else { row };
        lab.batch().upsert(C, row, read(low)).apply(&lab.target).await;
        assert!(lab.contracts().await.is_empty());
        let entries = archive(&lab).await;
        assert!(entries[0].starts_with("archived A|200|x|"), "{low}: {entries:?}");
        assert_eq!(entries.len(), 1);
        assert!(lab.target.parked_counts().await.expect("parked").is_empty(), "{low}");
    }
}

#[tokio::test]
async fn a_purge_ends_the_entry_and_a_new_row_of_the_same_key_is_no_undelete() {
    let lab = lab().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, gone("A", 1), at(20)).apply(&lab.target).await;
    lab.batch().delete(C, contract("A", 1, "x"), at(30)).apply(&lab.target).await;
    assert_eq!(archive(&lab).await, ["purged A|100|x|tenant|2"]);
    lab.batch().upsert(C, contract("A", 7, "new"), at(40)).apply(&lab.target).await;
    lab.batch().delete(C, contract("A", 1, "x"), at(30)).apply(&lab.target).await;
    assert_eq!(archive(&lab).await, ["purged A|100|x|tenant|2"]);
    assert_eq!(lab.contracts().await, ["A|700|new|live|1"]);
}

fn party(oid: i64, name: &str) -> Values {
    vec![
        ("OID", Int(oid)),
        ("Name", text(name)),
        ("Note", text("n")),
        ("OptimisticLockField", Int(1)),
        ("ObjectType", Int(1)),
    ]
}

fn tenant(oid: i64, credit: i64) -> Values {
    vec![("OID", Int(oid)), ("Credit", Int(credit))]
}

async fn tenants(lab: &Lab) -> Vec<String> {
    lab.texts("select concat_ws('|', name, note, credit, version) from tenants order by name").await
}

async fn archived_tenants(lab: &Lab) -> Vec<String> {
    lab.texts(
        "select state || ' ' || concat_ws('|', row->>'name', row->>'note', row->>'credit',
           row->>'version') from ficus.archive order by id",
    )
    .await
}

#[tokio::test]
async fn trap_01_the_root_takes_the_whole_row_away_and_brings_it_back() {
    let lab = lab().await;
    lab.batch()
        .upsert("Party", party(1, "Bat"), at(10))
        .upsert("Tenant", tenant(1, 5), at(10))
        .apply(&lab.target)
        .await;
    let lost = [("Note", Unchanged), ("OptimisticLockField", Int(2))];
    let gone = with(with(party(1, "Bat"), &lost), &[("GCRecord", Int(5))]);
    lab.batch().upsert("Party", gone.clone(), at(20)).apply(&lab.target).await;
    assert!(tenants(&lab).await.is_empty());
    assert_eq!(archived_tenants(&lab).await, ["archived Bat|n|5|2"]);
    // The leaf knows nothing of it.
    lab.batch().upsert("Tenant", tenant(1, 8), at(21)).apply(&lab.target).await;
    assert!(tenants(&lab).await.is_empty());
    assert_eq!(archived_tenants(&lab).await, ["archived Bat|n|8|2"]);
    lab.batch().upsert("Party", gone, at(20)).apply(&lab.target).await;
    assert_eq!(archived_tenants(&lab).await, ["archived Bat|n|8|2"], "a replay");
    let back = with(party(1, "Bat"), &[("Note", Unchanged), ("OptimisticLockField", Int(3))]);
    lab.batch().upsert("Party", back, at(30)).apply(&lab.target).await;
    assert_eq!(tenants(&lab).await, ["Bat|n|8|3"]);
    assert_eq!(archived_tenants(&lab).await, ["restored Bat|n|8|2"]);
}

#[tokio::test]
async fn the_parts_of_a_row_that_was_deleted_years_ago_come_in_any_order() {
    let gone = with(party(1, "Bat"), &[("GCRecord", Int(5))]);
    let steps: [&dyn Fn(Builder) -> Builder; 2] =
        [&|b| b.upsert("Party", gone.clone(), read(10)), &|b| {
            b.upsert("Tenant", tenant(1, 5), read(12))
        }];
    for order in [[0, 1], [1, 0]] {
        let lab = lab().await;
        for step in order {
            steps[step](lab.batch()).apply(&lab.target).await;
        }
        assert!(tenants(&lab).await.is_empty());
        assert_eq!(archived_tenants(&lab).await, ["archived Bat|n|5|1"], "{order:?}");
        lab.batch().delete("Tenant", tenant(1, 5), at(30)).apply(&lab.target).await;
        assert_eq!(archived_tenants(&lab).await, ["purged Bat|n|5|1"]);
    }
}

#[tokio::test]
async fn the_archive_is_for_reports_and_not_for_the_api() {
    let lab = lab().await;
    let may = |role: &str, right: &str| {
        let sql = format!("select has_table_privilege('{role}', 'ficus.archive', '{right}')::text");
        let lab = lab.share();
        async move { lab.text(&sql).await }
    };
    assert_eq!(may("ficus_reader", "select").await, "true");
    assert_eq!(may("ficus_reader", "insert, update, delete").await, "false");
    assert_eq!(may("ficus_engine", "insert").await, "true");
    assert_eq!(may("ficus_engine", "delete").await, "false");
    assert_eq!(may("ficus_api", "select, insert, update, delete").await, "false");
}

/// What Postgres has no room for is one row's matter: of the archive, of an index, of a page.
#[tokio::test]
async fn a_row_that_is_too_large_for_postgres_stops_nobody() {
    let lab = lab().await;
    lab.rows("create index terms_idx on contracts (terms)").await;
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        char::from(b'a' + u8::try_from(state >> 16 & 15).expect("small"))
    };
    let noise: String = (0..20_000).map(|_| letter()).collect();
    lab.batch()
        .upsert(C, contract("A", 1, "x"), at(10))
        .upsert(C, contract("B", 1, &noise), at(11))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|100|x|live|1"]);
    assert_eq!(lab.text("select rule from ficus.quarantine").await, "postgres.54000");
}
