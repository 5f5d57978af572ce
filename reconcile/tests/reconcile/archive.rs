//! Entities whose soft-deleted rows are in the archive: their table must not have them.

use reconcile::{DifferenceKind, Verdict};

use crate::lab::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_rows_are_expected_to_be_away() {
    let archive = |text: String| text.replace("\"deleted_at\"", "\"archive\"");
    let lab = Lab::filled_with(2_000, &archive, ("", None)).await;
    let report = lab.run(&Lab::settings(), &[]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    let text = report.to_text();
    assert!(text.contains("(soft-deleted rows)"), "{text}");
    // Of one table, and of several that are composed.
    for entity in ["invoices", "tenants"] {
        let away = lab
            .text(&format!(
                "select count(*)::text from ficus.archive a join ficus.entity e on e.id = a.entity
                 where e.name = '{entity}' and a.state = 'archived'"
            ))
            .await;
        assert_ne!(away, "0", "the demo has deleted {entity}");
        let put_back = lab
            .sql(&format!(
                "insert into {entity} select r.* from ficus.archive a
                 join ficus.entity e on e.id = a.entity and e.name = '{entity}'
                 cross join lateral jsonb_populate_record(null::{entity},
                   a.row || jsonb_build_object('source_position', a.position)) r
                 where a.state = 'archived' order by a.id limit 1"
            ))
            .await;
        assert_eq!(put_back, 1);
    }
    let report = lab.run(&Lab::settings(), &["invoices", "tenants"]).await;
    let found: Vec<_> = report
        .entities
        .iter()
        .flat_map(|entity| entity.differences.iter().map(|one| (&*entity.entity, one.kind)))
        .collect();
    let mut wanted =
        vec![("invoices", DifferenceKind::Extra), ("tenants", DifferenceKind::Composed)];
    wanted.sort();
    let mut found = found;
    found.sort();
    assert_eq!(found, wanted, "{}", report.to_text());
}
