//! The report, as people see it.

use assess::{
    assessment::{Assessment, TableAssessment},
    report,
};

use crate::setup::{assess, clock, job, start};

async fn small() -> Assessment {
    let legacy = start(500, 7).await;
    let mut job = job(&legacy.url());
    job.clock = clock();
    let mut assessment = assess(&job).await;
    assessment.taken_at = "2026-01-02T03:04:05Z".to_owned();
    assessment.cdc.max_lsn = Some("00000027:00000758:0005".to_owned());
    assessment
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_report_is_as_agreed() {
    let text = report::text(&small().await, 100);
    insta::assert_snapshot!(text);
    let is_wide = |line: &&str| line.chars().count() > 100 && !line.contains("      > ");
    assert_eq!(text.lines().find(is_wide), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assessment_is_the_same_after_a_file() {
    let assessment = small().await;
    let json = serde_json::to_string(&assessment).expect("JSON");
    let read: Assessment = serde_json::from_str(&json).expect("an assessment");
    assert_eq!(read, assessment);
    assert_eq!(report::text(&read, 80), report::text(&assessment, 80));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_escapes_what_it_shows_and_needs_nothing_else() {
    let mut assessment = small().await;
    let evil = "<script>alert('x')</script>&\"\u{1}";
    let has_hazards = |table: &&mut TableAssessment| !table.hazards.is_empty();
    let table = assessment.tables.iter_mut().find(has_hazards).expect("hazards");
    table.table.name = evil.to_owned();
    table.domain = Some(evil.to_owned());
    let hazard = &mut table.hazards[0];
    hazard.columns = vec![evil.to_owned()];
    hazard.examples = vec![evil.to_owned()];
    hazard.message = evil.to_owned();
    hazard.advice = evil.to_owned();
    assessment.catalog.database = evil.to_owned();
    assessment.catalog.collation = evil.to_owned();
    assessment.reading.stopped = Some(evil.to_owned());
    let page = report::html(&assessment);
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.contains("alert('x')"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}"));
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for tag in ["details", "table", "section", "ul", "li", "tr", "td", "th", "pre", "p", "div"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

/// Values that are nobody's business: names, phones, messages, passwords.
#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_a_row_is_shown() {
    let legacy = start(500, 7).await;
    let assessment = assess(&job(&legacy.url())).await;
    let json = serde_json::to_string(&assessment).expect("JSON");
    let shown = [report::text(&assessment, 100), report::html(&assessment), json].concat();
    for (table, column) in [
        ("Party", "Name"),
        ("Party", "RegisterNo"),
        ("Party", "Phone"),
        ("Party", "Email"),
        ("Owner", "BankAccount"),
        ("Payment", "RawMessage"),
        ("PermissionPolicyUser", "StoredPassword"),
        ("PermissionPolicyUser", "UserName"),
    ] {
        for value in crate::oracle::column(&legacy, table, column) {
            let text = value.to_string();
            // `Admin` and the like are words of their own.
            assert!(text.chars().count() < 8 || !shown.contains(&text), "{table}.{column}: {text}");
        }
    }
}
