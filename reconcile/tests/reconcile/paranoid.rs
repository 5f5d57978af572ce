//! Mistakes of the mapping's code are on both sides, so the comparison proper can't see them. They
//! are planted here as what they do: both sides are mapped by a mutant, and the independent check
//! reads the true files.

use std::sync::Arc;

use mapping::file::MappingFile;
use reconcile::{Settings, Verdict, paranoid::Rules};

use crate::{lab::Lab, racing::Payment};

fn settings(rows: u64) -> Settings {
    let rules = Arc::new(Rules::read(&spacehub::mappings()));
    Settings { independent: Some((rules, rows)), ..Lab::settings() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_two_comparisons_agree_on_the_true_mapping() {
    let lab = Lab::filled(4_000).await;
    let report = lab.run(&settings(1_000_000), &[]).await;
    let check = report.independent.as_ref().unwrap();
    assert_eq!(check.disagreements, 0, "{:#?}", check.examples);
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    let equal: u64 = report.entities.iter().map(|entity| entity.rows.equal).sum();
    // Rows that are gone and legacy rows of several tables aside, it saw them all.
    assert!(check.rows > equal / 2 && check.values > check.rows * 3, "{check:?}");
    let not_covered: Vec<&str> = check.not_covered.iter().map(|one| &*one.column).collect();
    assert_eq!(not_covered, ["files.content"], "{not_covered:?}");
    let text = report.to_text();
    assert!(text.contains("independent check"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_soft_delete_took_from_the_legacy_row_is_not_missed() {
    let lab = Lab::filled(1_000).await;
    let kept = "select count(*)::text from payments where deleted_at is not null
                and coalesce(tenant_id, property_owner_id) is not null";
    assert_eq!(lab.text(kept).await, "0");
    let payment = Payment::nth(&lab, 20);
    payment.soft_delete();
    payment.read_again().await;
    assert_eq!(lab.text(kept).await, "1", "the target keeps the payer");
    let report = lab.run(&settings(1_000_000), &["payments"]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_capture_only_what_is_seen_twice_counts() {
    let lab = Lab::filled_by(1_000, mutated(&MUTANTS[0])).await;
    lab.database.set_cdc_enabled(false);
    let report = lab.run(&settings(1_000_000), &["contracts"]).await;
    let check = report.independent.as_ref().unwrap();
    assert!(check.disagreements > 0 && check.rows > 0, "{check:?}");
    assert_eq!(report.verdict, Verdict::Different);
}

/// What a mutant changes, and the column that must give it away.
struct Mutant {
    name: &'static str,
    file: &'static str,
    changes: &'static [(&'static str, &'static str)],
    column: &'static str,
}

const MUTANTS: [Mutant; 8] = [
    Mutant {
        name: "a minor unit too many",
        file: "contracts",
        changes: &[(
            "\"MonthlyTotal\", as = \"money\", currency = \"MNT\", digits = 2",
            "\"MonthlyTotal\", as = \"money\", currency = \"MNT\", digits = 3",
        )],
        column: "contracts.monthly_total",
    },
    Mutant {
        name: "an hour too early",
        file: "contracts",
        changes: &[("zone = \"Asia/Ulaanbaatar\"", "zone = \"Asia/Tokyo\"")],
        column: "contracts.signed_on",
    },
    Mutant {
        name: "two words of an enum change places",
        file: "contracts",
        changes: &[("1 = \"active\", 2 = \"suspended\"", "1 = \"suspended\", 2 = \"active\"")],
        column: "contracts.status",
    },
    Mutant {
        name: "two columns change places",
        file: "contracts",
        changes: &[
            ("from = \"StartDate\"", "from = \"(the other)\""),
            ("from = \"EndDate\"", "from = \"StartDate\""),
            ("from = \"(the other)\"", "from = \"EndDate\""),
        ],
        column: "contracts.start_date",
    },
    Mutant {
        name: "an empty text is kept",
        file: "contracts",
        changes: &[(
            "\"CurrencyCode\", as = \"text\", trim = \"both\", empty = \"null\"",
            "\"CurrencyCode\", as = \"text\", trim = \"both\", empty = \"keep\"",
        )],
        column: "contracts.currency",
    },
    Mutant {
        name: "blanks at the end are kept",
        file: "contracts",
        changes: &[(
            "\"CurrencyCode\", as = \"text\", trim = \"both\"",
            "\"CurrencyCode\", as = \"text\", trim = \"none\"",
        )],
        column: "contracts.currency",
    },
    Mutant {
        name: "a sentinel is taken for a day",
        file: "contracts",
        changes: &[(
            "time = \"midnight\", sentinels = { \"1753-01-01\" = \"null\", \"9999-12-31\" = \"null\" } }\nstatus",
            "time = \"midnight\" }\nstatus",
        )],
        column: "contracts.end_date",
    },
    Mutant {
        name: "NULL becomes another default",
        file: "contracts",
        changes: &[("empty = \"null\", default = \"MNT\"", "empty = \"null\", default = \"USD\"")],
        column: "contracts.currency",
    },
];

fn mutated(mutant: &Mutant) -> Vec<MappingFile> {
    let mut files = spacehub::mappings();
    let file = files.iter_mut().find(|file| file.name.contains(mutant.file)).unwrap();
    for (from, to) in mutant.changes {
        assert!(file.text.contains(from), "{}: {from}", mutant.name);
        file.text = file.text.replace(from, to);
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_on_both_sides_alike_is_found_and_named() {
    for mutant in &MUTANTS {
        let lab = Lab::filled_by(1_000, mutated(mutant)).await;
        let names = [mutant.column.split('.').next().unwrap()];
        let blind = lab.run(&Lab::settings(), &names).await;
        assert_eq!(blind.verdict, Verdict::Equal, "{}: {}", mutant.name, blind.to_text());
        let report = lab.run(&settings(1_000_000), &names).await;
        let check = report.independent.as_ref().unwrap();
        let found: std::collections::BTreeSet<String> = check
            .examples
            .iter()
            .flat_map(|row| {
                let entity = row.part.clone().unwrap();
                row.columns.iter().map(move |pair| format!("{entity}.{}", pair.column))
            })
            .collect();
        assert!(found.contains(mutant.column), "{}: {found:?}", mutant.name);
        let others = found.iter().filter(|column| !column.ends_with("_date"));
        assert!(others.count() <= 1, "{}: {found:?}", mutant.name);
        assert_eq!(report.verdict, Verdict::Different, "{}", mutant.name);
        let text = report.to_text();
        assert!(text.contains("INDEPENDENT CHECK"), "{}: {text}", mutant.name);
    }
}
