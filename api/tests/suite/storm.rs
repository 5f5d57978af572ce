//! Clients that go away in the middle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{Executor as _, Row as _};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use crate::lab::{Lab, id, owner};

const DISCONNECTS: u32 = 10_000;
/// How long a client waits at most: some go during the first round trips, some during the query.
const LONGEST_MICROS: [u64; 3] = [500, 4_000, 20_000];
/// Some writes are waited for until they are somewhere in the middle, or done.
const PATIENT_MICROS: u64 = 600_000;
const CALLERS: u32 = 24;
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Each so many-th request makes an invoice.
const WRITE_EACH: u32 = 4;

/// A new invoice of two lines on a contract of this owner.
fn write(token: &str, owner: u32, n: u32) -> String {
    let body = json!({ "contractId": id(7, owner, 1), "dueOn": "2024-03-31", "vat": "1",
        "lines": [{ "description": "a", "amount": "1" }, { "description": "b", "amount": "2" }] });
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST /v2/invoices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nidempotency-key: k-{n}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Queries are slow at random: their table is locked half of the time.
async fn lock_now_and_then(pool: sqlx::PgPool, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let mut transaction = pool.begin().await.expect("a transaction");
        sqlx::query("lock table contracts in access exclusive mode")
            .execute(&mut *transaction)
            .await
            .expect("the lock");
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..10))).await;
        transaction.rollback().await.expect("unlocked");
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..10))).await;
    }
}

/// Takes connections from the pool as a neighbour would, between the requests: none may be in a
/// transaction already, or somebody. (A leaked transaction heals when the next request commits
/// it, so looking at the end alone finds nothing.)
async fn look_at_connections(pool: sqlx::PgPool, over: Arc<AtomicBool>) -> u32 {
    let mut seen = 0;
    while !over.load(Ordering::Relaxed) {
        let Ok(mut connection) = pool.acquire().await else { continue };
        // One simple query: both times are its own unless a transaction is open.
        let clean = "select now() = statement_timestamp() \
                     and coalesce(current_setting('app.role', true), '') = '' as clean";
        let row = connection.fetch_one(clean).await.expect("a row");
        assert!(row.get::<bool, _>("clean"), "a connection with an open transaction, after {seen}");
        seen += 1;
        drop(connection);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_disconnects_leave_nothing_behind() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(6).await, None).await;
    let tokens = [lab.token(&owner(1)).await, lab.token(&owner(2)).await];
    let over = Arc::new(AtomicBool::new(false));
    let locker = tokio::spawn(lock_now_and_then(lab.admin.clone(), Arc::clone(&over)));
    let looker = tokio::spawn(look_at_connections(server.pool.clone(), Arc::clone(&over)));
    let count = Arc::new(AtomicU32::new(0));
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (address, count) = (server.address, Arc::clone(&count));
        let number = caller % 2 + 1;
        let token = tokens[usize::try_from(number - 1).expect("small")].clone();
        let client = server.client(&token);
        let his = [id(7, number, 1), id(7, number, 2), id(7, number, 3)];
        callers.spawn(async move {
            // A list takes a transaction, a row one statement.
            let one = format!("/v2/contracts/{}", his[0]);
            let requests = ["/v2/contracts", &one].map(|path| {
                format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n")
            });
            loop {
                let n = count.fetch_add(1, Ordering::Relaxed);
                if n >= DISCONNECTS || started.elapsed() > TIME_LIMIT {
                    return;
                }
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                let request = if n % WRITE_EACH == 0 {
                    write(&token, number, n)
                } else {
                    requests[usize::try_from(n % 2).expect("small")].clone()
                };
                stream.write_all(request.as_bytes()).await.expect("sent");
                let kind = usize::try_from(n % 3).expect("small");
                let patience = if n % WRITE_EACH == 0 && n % 10 == 0 {
                    rand::random_range(0..PATIENT_MICROS)
                } else {
                    rand::random_range(0..LONGEST_MICROS[kind])
                };
                tokio::time::sleep(Duration::from_micros(patience)).await;
                drop(stream);
                if n % 100 == 0 {
                    let answer = client.get("/v2/contracts").await;
                    if answer.status == 200 {
                        assert_eq!(answer.ids(), his, "a foreign row");
                    }
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("a caller");
    }
    over.store(true, Ordering::Relaxed);
    locker.await.expect("the locker");
    let looked = looker.await.expect("only clean connections");
    let count = count.load(Ordering::Relaxed).min(DISCONNECTS);
    assert_eq!(count, DISCONNECTS, "in {:?}", started.elapsed());
    assert!(looked > 30, "looked at {looked} connections only");
    println!("{count} disconnects in {:?}, {looked} looks", started.elapsed());
    assert_nothing_is_left(&lab, &server.pool).await;
    assert_writes_are_whole(&lab).await;
    for (token, number) in tokens.iter().zip(1..) {
        let seen = server.client(token).get("/v2/contracts").await;
        assert_eq!(seen.ids(), [id(7, number, 1), id(7, number, 2), id(7, number, 3)]);
    }
}

/// No transaction that nobody ends, no identity, every connection of use.
async fn assert_nothing_is_left(lab: &Lab, pool: &sqlx::PgPool) {
    let busy = "select count(*) from pg_stat_activity where datname = current_database() \
                and pid <> pg_backend_pid() and state in \
                ('idle in transaction', 'idle in transaction (aborted)', 'active')";
    let started = Instant::now();
    loop {
        let count: i64 = sqlx::query_scalar(busy).fetch_one(&lab.admin).await.expect("a count");
        if count == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{count} sessions are still at work");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut held = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        let mut connection = pool.acquire().await.expect("a connection");
        let left: (String, i64) = sqlx::query_as(
            "select concat(current_setting('app.role', true), current_setting('app.owner_id', true)), \
             (select count(*) from contracts)",
        )
        .fetch_one(&mut *connection)
        .await
        .expect("a usable connection");
        assert_eq!(left, (String::new(), 0));
        held.push(connection);
    }
}

/// What was written was written whole, by its owner, once; what was not left nothing.
async fn assert_writes_are_whole(lab: &Lab) {
    let counts: (i64, i64, i64, i64, i64, i64) = sqlx::query_as(
        "select count(*), \
         count(*) filter (where 2 = (select count(*) from invoice_lines where invoice_id = i.id)), \
         count(*) filter (where exists (select from audit_log where entity_id = i.id)), \
         count(*) filter (where exists (select from outbox where payload ->> 'id' = i.id::text)), \
         count(*) filter (where exists (select from idempotency_keys as k join audit_log as a \
           on a.user_id = k.user_id where k.location = '/v2/invoices/' || i.id and a.entity_id = i.id \
           and a.owner_id = case i.contract_id when $1 then $3 when $2 then $4 end)), \
         (select count(*) from idempotency_keys) \
         from invoices as i where invoice_no like 'НХ-%'",
    )
    .bind(id(7, 1, 1))
    .bind(id(7, 2, 1))
    .bind(id(1, 1, 1))
    .bind(id(1, 2, 1))
    .fetch_one(&lab.admin)
    .await
    .expect("counts");
    assert!(counts.0 > 50, "{counts:?}: too few writes got through to prove anything");
    let all = [counts.1, counts.2, counts.3, counts.4, counts.5];
    assert_eq!(all, [counts.0; 5], "lines, audit, outbox, key and owner, keys in all");
}
