//! Waking, stopping, jobs by the clock, and what is old.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use chrono_tz::Tz;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::lab::{Lab, route, settings, start};
use crate::{Event, Handler, Handling, Job, Schedule, cron::Enqueuing};

struct Slow(Duration);

impl Handler for Slow {
    fn handle<'a>(&'a self, _: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            tokio::time::sleep(self.0).await;
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_new_event_wakes_a_worker_that_polls_once_an_hour() {
    let lab = Lab::new().await;
    let mut lazy = settings();
    lazy.poll = Duration::from_secs(3600);
    let routes = vec![route("x", Arc::new(Slow(Duration::ZERO)) as Arc<dyn Handler>)];
    let running = start(lab.worker_with(lazy, routes, Schedule::default()));
    let listens = "select count(*)::text from pg_stat_activity
                   where datname = current_database() and query ilike 'listen%'";
    lab.until(listens, "1").await;
    // A listener that is cut off comes back.
    let pid = "select max(pid)::text from pg_stat_activity
               where datname = current_database() and query ilike 'listen%'";
    let old = lab.text(pid).await;
    lab.sql(&format!("select pg_terminate_backend({old})")).await;
    lab.until(&format!("select (({pid}) <> '{old}')::text"), "true").await;
    lab.write("x", json!({})).await;
    lab.until("select state from outbox", "done").await;
    running.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_stopped_finishes_what_it_has() {
    let lab = Lab::new().await;
    for _ in 0..9 {
        lab.write("x", json!({})).await;
    }
    let routes = vec![route("x", Arc::new(Slow(Duration::from_millis(300))) as Arc<dyn Handler>)];
    let running = start(lab.worker(routes));
    lab.until("select count(*)::text from ficus.work_run where outcome = 'running'", "4").await;
    running.stop().await;
    assert_eq!(
        lab.text("select count(*)::text from ficus.work_run where outcome = 'running'").await,
        "0"
    );
    assert_eq!(lab.text("select count(*)::text from outbox where state = 'done'").await, "4");
    assert_eq!(lab.text("select count(*)::text from outbox where lease is not null").await, "0");
}

/// Enqueues three events for its slot.
struct Three;

impl Job for Three {
    fn name(&self) -> &'static str {
        "three"
    }

    fn enqueue<'a>(&'a self, connection: &'a mut PgConnection, due: DateTime<Tz>) -> Enqueuing<'a> {
        Box::pin(async move {
            for _ in 0..3 {
                sqlx::query("insert into outbox (id, topic, payload) values ($1, 'x', $2)")
                    .bind(Uuid::now_v7())
                    .bind(json!({ "due": due.to_rfc3339() }))
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(3)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_slot_of_a_job_enqueues_once_over_many_workers() {
    let lab = Lab::new().await;
    let mut schedule = Schedule::default();
    let zone = chrono_tz::Asia::Ulaanbaatar;
    schedule.add(("work.x", "0 6 1 1 *"), zone, Arc::new(Three)).expect("a job");
    let worker = || start(lab.worker_with(settings(), vec![], schedule.clone()));
    let workers: Vec<_> = (0..4).map(|_| worker()).collect();
    lab.until("select count(*)::text from outbox", "3").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for worker in workers {
        worker.stop().await;
    }
    let slots = "select count(*) || ' ' || min(events) || ' ' || bool_and(due at time zone 'Asia/Ulaanbaatar' = date_trunc('year', due at time zone 'Asia/Ulaanbaatar') + interval '6 h') from ficus.work_slot";
    assert_eq!(lab.text(slots).await, "1 3 true");
    assert_eq!(lab.text("select count(*)::text from outbox").await, "3");
    // One year was missed.
    lab.sql("update ficus.work_slot set due = due - interval '2 years'").await;
    lab.worker_with(settings(), vec![], schedule).run_once().await.expect("it");
    assert_eq!(lab.text("select count(*) || ' ' || sum(events) from ficus.work_slot").await, "3 9");
}

#[tokio::test]
async fn what_is_old_and_done_goes_and_dead_letters_stay() {
    let lab = Lab::new().await;
    for state in ["done", "dead", "pending"] {
        lab.sql(&format!(
            "insert into outbox (id, topic, payload, state, created_at, done_at, available_at)
             values (gen_random_uuid(), 'x', '{{}}', '{state}', now() - interval '9 days',
                     now() - interval '9 days', now() - interval '9 days')"
        ))
        .await;
    }
    lab.write("x", json!({})).await;
    lab.sql("update outbox set state = 'done', done_at = now() where created_at > now() - interval '1 h'").await;
    lab.sql(
        "insert into ficus.work_run (event, topic, attempt, owner, outcome, began_at, ended_at)
             select id, topic, 1, 'x', 'done', created_at, now() from outbox",
    )
    .await;
    lab.worker(vec![]).run_once().await.expect("it");
    let left = "select string_agg(state, ' ' order by state, created_at) from outbox";
    assert_eq!(lab.text(left).await, "dead done pending");
    assert_eq!(lab.text("select count(*)::text from ficus.work_run").await, "1");
}
