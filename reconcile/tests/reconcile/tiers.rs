//! A sample sees what it looks at, exactly, and claims no more.

use reconcile::{DifferenceKind, Evidence, Settings, Tier, Verdict};

use crate::lab::Lab;

fn of(share: u32) -> Settings {
    Settings { sample: Some(share), ..Lab::settings() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_of_equal_sides_sees_nothing_and_verifies_nothing() {
    let lab = Lab::filled(4_000).await;
    let report = lab.run(&of(500), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    assert_eq!(report.evidence, Evidence::Marker);
    let Tier::Sample { share: 500, rows } = report.tier else { panic!("{:?}", report.tier) };
    let all = lab.run(&Lab::settings(), &["payments"]).await;
    assert!(rows > 500 && rows < 4_000, "{rows}");
    for entity in &report.entities {
        assert!(entity.rows.adds_up() && entity.rows.moved == 0, "{:?}", entity.rows);
        assert!(entity.rows.read > 0, "{} was not looked at", entity.entity);
    }
    assert!(report.to_text().contains("with a probability of 95 %"), "{}", report.to_text());
    let judged = "select count(*)::text from ficus.reconcile_verdict v join ficus.reconcile_run r on r.id = v.run";
    let full = all.entities.len().to_string();
    assert_eq!(lab.text(judged).await, full, "a gate takes verdicts of full runs only");
    let tiers = "select string_agg(tier, ' ' order by id) from ficus.reconcile_run";
    assert_eq!(lab.text(tiers).await, "sample full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_finds_its_share_of_defects_and_the_whole_all() {
    let lab = Lab::filled(4_000).await;
    let changed = lab
        .sql("update payments set amount = amount + 1 where get_byte(uuid_send(id), 15) < 128")
        .await;
    let gone = lab.sql("delete from invoice_lines where get_byte(uuid_send(id), 15) < 20").await;
    let extra = lab
        .sql(
            "insert into invoices select (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid()))).*
             from invoices i limit 40",
        )
        .await;
    let report = lab.run(&of(10_000), &[]).await;
    let count = |report: &reconcile::Report, kind| {
        let all = report.entities.iter().flat_map(|entity| &entity.differences);
        u64::try_from(all.filter(|one| one.kind == kind).count()).unwrap()
    };
    assert_eq!(count(&report, DifferenceKind::Changed), changed, "{}", report.to_text());
    assert_eq!(count(&report, DifferenceKind::Missing), gone);
    assert_eq!(count(&report, DifferenceKind::Extra), extra);

    let report = lab.run(&of(2_000), &[]).await;
    assert_eq!(report.verdict, Verdict::Different, "{}", report.to_text());
    for (kind, all) in [
        (DifferenceKind::Changed, changed),
        (DifferenceKind::Missing, gone),
        (DifferenceKind::Extra, extra),
    ] {
        let seen = count(&report, kind);
        assert!(seen > 0 && seen < all, "{kind:?}: {seen} of {all}");
    }
    let different = report.entities.iter().filter(|one| one.verdict == Verdict::Different);
    let names: Vec<&str> = different.map(|entity| entity.entity.as_str()).collect();
    assert_eq!(names, ["invoices", "invoice_lines", "payments"]);
}
