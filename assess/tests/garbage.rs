//! Servers that say no, go away, or have nothing.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use assess::{Error, Event, Progress, Silent, assessment::Assessment};
use sandbox::{
    legacy::Database,
    tds::{self, Faults, Tls},
};
use tokio_util::sync::CancellationToken;

use crate::setup::{assess, job, start};

/// Lets the question that comes after the catalogue fail: that for the sizes.
struct Denied(Faults);

impl Progress for Denied {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Catalog { .. }) {
            self.0.fail_next_query(297);
        }
    }
}

/// Does something when a table's turn comes.
struct At<F: Fn() + Send + Sync> {
    table: &'static str,
    action: F,
    events: Mutex<Vec<String>>,
}

impl<F: Fn() + Send + Sync> At<F> {
    fn new(table: &'static str, action: F) -> Self {
        Self { table, action, events: Mutex::default() }
    }

    fn events(&self) -> Vec<String> {
        self.events.lock().expect("sound").clone()
    }
}

impl<F: Fn() + Send + Sync> Progress for At<F> {
    fn event(&self, event: Event<'_>) {
        let text = match event {
            Event::Started { table, .. } if table.name == self.table => {
                (self.action)();
                format!("started {table}")
            }
            Event::Failed { table, .. } => format!("failed {table}"),
            Event::Again { table, .. } => format!("again {table}"),
            _ => return,
        };
        self.events.lock().expect("sound").push(text);
    }
}

fn codes(assessment: &Assessment, name: &str) -> Vec<String> {
    let table = assessment.tables.iter().find(|t| t.table.name == name).expect("assessed");
    table.hazards.iter().map(|hazard| hazard.code.clone()).collect()
}

async fn failure(url: &str) -> Error {
    let outcome = assess::run(&job(url), &Silent, &CancellationToken::new()).await;
    outcome.expect_err("no assessment")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_one_sentence() {
    let error = failure("mssql://nobody:x@127.0.0.1:1/Nothing?trust=true").await;
    assert_eq!(error.to_string(), "no connection to the legacy server 127.0.0.1:1");
    assert!(error.hint().contains("firewall"), "{}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_rights_is_told_what_to_grant() {
    let legacy = start(500, 5).await;
    let error = failure(&legacy.url().replace("sandbox-only", "guessed")).await;
    assert!(error.to_string().contains("refused the login `ficus`"), "{error}");
    legacy.server.faults().fail_next_query(229);
    let error = failure(&legacy.url()).await;
    assert!(matches!(&error, Error::Legacy(legacy::Error::Permission { .. })), "{error:?}");
    assert!(error.hint().contains("grant SELECT"), "{}", error.hint());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_no_failure() {
    let database = Database::from_ddl("Empty", "Cyrillic_General_CI_AS", "").expect("no tables");
    let (login, password) = ("ficus".to_owned(), "x".to_owned());
    let options = tds::Options { login, password, tls: Tls::Optional, port: 0 };
    let server = tds::Server::start(database, options).await.expect("a server");
    let url = format!("mssql://ficus:x@{}/Empty?trust=true", server.address());
    let assessment = assess(&job(&url)).await;
    assert!(assessment.tables.is_empty());
    let text = assess::report::text(&assessment, 80);
    assert!(text.contains("There are no tables, or none that the login may see"), "{text}");
    assert!(assess::report::html(&assessment).contains("<dd>0</dd>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_dropped_in_the_middle_stops_no_other() {
    let legacy = start(500, 5).await;
    let faults: Faults = legacy.server.faults();
    for (number, word) in [(208, "missing"), (229, "no permission")] {
        let faults = faults.clone();
        let progress = At::new("Invoice", move || faults.fail_next_query(number));
        let job = job(&legacy.url());
        let assessment =
            assess::run(&job, &progress, &CancellationToken::new()).await.expect("the others");
        assert_eq!(progress.events(), ["started dbo.Invoice", "failed dbo.Invoice"]);
        assert_eq!(codes(&assessment, "Invoice")[..1], ["read.failed"]);
        let invoices = assessment.tables.iter().find(|t| t.table.name == "Invoice").expect("told");
        assert!(!invoices.read_whole && invoices.columns.is_empty() && invoices.rows > 0);
        assert!(invoices.hazards[0].message.contains(word), "{}", invoices.hazards[0].message);
        // What refers to it says that nobody knows.
        assert!(codes(&assessment, "InvoiceLine").contains(&"reference.unchecked".to_owned()));
        assert!(!codes(&assessment, "InvoiceLine").contains(&"reference.orphan".to_owned()));
        let others = assessment.tables.iter().filter(|t| t.read_whole).count();
        assert_eq!(others, 18);
        assert_eq!(assessment.reading.stopped, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_connection_is_cut_is_read_again_and_counted_once() {
    let legacy = start(3_000, 5).await;
    let undisturbed = assess(&job(&legacy.url())).await;
    // Only the first attempt is cut.
    let (faults, armed) = (legacy.server.faults(), AtomicBool::new(true));
    let progress = At::new("InvoiceLine", move || {
        if armed.swap(false, Ordering::AcqRel) {
            faults.close_after_rows(700);
        }
    });
    let job = job(&legacy.url());
    let assessment = assess::run(&job, &progress, &CancellationToken::new()).await.expect("done");
    assert_eq!(
        progress.events(),
        ["started dbo.InvoiceLine", "again dbo.InvoiceLine", "started dbo.InvoiceLine"]
    );
    assert_eq!(assessment.tables, undisturbed.tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_that_nobody_may_ask_for_are_counted_row_by_row() {
    let legacy = start(500, 5).await;
    let faults = legacy.server.faults();
    let job = job(&legacy.url());
    let outcome = assess::run(&job, &Denied(faults), &CancellationToken::new()).await;
    let assessment = outcome.expect("an assessment");
    assert!(assessment.tables.iter().all(|table| table.bytes.is_none()));
    let audits = assessment.tables.iter().find(|t| t.table.name == "ModuleInfo").expect("told");
    assert_eq!((audits.rows, audits.rows_estimate), (3, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_it_gets_what_was_found() {
    let legacy = start(500, 5).await;
    let stop = CancellationToken::new();
    let token = stop.clone();
    let progress = At::new("Invoice", move || token.cancel());
    let assessment = assess::run(&job(&legacy.url()), &progress, &stop).await.expect("a part");
    assert_eq!(assessment.reading.stopped.as_deref(), Some("it was told to stop"));
    assert!(codes(&assessment, "Invoice").contains(&"read.stopped".to_owned()));
    let contract = assessment.tables.iter().find(|t| t.table.name == "Contract").expect("read");
    assert!(contract.read_whole);
    let text = assess::report::text(&assessment, 100);
    assert!(text.contains("The run ended before its time: it was told to stop."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_for_good_ends_the_run_with_what_was_found() {
    let legacy = start(500, 5).await;
    let url = legacy.url();
    let faults = legacy.server.faults();
    let server = Mutex::new(Some(legacy.server));
    // To drop it is to stop it; nobody is that fast with a row that takes a second.
    let progress = At::new("Invoice", move || {
        faults.delay_per_row(Duration::from_secs(1));
        drop(server.lock().expect("sound").take());
    });
    let assessment =
        assess::run(&job(&url), &progress, &CancellationToken::new()).await.expect("a part");
    let stopped = assessment.reading.stopped.clone().unwrap_or_default();
    assert!(stopped.starts_with("no connection to the legacy server"), "{stopped}");
    assert!(codes(&assessment, "Invoice").contains(&"read.stopped".to_owned()));
    assert!(codes(&assessment, "InvoiceLine").contains(&"read.stopped".to_owned()));
}
