//! Reports as people see them, made of values that nobody should trust.

use super::*;

const EVIL: &str = "<script>alert('x')</script>&\"\u{1}";

fn difference(kind: DifferenceKind, tampered: bool) -> Difference {
    let pair = |column: &str| ValuePair {
        column: column.to_owned(),
        legacy: Some(EVIL.to_owned()),
        target: None,
    };
    Difference {
        kind,
        part: Some(EVIL.to_owned()),
        key: Some(EVIL.to_owned()),
        id: Some("0198".to_owned()),
        position: Some("p".to_owned()),
        low: Some("l".to_owned()),
        columns: vec![pair("amount"), pair(EVIL)],
        tampered,
        hint: EVIL.to_owned(),
    }
}

fn entity(verdict: Verdict) -> EntityReport {
    EntityReport {
        entity: EVIL.to_owned(),
        domain: EVIL.to_owned(),
        table: EVIL.to_owned(),
        verdict,
        rows: RowCounts { read: 1_000, equal: 990, changed: 10, ..RowCounts::default() },
        ignored: vec![Count { name: EVIL.to_owned(), rows: 2 }],
        target_rows: 1_000,
        extra: 0,
        extra_in_flight: 0,
        incomplete: 0,
        composed_wrong: 0,
        tampered: 1,
        later: 0,
        read_again: 12,
        columns: BTreeMap::from([("amount".to_owned(), 10), (EVIL.to_owned(), 5)]),
        differences: vec![
            difference(DifferenceKind::Changed, true),
            difference(DifferenceKind::Missing, false),
        ],
        not_compared: vec![LeftOut { column: EVIL.to_owned(), reason: EVIL.to_owned() }],
        notes: vec![EVIL.to_owned()],
    }
}

fn report(verdict: Verdict) -> Report {
    Report {
        run: "0198".to_owned(),
        verdict,
        evidence: Evidence::ConfirmedTwice { reason: EVIL.to_owned() },
        tier: Tier::Full,
        resumed: None,
        independent: None,
        low: Some("00000027:00000758:0005".to_owned()),
        marker: None,
        started_at: "2026-01-02T03:04:05.000Z".to_owned(),
        finished_at: "2026-01-02T03:04:06.000Z".to_owned(),
        passes: 2,
        legacy_scan_ms: 1_234,
        target_scan_ms: 99,
        database: EVIL.to_owned(),
        mapping_version: EVIL.to_owned(),
        domains: vec![DomainReport {
            domain: EVIL.to_owned(),
            verdict,
            whole: true,
            state: "cut_over".to_owned(),
        }],
        entities: vec![entity(verdict)],
        left_out: vec![LeftOut { column: EVIL.to_owned(), reason: EVIL.to_owned() }],
    }
}

fn around() -> Around {
    let point = |number: i64, different: u64| TrendPoint {
        number,
        at: "2026-01-02T03:04:05Z".to_owned(),
        verdict: (number != 3).then_some(Verdict::Different),
        different,
        in_flight: 0,
    };
    Around {
        number: Some(4),
        hashes: Some(([1; 32], Some([2; 32]))),
        trend: vec![point(1, 0), point(2, u64::MAX), point(3, 0), point(4, 10)],
        stale: Some("2 d 3 h".to_owned()),
    }
}

#[test]
fn the_page_escapes_what_it_shows_and_needs_nothing_else() {
    let page = report(Verdict::Different).to_html(&around());
    assert!(!page.contains("<script"), "the page has no script of its own");
    assert!(!page.contains("alert('x')"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}"));
    for outside in ["http://", "https://", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for tag in [
        "details", "summary", "table", "section", "ul", "li", "tr", "td", "th", "p", "div", "dl",
        "dt", "dd", "svg", "g", "figure", "header", "main", "span", "text",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_page_tells_the_verdict_first_and_what_it_rests_on() {
    for (verdict, headline) in [
        (Verdict::Equal, "Both sides agree"),
        (Verdict::InFlight, "Not decided"),
        (Verdict::Different, "The two sides differ"),
    ] {
        let page = report(verdict).to_html(&around());
        assert!(page.contains(&format!("<h1>{headline}</h1>")), "{headline}");
    }
    let page = report(Verdict::Different).to_html(&around());
    for told in [
        "Weaker evidence",
        "Tampering",
        "1 row was changed in the target by somebody",
        "is cut over",
        "the verdict is 2 d 3 h old",
        "00000027:00000758:0005",
        &"01".repeat(32),
        &"02".repeat(32),
        "10 rows",
        "run 3, 2026-01-02T03:04:05Z: no verdict",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let mut wrong = report(Verdict::Equal);
    wrong.add_independent(Independent {
        rows: 10,
        values: 40,
        disagreements: 2,
        entities: BTreeMap::from([(EVIL.to_owned(), 2)]),
        examples: vec![difference(DifferenceKind::Changed, false)],
        not_covered: vec![],
    });
    assert_eq!(wrong.verdict, Verdict::Different, "what means something else is not equal");
    assert!(wrong.to_html(&around()).contains("2 rows mean something else by rules"));
    let mut sample = report(Verdict::Equal);
    sample.tier = Tier::Sample { share: 100, rows: 3_000 };
    let page = sample.to_html(&Around::default());
    assert!(page.contains("<h1>No difference was seen</h1>"), "a sample proves less");
    assert!(page.contains("0.1000 %") && !page.contains("<svg"));
}

#[test]
fn a_stored_report_is_read_again_as_it_was() {
    let report = report(Verdict::Different);
    let read: Report = serde_json::from_str(&report.canonical_json().unwrap()).unwrap();
    assert_eq!(read, report);
    assert_eq!(read.canonical_json().unwrap(), report.canonical_json().unwrap());
}

#[test]
fn the_csv_has_a_line_for_each_column_that_differs() {
    let csv = report(Verdict::Different).to_csv();
    assert_eq!(csv.lines().count(), 1 + 4);
    assert!(csv.lines().nth(1).unwrap().contains(",changed,yes,"), "{csv}");
}
