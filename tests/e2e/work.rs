//! `ficus work` as its user runs it: killed at random instants, told garbage, and by the clock.

use std::{
    collections::{BTreeMap, HashMap},
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sandbox::postgres::{Database, fresh_database};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::process::Command;
use uuid::Uuid;

use crate::world::LIMIT;

const SECRET: &str = "a secret of more than 24 bytes";

/// A receiver that works a little, fails now and then, and counts what it was sent by id.
#[derive(Clone, Default)]
struct Receiver {
    done: Arc<Mutex<HashMap<String, u32>>>,
    order: Arc<Mutex<BTreeMap<String, Vec<i64>>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let receiver = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = receiver.clone();
                let service = service_fn(move |request| {
                    let receiver = receiver.clone();
                    async move { receiver.take(request).await }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        url
    }

    async fn take(
        &self,
        request: hyper::Request<hyper::body::Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
        let id = request.headers()["webhook-id"].to_str().expect("an id").to_owned();
        let body = http_body_util::BodyExt::collect(request.into_body()).await?.to_bytes();
        let chance: u32 = rand::rng().random_range(0..100);
        tokio::time::sleep(Duration::from_millis(u64::from(chance / 2))).await;
        let mut response = hyper::Response::new(Full::default());
        if chance < 5 {
            *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
            return Ok(response);
        }
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["id"], id.as_str());
        let count =
            *self.done.lock().expect("a lock").entry(id).and_modify(|n| *n += 1).or_insert(1);
        let (of, n) = (body["data"]["id"].as_str(), body["data"]["n"].as_i64());
        if let (1, Some(of), Some(n)) = (count, of, n) {
            self.order.lock().expect("a lock").entry(of.to_owned()).or_default().push(n);
        }
        Ok(response)
    }
}

/// A migrated target and the real binary beside it. No legacy system and no Kafka: workers know
/// neither.
struct Office {
    database: Database,
    pool: PgPool,
}

impl Office {
    async fn open() -> Self {
        let database = fresh_database("work_e2e").await.expect("a database");
        let pool = PgPool::connect(&database.url("postgres")).await.expect("a pool");
        let office = Self { database, pool };
        office.run(&["migrate"], &[]).await;
        office
    }

    fn ficus(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ficus"));
        command
            .args(arguments)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .env("FICUS_TARGET_URL", self.database.url("postgres"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let running = self.ficus(arguments, environment).output();
        tokio::time::timeout(LIMIT, running).await.expect("it ends").expect("it runs")
    }

    /// What it printed, if it succeeded.
    async fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.output(arguments, environment).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        let found: Option<String> =
            sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect("a row");
        found.unwrap_or_default()
    }

    /// Events of seven contracts, until there are so many.
    async fn write(&self, written: &mut Vec<Uuid>, count: usize) {
        for n in written.len()..count {
            let id = Uuid::now_v7();
            let payload = serde_json::json!({ "id": format!("contract {}", n % 7), "n": n });
            sqlx::query(
                "insert into outbox (id, topic, payload) values ($1, 'contract.changed', $2)",
            )
            .bind(id)
            .bind(payload)
            .execute(&self.pool)
            .await
            .expect("an event");
            written.push(id);
        }
    }

    /// On a busy machine a worker may need seconds to begin; now and then it is killed before.
    async fn until_begun(&self, limit: Duration) {
        let newest = "select max(id)::text from ficus.work_run";
        let before = self.text(newest).await;
        let begun = async {
            while self.text(newest).await == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        drop(tokio::time::timeout(limit, begun).await);
    }

    async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.expect("the SQL");
    }
}

const EVENTS: usize = 500;
const KILLS: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_instants_no_event_is_lost_and_duplicates_have_the_same_id() {
    let seed = std::env::var("FICUS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("FICUS_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (office, receiver) = (Office::open().await, Receiver::default());
    let url = receiver.start().await;
    let environment = [
        ("FICUS_WORK_WEBHOOK_URL", url.as_str()),
        ("FICUS_WORK_WEBHOOK_SECRET", SECRET),
        ("FICUS_WORK_ATTEMPT_MS_MAX", "500"),
        ("FICUS_WORK_ATTEMPTS_MAX", "1000"),
        ("FICUS_WORK_RETRY_MS", "20"),
        ("FICUS_WORK_RETRY_MS_MAX", "100"),
        ("FICUS_WORK_POLL_MS", "20"),
        ("FICUS_WORK_CONCURRENCY", "*=6"),
    ];
    let mut written = Vec::new();
    for kill in 1..=KILLS {
        // Events come while workers come and go; leases of the killed are over at once, because
        // waiting for each would take minutes and prove nothing more.
        office.write(&mut written, kill * EVENTS / KILLS).await;
        let mut workers: Vec<_> = (0..2)
            .map(|_| office.ficus(&["work"], &environment).spawn().expect("it starts"))
            .collect();
        office.until_begun(Duration::from_millis(random.random_range(300..5_000))).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..150))).await;
        for worker in &mut workers {
            worker.kill().await.expect("killed");
        }
        office
            .sql("update outbox set available_at = now() where state = 'pending' and lease is not null")
            .await;
    }
    let last = office.ficus(&["work"], &environment).spawn().expect("it starts");
    let waiting = async {
        while office.text("select count(*)::text from outbox where state <> 'done'").await != "0" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("all events are done");
    drop(last);
    let done = receiver.done.lock().expect("a lock").clone();
    let known: Vec<String> = written.iter().map(Uuid::to_string).collect();
    for id in &known {
        assert!(done.contains_key(id), "{id} was lost");
    }
    assert_eq!(done.len(), known.len(), "every id that came is one that was written");
    let attempts = office.text("select count(*)::text from ficus.work_run").await;
    let lost =
        office.text("select count(*)::text from ficus.work_run where outcome = 'lost'").await;
    let twice = done.values().filter(|count| **count > 1).count();
    println!("{attempts} attempts, {lost} lost with their workers, {twice} events came twice");
    assert_ne!(lost, "0", "no worker was killed in the middle of an event");
    // Whoever ignores duplicates sees each contract's events in the order in which they were written.
    for (of, order) in receiver.order.lock().expect("a lock").iter() {
        assert!(order.is_sorted(), "{of}: {order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_shown_replayed_and_discarded() {
    let office = Office::open().await;
    let id = Uuid::now_v7();
    office
        .sql(&format!(
            "insert into outbox (id, topic, payload, correlation_id)
             values ('{id}', 'contract.changed', '{{\"note\": \"хувийн нууц\"}}', 'c-7')"
        ))
        .await;
    let nobody = ("FICUS_WORK_WEBHOOK_URL", "http://127.0.0.1:9/hook?token=hush");
    let environment =
        [nobody, ("FICUS_WORK_WEBHOOK_SECRET", SECRET), ("FICUS_WORK_ATTEMPTS_MAX", "1")];
    office.run(&["work", "--once"], &environment).await;
    let listed = office.run(&["work", "list"], &[]).await;
    assert!(
        listed.contains(&id.to_string())
            && listed.contains("given up after 1 attempts: no connection"),
        "{listed}"
    );
    let shown = office.run(&["work", "show", &id.to_string()], &[]).await;
    assert!(shown.contains("note (values with --payload)") && shown.contains("c-7"), "{shown}");
    assert!(!shown.contains("нууц") && !shown.contains("hush"), "{shown}");
    let whole = office.run(&["work", "show", &id.to_string(), "--payload"], &[]).await;
    assert!(whole.contains("хувийн нууц"), "{whole}");
    let receiver = Receiver::default();
    let url = receiver.start().await;
    office.run(&["work", "replay", "--topic", "contract.changed"], &[]).await;
    let environment =
        [("FICUS_WORK_WEBHOOK_URL", url.as_str()), ("FICUS_WORK_WEBHOOK_SECRET", SECRET)];
    while office.text("select state from outbox").await != "done" {
        office.run(&["work", "--once"], &environment).await;
    }
    assert!(receiver.done.lock().expect("a lock").contains_key(&id.to_string()));
    let shown = office.run(&["work", "show", &id.to_string()], &[]).await;
    for outcome in ["dead", "replayed", "done"] {
        assert!(shown.contains(outcome), "{shown}");
    }
    let refused = office.output(&["work", "discard", &id.to_string(), "--reason", "x"], &[]).await;
    assert_eq!(refused.status.code(), Some(3));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains(&format!("event {id} is done: only a pending event can be discarded")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_can_not_work_are_told_in_one_sentence() {
    let office = Office::open().await;
    for (environment, why) in [
        (&[][..], "there is nothing to do: set work.sms_url"),
        (
            &[("FICUS_WORK_SMS_URL", "ftp://hush@gateway")],
            "`work.sms_url`: it is no http or https address",
        ),
        (&[("FICUS_WORK_SMS_URL", "https://{{host}}/hush")], "`work.sms_url`: "),
        (
            &[("FICUS_WORK_SMS_URL", "https://gateway/"), ("FICUS_WORK_SMS_BODY", "{{to")],
            "`work.sms_body`: a {{ has no }} behind it",
        ),
        (&[("FICUS_WORK_WEBHOOK_URL", "https://receiver/hush")], "work.webhook_secret is not"),
        (
            &[
                ("FICUS_WORK_WEBHOOK_URL", "https://receiver/"),
                ("FICUS_WORK_WEBHOOK_SECRET", "hush"),
            ],
            "`work.webhook_secret`: it is shorter than 24 bytes",
        ),
        (&[("FICUS_WORK_STATEMENT_CRON", "0 6 1 * *")], "objects.url is not"),
        (
            &[("FICUS_WORK_STATEMENT_CRON", "monthly"), ("FICUS_OBJECTS_URL", "file:///tmp")],
            "`monthly` is no cron expression",
        ),
        (
            &[("FICUS_WORK_ZONE", "Mars"), ("FICUS_OBJECTS_URL", "file:///tmp")],
            "`Mars` is no time zone",
        ),
        (&[("FICUS_WORK_CONCURRENCY", "many")], "`work.concurrency`: `many` is not TOPIC=NUMBER"),
        (&[("FICUS_WORK_POLL_MS", "0")], "`work.poll_ms` must be a whole number from 10"),
        (&[("FICUS_WORK_SMS_METHOD", "PATCH")], "`work.sms_method` must be one of POST, GET, PUT"),
    ] {
        let output = office.output(&["work", "--once"], environment).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{told}");
        assert!(told.contains(why) && !told.contains("hush"), "{why}: {told}");
    }
    for wrong in
        [&["work", "show", "seven"][..], &["work", "replay"], &["work", "list", "--state", "x"]]
    {
        assert_eq!(office.output(wrong, &[]).await.status.code(), Some(64), "{wrong:?}");
    }
}

/// The month before the slot, once for each recipient, as PDFs in the folder of objects.
#[tokio::test(flavor = "multi_thread")]
async fn statements_of_a_month_are_made_once() {
    let office = Office::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let objects = format!("file://{}", folder.path().display());
    let month = "date_trunc('month', now() at time zone 'Asia/Ulaanbaatar')";
    office
        .sql(&format!(
            "insert into tenants (id, name, register_no) values ('{t}', 'Өлзий ХХК', 'УБ1'), ('{o}', 'Өөр', 'УБ2');
             insert into property_owners (id, name) values ('{o}', 'Эзэн');
             insert into property_owner_links (id, property_owner_id, property_id) values ('{o}', '{o}', '{o}');
             insert into spaces (id, property_id, kind) values ('{o}', '{o}', 'space');
             insert into contracts (id, tenant_id, contract_no, currency) values ('{t}', '{t}', 'А/1', 'MNT');
             insert into contract_items (id, contract_id, space_id) values ('{t}', '{t}', '{o}');
             insert into invoices (id, invoice_no, contract_id, issued_on, total, status) values
               ('{t}', 'НХ-1', '{t}', ({month} - interval '1 s') at time zone 'Asia/Ulaanbaatar', 150000001, 'issued'),
               ('{o}', 'НХ-2', '{t}', {month} at time zone 'Asia/Ulaanbaatar', 7, 'issued');
             insert into payments (id, tenant_id, value_date, amount, method)
               values ('{t}', '{t}', ({month} - interval '3 days')::date, 500, 'qpay');
             insert into payment_allocations (id, payment_id, invoice_id, amount) values ('{t}', '{t}', '{t}', 500)",
            t = Uuid::from_u128(1),
            o = Uuid::from_u128(2),
        ))
        .await;
    let environment = [
        ("FICUS_OBJECTS_URL", objects.as_str()),
        ("FICUS_WORK_STATEMENT_CRON", "* * * * *"),
        ("FICUS_WORK_ZONE", "Asia/Ulaanbaatar"),
    ];
    office.run(&["work", "--once"], &environment).await;
    let made = "select string_agg(recipient || ' ' || (object like 'sha256/%') || ' ' || (size > 5000), ', ' order by recipient) from statements";
    assert_eq!(office.text(made).await, "owner true true, tenant true true");
    assert_eq!(
        office.text("select count(*)::text || ' ' || bool_and(state = 'done') from outbox").await,
        "2 true"
    );
    let object = office.text("select object from statements where recipient = 'tenant'").await;
    let pdf = std::fs::read(folder.path().join(&object)).expect("the PDF");
    assert!(pdf.starts_with(b"%PDF-"));
    // The next slots are of the same month.
    office.sql("update ficus.work_slot set due = due - interval '5 minutes'").await;
    office.run(&["work", "--once"], &environment).await;
    assert_eq!(office.text("select count(*)::text from outbox").await, "2");
    assert_ne!(office.text("select count(*)::text from ficus.work_slot").await, "1");
    // Rendered again, it is the same object.
    office
        .run(&["work", "replay", &office.text("select id::text from outbox limit 1").await], &[])
        .await;
    office.run(&["work", "--once"], &environment).await;
    assert_eq!(
        office.text("select object from statements where recipient = 'tenant'").await,
        object
    );
}
