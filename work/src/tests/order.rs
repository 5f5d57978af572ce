//! What several workers do at the same time, and what a worker leaves that dies.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::RngExt as _;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::lab::{LIMIT, Lab, Running, route, settings, start};
use crate::{Event, Failure, Handler, Handling, Metrics, Schedule, look, metrics};

/// Remembers what it handled, and fails now and then.
#[derive(Default)]
struct Book {
    seen: Mutex<Vec<(Uuid, String, i64)>>,
    fails_in_hundred: u32,
}

impl Book {
    fn seen(&self) -> Vec<(Uuid, String, i64)> {
        self.seen.lock().expect("a lock").clone()
    }
}

impl Handler for Book {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            let chance = rand::rng().random_range(0..100);
            tokio::time::sleep(Duration::from_millis(u64::from(chance) / 20)).await;
            if chance < self.fails_in_hundred {
                return Err(Failure::retry("by chance"));
            }
            let of = event.payload["id"].as_str().unwrap_or_default().to_owned();
            let number = event.payload["n"].as_i64().unwrap_or_default();
            self.seen.lock().expect("a lock").push((event.id, of, number));
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_handle_each_event_once_and_an_aggregates_in_order() {
    let lab = Lab::new().await;
    let book = Arc::new(Book { fails_in_hundred: 20, ..Book::default() });
    let mut patient = settings();
    patient.attempts_max = 1000;
    let worker = || {
        let routes = vec![route("*", Arc::clone(&book) as Arc<dyn Handler>)];
        start(lab.worker_with(patient.clone(), routes, Schedule::default()))
    };
    let workers: Vec<Running> = (0..3).map(|_| worker()).collect();
    for n in 0..30 {
        // Two topics of one handler: the order is the aggregate's, not the topic's.
        let topic = if n % 2 == 0 { "contract.created" } else { "contract.status-changed" };
        for of in ["a", "b", "c"] {
            lab.write(topic, json!({ "id": of, "n": n })).await;
        }
        lab.write(topic, json!({ "n": n })).await;
    }
    lab.until("select count(*)::text from outbox where state = 'done'", "120").await;
    for worker in workers {
        worker.stop().await;
    }
    let seen = book.seen();
    assert_eq!(seen.len(), 120, "nothing was lost, and nothing done twice");
    let mut orders: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (_, of, n) in &seen {
        orders.entry(of).or_default().push(*n);
    }
    for of in ["a", "b", "c"] {
        assert_eq!(orders[of], (0..30).collect::<Vec<_>>(), "{of}");
    }
}

#[tokio::test]
async fn an_event_that_somebody_is_taking_holds_up_no_other() {
    let lab = Lab::new().await;
    let held = lab.write("contract.created", json!({ "id": "a" })).await;
    let free = lab.write("contract.created", json!({ "id": "b" })).await;
    let mut taking = lab.admin.begin().await.expect("a transaction");
    let lock = sqlx::query("select from outbox where id = $1 for update").bind(held);
    lock.execute(&mut *taking).await.expect("locked");
    let worker = lab.worker(vec![route("*", Arc::new(Book::default()))]);
    let worked = tokio::time::timeout(LIMIT, worker.run_once()).await;
    worked.expect("it passes by").expect("worked");
    assert_eq!((lab.state(held).await, lab.state(free).await), ("pending".into(), "done".into()));
    taking.rollback().await.expect("unlocked");
}

/// Takes so long that somebody else has the event by now.
struct Late(PgPool);

impl Handler for Late {
    fn handle<'a>(&'a self, _: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            let taken = sqlx::query("update outbox set lease = gen_random_uuid()");
            taken.execute(&self.0).await.expect("taken over");
            Ok(())
        })
    }
}

#[tokio::test]
async fn whoever_has_lost_its_lease_says_nothing_about_the_event() {
    let lab = Lab::new().await;
    let id = lab.write("contract.created", json!({ "id": "a" })).await;
    let late = route("*", Arc::new(Late(lab.admin.clone())));
    lab.worker(vec![late]).run_once().await.expect("worked");
    assert_eq!(lab.state(id).await, "pending", "the new holder decides");
    assert_eq!(lab.text("select (lease is not null)::text from outbox").await, "true");
}

#[tokio::test]
async fn what_a_dead_worker_had_is_due_again_when_its_lease_is_over() {
    let lab = Lab::new().await;
    let book = Arc::new(Book::default());
    let routes = || vec![route("x", Arc::clone(&book) as Arc<dyn Handler>)];
    let id = lab.write("x", json!({})).await;
    // As a worker leaves it that was killed in the middle.
    let claim = crate::outbox::Claim {
        topic: "x",
        neighbours: &["x".to_owned()],
        count: 5,
        lease: Duration::from_millis(300),
        owner: "killed",
    };
    let taken = crate::outbox::claim(&lab.pool, claim).await.expect("taken");
    assert_eq!(taken.len(), 1);
    lab.worker(routes()).run_once().await.expect("worked");
    assert!(book.seen().is_empty(), "it is somebody's as long as the lease lasts");
    let listed = look::list(&lab.pool, &look::Filter { state: None, topic: None, limit: 5 }).await;
    assert_eq!(listed.expect("a list")[0].state, "running");
    let running = start(lab.worker(routes()));
    lab.until("select state from outbox", "done").await;
    running.stop().await;
    assert_eq!(lab.history(id).await, "lost; done");
    // The late one changes nothing any more.
    let end = crate::outbox::End::Dead { why: "late".into() };
    assert!(!crate::outbox::end(&lab.pool, &taken[0], &end).await.expect("told"));
    assert_eq!((lab.state(id).await, lab.history(id).await), ("done".into(), "lost; done".into()));
}

/// The history of an event that a look finds like this, and gives to no handler.
async fn unhandled(made_so_by: &str) -> String {
    let lab = Lab::new().await;
    let id = lab.write("x", json!({})).await;
    lab.sql(made_so_by).await;
    let book = Arc::new(Book::default());
    let routes = vec![route("x", Arc::clone(&book) as Arc<dyn Handler>)];
    lab.worker(routes).run_once().await.expect("it");
    assert!(book.seen().is_empty());
    lab.history(id).await
}

#[tokio::test]
async fn an_event_that_ends_every_worker_is_given_up() {
    let history = unhandled("update outbox set attempts = 3").await;
    assert_eq!(history, "dead: given up: 3 attempts had no outcome");
}

#[tokio::test]
async fn an_event_that_comes_too_late_is_not_sent() {
    let history = unhandled("update outbox set expires_at = now() - interval '1 s'").await;
    assert_eq!(history, "dead: it expired before it was handled");
}

#[tokio::test]
async fn a_discarded_event_lets_those_behind_it_go_on() {
    let lab = Lab::new().await;
    let (first, second) =
        (lab.write("x", json!({"id": "a"})).await, lab.write("x", json!({"id": "a"})).await);
    lab.sql(&format!(
        "update outbox set available_at = now() + interval '1 h' where id = '{first}'"
    ))
    .await;
    let book = Arc::new(Book::default());
    let routes = || vec![route("x", Arc::clone(&book) as Arc<dyn Handler>)];
    lab.worker(routes()).run_once().await.expect("it");
    assert!(book.seen().is_empty(), "the first of its aggregate waits");
    look::discard(&lab.pool, first, "me", "of no use").await.expect("discarded");
    lab.worker(routes()).run_once().await.expect("it");
    assert_eq!(book.seen()[0].0, second);
    assert_eq!(lab.history(first).await, "discarded: of no use");
    let again = look::discard(&lab.pool, first, "me", "of no use").await.expect_err("dead already");
    assert_eq!(
        again.to_string(),
        format!("event {first} is dead: only a pending event can be discarded")
    );
    let unknown = look::replay(&lab.pool, Uuid::nil(), "me").await.expect_err("nobody");
    assert_eq!(unknown.to_string(), format!("there is no event {} in the outbox", Uuid::nil()));
}

#[tokio::test]
async fn a_topic_without_a_handler_stays_and_is_seen() {
    let lab = Lab::new().await;
    let id = lab.write("nobody.cares", json!({})).await;
    lab.sql("update outbox set available_at = now() - interval '90 s'").await;
    lab.worker(vec![]).run_once().await.expect("it");
    assert_eq!((lab.state(id).await, lab.history(id).await), ("pending".into(), String::new()));
    let backlog = metrics::backlog(&lab.pool).await.expect("a backlog");
    let told = metrics::render(&Metrics::default(), Some(&backlog));
    assert!(told.contains("ficus_work_pending_events{topic=\"nobody.cares\"} 1\n"), "{told}");
    assert!(told.contains("ficus_work_oldest_due_seconds{topic=\"nobody.cares\"} 9"), "{told}");
}
