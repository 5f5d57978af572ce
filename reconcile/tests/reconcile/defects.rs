//! Each planted defect is found, exactly, and nothing else is reported.

use std::collections::BTreeMap;

use reconcile::{DifferenceKind, Evidence, Exit, Report, Verdict};

use crate::lab::Lab;

const ROWS: u64 = 4_000;

fn check_accounts(report: &Report) {
    for entity in &report.entities {
        assert!(entity.rows.adds_up(), "{}: {:?}", entity.entity, entity.rows);
        assert_eq!(entity.rows.moved, 0, "{}", entity.entity);
    }
}

/// `(entity, kind, columns)` of every difference, sorted.
fn found(report: &Report) -> Vec<(String, DifferenceKind, Vec<String>)> {
    let mut all: Vec<_> = report
        .entities
        .iter()
        .flat_map(|entity| {
            entity.differences.iter().map(|one| {
                let columns = one.columns.iter().map(|pair| pair.column.clone()).collect();
                (entity.entity.clone(), one.kind, columns)
            })
        })
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_equal_and_every_row_is_accounted_for() {
    let lab = Lab::filled(ROWS).await;
    let report = lab.run(&Lab::settings(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    assert_eq!(report.evidence, Evidence::Marker);
    assert_eq!(report.exit(), Exit::Equal);
    check_accounts(&report);
    let read: u64 = report.entities.iter().map(|entity| entity.rows.read).sum();
    let quarantined: u64 = report.entities.iter().map(|entity| entity.rows.quarantined).sum();
    assert!(read >= ROWS / 2, "{read}");
    assert_eq!(quarantined, u64::try_from(lab.demo.planted.len()).unwrap(), "{}", report.to_text());
    let told = report.to_text();
    for why in [
        "dbo.PermissionPolicyRole.ObjectType (every role is a PermissionPolicyRole;",
        "left out: dbo.ModuleInfo (XAF's record of its own module versions)",
    ] {
        assert!(told.contains(why), "what is left out is told with its reason: {told}");
    }
    println!("{told}");

    let second = lab.run(&Lab::settings(), &["contracts"]).await;
    assert_eq!(second.verdict, Verdict::Equal);
    check_chain(&lab).await;
}

async fn check_chain(lab: &Lab) {
    let mut runs = lab.target.reconcile_runs(10).await.unwrap();
    runs.reverse();
    assert_eq!(runs.len(), 2);
    let mut previous: Option<[u8; 32]> = None;
    for run in &runs {
        assert_eq!(run.state, "equal");
        let hash = reconcile::chain(previous.as_ref(), run.body.as_deref().unwrap());
        assert_eq!(run.hash.as_deref(), Some(&hash[..]));
        previous = Some(hash);
    }
}

/// SQL Server sorts GUIDs and Mongolian text otherwise than Postgres, so two sorted scans side by
/// side would call nearly every row missing here and extra there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_09_rows_that_both_sides_sort_otherwise_are_called_missing() {
    let lab = Lab::filled(ROWS).await;
    for (table, entity, key) in [("dbo.Payment", "payments", 0), ("dbo.Contract", "contracts", 1)] {
        let rows = lab.database.rows(table).unwrap();
        let keys: Vec<String> = rows.iter().map(|row| row[key].to_string()).collect();
        let backwards = keys.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(backwards > 20, "{table} comes in no order of this side: {backwards}");
        let report = lab.run(&Lab::settings(), &[entity]).await;
        assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
        let seen = &report.entities[0];
        assert_eq!(seen.rows.read, u64::try_from(rows.len()).unwrap(), "{table}");
        assert_eq!(
            seen.read_again, seen.rows.quarantined,
            "{table}: one scan of each side is enough"
        );
    }
    let missing = "delete from payments where id in (select id from payments order by id limit 1)";
    assert_eq!(lab.sql(missing).await, 1);
    let report = lab.run(&Lab::settings(), &["payments"]).await;
    let kinds: Vec<DifferenceKind> = found(&report).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, [DifferenceKind::Missing], "one row, and no other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planted_defect_is_found_and_nothing_else() {
    let lab = Lab::filled(ROWS).await;
    let row =
        |offset: u32| format!("(select id from contracts order by id offset {offset} limit 1)");
    let plants = [
        ("monthly_total", "monthly_total = monthly_total + 1"),
        ("signed_on", "signed_on = coalesce(signed_on, now()) + interval '1 hour'"),
        ("contract_no", "contract_no = contract_no || ' '"),
        ("terms", "terms = case when terms = '' then null else '' end"),
        ("status", "status = case status when 'draft' then 'ended' else 'draft' end"),
        ("version", "version = version + 1"),
    ];
    let mut expected = Vec::new();
    for (number, (column, change)) in (10_u32..).step_by(7).zip(plants) {
        let id = row(number);
        assert_eq!(lab.sql(&format!("update contracts set {change} where id = {id}")).await, 1);
        expected.push(("contracts", DifferenceKind::Changed, vec![column]));
    }
    let gone = row(3);
    assert_eq!(lab.sql(&format!("delete from contracts where id = {gone}")).await, 1);
    expected.push(("contracts", DifferenceKind::Missing, vec![]));
    let copied = lab
        .sql(
            "insert into invoices select (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid()))).*
             from invoices i limit 1",
        )
        .await;
    assert_eq!(copied, 1);
    expected.push(("invoices", DifferenceKind::Extra, vec![]));
    swap_parents(&lab).await;
    expected.push(("contract_items", DifferenceKind::Changed, vec!["contract_id"]));
    expected.push(("contract_items", DifferenceKind::Changed, vec!["contract_id"]));
    let owner = "(select id from property_owners order by id offset 2 limit 1)";
    assert_eq!(
        lab.sql(&format!(
            "update property_owners set source_position = source_position, {} where id = {owner}",
            text_change(&lab).await
        ))
        .await,
        1
    );
    let column = text_column(&lab).await;
    expected.push(("property_owners", DifferenceKind::Composed, vec![column.as_str()]));

    let report = lab.run(&Lab::settings(), &[]).await;
    let mut expected: Vec<_> = expected
        .into_iter()
        .map(|(entity, kind, columns)| {
            (entity.to_owned(), kind, columns.into_iter().map(str::to_owned).collect())
        })
        .collect();
    expected.sort();
    assert_eq!(found(&report), expected, "{}", report.to_text());
    assert_eq!(report.exit(), Exit::Different);
    check_accounts(&report);
    let verdicts: BTreeMap<_, _> =
        report.entities.iter().map(|entity| (entity.entity.as_str(), entity.verdict)).collect();
    assert_eq!(verdicts["contracts"], Verdict::Different);
    assert_eq!(verdicts["payments"], Verdict::Equal);
    let wrong = report.entities.iter().filter(|e| e.verdict != Verdict::Equal).count();
    assert_eq!(wrong, 4);
    println!("{}", report.to_text());
}

/// So many of each kind.
const EACH: usize = 13;

/// Each kind of defect that the issue of a migration names, many times over.
const PLANTS: [(&str, &str); 8] = [
    ("missing", "delete from payments where id in (select id from payments order by id limit 13)"),
    (
        "extra",
        "insert into invoices select (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid()))).*
         from invoices i order by i.id limit 13",
    ),
    (
        "one column off",
        "update invoices set due_on = due_on + 1 where id in
         (select id from invoices where due_on is not null order by id offset 50 limit 13)",
    ),
    (
        "wrong key",
        "update payments set id = gen_random_uuid() where id in
         (select id from payments order by id offset 100 limit 13)",
    ),
    (
        "swapped parents",
        "with picked as (select distinct on (contract_id) id, contract_id from contract_items
                       where contract_id is not null order by contract_id, id limit 13),
              turned as (select id, coalesce(lead(contract_id) over (order by contract_id),
                           first_value(contract_id) over (order by contract_id)) as other from picked)
         update contract_items i set contract_id = t.other from turned t where t.id = i.id",
    ),
    (
        "off by one minor unit",
        "update contracts set monthly_total = monthly_total + 1 where id in
         (select id from contracts where monthly_total is not null order by id limit 13)",
    ),
    (
        "shifted hour",
        "update contracts set signed_on = signed_on - interval '1 hour' where id in
         (select id from contracts where signed_on is not null order by id offset 100 limit 13)",
    ),
    (
        "trimmed blank",
        "update contract_items set description = description || ' ' where id in
         (select id from contract_items where description is not null order by id desc limit 13)",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_defects_of_every_kind_are_found_and_no_other() {
    let lab = Lab::filled(ROWS).await;
    for (kind, sql) in PLANTS {
        assert_eq!(usize::try_from(lab.sql(sql).await), Ok(EACH), "{kind}");
    }
    let report = lab.run(&Lab::settings(), &[]).await;
    let mut counts: BTreeMap<(String, DifferenceKind, Vec<String>), usize> = BTreeMap::new();
    for one in found(&report) {
        *counts.entry(one).or_default() += 1;
    }
    let one = |entity: &str, kind, columns: &[&str], count| {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        ((entity.to_owned(), kind, columns), count)
    };
    let expected = BTreeMap::from([
        // A row under another key is missing under its own.
        one("payments", DifferenceKind::Missing, &[], 2 * EACH),
        one("payments", DifferenceKind::Extra, &[], EACH),
        one("invoices", DifferenceKind::Extra, &[], EACH),
        one("invoices", DifferenceKind::Changed, &["due_on"], EACH),
        one("contract_items", DifferenceKind::Changed, &["contract_id"], EACH),
        one("contract_items", DifferenceKind::Changed, &["description"], EACH),
        one("contracts", DifferenceKind::Changed, &["monthly_total"], EACH),
        one("contracts", DifferenceKind::Changed, &["signed_on"], EACH),
    ]);
    assert_eq!(counts, expected, "{}", report.to_text());
    assert!(PLANTS.len() * EACH >= 100);
    check_accounts(&report);
}

/// Two items of different contracts change places.
async fn swap_parents(lab: &Lab) {
    let swapped = lab
        .sql(
            "with a as (select id, contract_id from contract_items where contract_id is not null order by id limit 1),
                  b as (select i.id, i.contract_id from contract_items i, a
                        where i.contract_id <> a.contract_id order by i.id limit 1),
                  both_ids as (select a.id, b.contract_id from a, b union all select b.id, a.contract_id from a, b)
             update contract_items i set contract_id = s.contract_id from both_ids s where i.id = s.id",
        )
        .await;
    assert_eq!(swapped, 2);
}

/// A text column of property owners that may be changed freely.
async fn text_column(lab: &Lab) -> String {
    lab.text(
        "select column_name::text from information_schema.columns
         where table_name = 'property_owners' and data_type = 'text' order by ordinal_position limit 1",
    )
    .await
}

async fn text_change(lab: &Lab) -> String {
    let column = text_column(lab).await;
    format!("{column} = {column} || 'x'")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_delete_is_extra_and_a_lost_insert_is_missing() {
    let lab = Lab::filled(ROWS).await;
    let rows = lab.database.rows("dbo.Payment").unwrap();
    let catalog = lab.database.catalog();
    let table = catalog.tables.iter().find(|table| table.table.name == "Payment").unwrap();
    let key = table.columns.iter().position(|column| column.name == table.primary_key[0]).unwrap();
    let (first, second) = (rows[20].clone(), rows[21].clone());
    // The stream in this test brings nothing.
    lab.database
        .transaction(|transaction| {
            assert!(transaction.delete("dbo.Payment", &[first[key].clone()])?);
            assert!(transaction.delete("dbo.Payment", &[second[key].clone()])?);
            Ok(())
        })
        .unwrap();
    let report = lab.run(&Lab::settings(), &["payments"]).await;
    let kinds: Vec<DifferenceKind> = found(&report).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, [DifferenceKind::Extra, DifferenceKind::Extra], "{}", report.to_text());

    lab.database
        .transaction(|transaction| transaction.insert("dbo.Payment", first.clone()))
        .unwrap();
    lab.sql(
        "delete from payments where id in (select id from payments order by id offset 100 limit 1)",
    )
    .await;
    let report = lab.run(&Lab::settings(), &["payments"]).await;
    let mut kinds: Vec<DifferenceKind> =
        found(&report).into_iter().map(|(_, kind, _)| kind).collect();
    kinds.sort();
    assert_eq!(kinds, [DifferenceKind::Missing, DifferenceKind::Extra], "{}", report.to_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_capture_a_difference_is_read_twice_and_the_report_says_so() {
    let lab = Lab::filled(ROWS).await;
    lab.database.set_cdc_enabled(false);
    assert_eq!(
        lab.sql("update payments set source_position = source_position where false").await,
        0
    );
    let equal = lab.run(&Lab::settings(), &["payments"]).await;
    assert_eq!(equal.verdict, Verdict::Equal);
    lab.sql("delete from payments where id in (select id from payments order by id limit 1)").await;
    let report = lab.run(&Lab::settings(), &["payments"]).await;
    assert_eq!(report.verdict, Verdict::Different);
    assert!(matches!(report.evidence, Evidence::ConfirmedTwice { .. }));
    assert!(report.to_text().contains("WEAKER EVIDENCE"));
}
