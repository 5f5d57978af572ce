//! A database as `ficus migrate` leaves it, and workers on it.

use std::{sync::Arc, time::Duration};

use sandbox::postgres::{Database, copied_database, fresh_database};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use target::Role;
use tokio::{sync::OnceCell, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Handler, Limits, Metrics, Route, Routes, Schedule, Settings, Worker};

/// How long anything may take before the test says that it hangs.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Lab {
    pub(super) database: Database,
    /// As the superuser.
    pub(super) admin: PgPool,
    /// As the worker's role.
    pub(super) pool: PgPool,
}

impl Lab {
    /// A copy of one that was made once.
    pub(super) async fn new() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(template).await;
        let database = copied_database(template, "work").await.expect("a copy");
        let admin = PgPool::connect(&database.url("postgres")).await.expect("a pool");
        let pool = pool(&database, Role::Work).await;
        Self { database, admin, pool }
    }

    pub(super) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.admin).await.expect("the SQL");
    }

    pub(super) async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        let found: Option<String> =
            sqlx::query_scalar(sql).fetch_one(&self.admin).await.expect("a row");
        found.unwrap_or_default()
    }

    /// An event, as a request writes it.
    pub(super) async fn write(&self, topic: &str, payload: Value) -> Uuid {
        let id = Uuid::now_v7();
        sqlx::query(
            "insert into outbox (id, topic, payload, correlation_id) values ($1, $2, $3, 'c-1')",
        )
        .bind(id)
        .bind(topic)
        .bind(payload)
        .execute(&self.admin)
        .await
        .expect("an event");
        id
    }

    pub(super) async fn state(&self, id: Uuid) -> String {
        self.text(&format!("select state from outbox where id = '{id}'")).await
    }

    /// The outcomes of an event's attempts, with what they say.
    pub(super) async fn history(&self, id: Uuid) -> String {
        self.text(&format!(
            "select string_agg(outcome || coalesce(': ' || detail, ''), '; ' order by id)
             from ficus.work_run where event = '{id}'"
        ))
        .await
    }

    pub(super) fn worker(&self, routes: Vec<Route>) -> Worker {
        self.worker_with(settings(), routes, Schedule::default())
    }

    pub(super) fn worker_with(
        &self,
        settings: Settings,
        routes: Vec<Route>,
        schedule: Schedule,
    ) -> Worker {
        Worker::new(self.pool.clone(), settings, Routes::new(routes), schedule, Metrics::default())
    }

    /// Looks until it is so.
    pub(super) async fn until(&self, sql: &str, wanted: &str) {
        let looking = async {
            while self.text(sql).await != wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(LIMIT, looking).await.is_err() {
            let found = self.text(sql).await;
            assert_eq!(found, wanted, "after {LIMIT:?}: {sql}");
        }
    }
}

/// Retries come at once, so that `run_once` sees them through.
pub(super) fn settings() -> Settings {
    Settings {
        owner: "test".to_owned(),
        limits: Limits::parse("work.concurrency", "*=4").expect("limits"),
        poll: Duration::from_millis(50),
        attempt: Duration::from_secs(5),
        attempts_max: 3,
        retry_first: Duration::from_millis(1),
        retry_max: Duration::from_millis(1),
        keep: Duration::from_secs(3600),
    }
}

pub(super) fn route(topic: &str, handler: Arc<dyn Handler>) -> Route {
    Route { topics: vec![topic.to_owned()], name: "test", handler }
}

/// A worker in the background.
pub(super) struct Running {
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<Result<(), crate::Error>>,
}

pub(super) fn start(worker: Worker) -> Running {
    let stop = CancellationToken::new();
    Running { task: tokio::spawn(worker.run(stop.clone())), stop }
}

impl Running {
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(LIMIT, self.task).await.expect("it stops");
        ended.expect("a task").expect("a worker");
    }
}

pub(super) async fn pool(database: &Database, role: Role) -> PgPool {
    let url = SecretString::from(database.url("postgres"));
    let settings = target::Settings { url, role, set_role: true, max_connections: 8 };
    target::connect(&settings).await.expect("a pool")
}

async fn template() -> String {
    let database = fresh_database("work").await.expect("a database");
    let product: Vec<target::ProductMigration> = spacehub::migrations()
        .iter()
        .map(|migration| target::ProductMigration {
            version: migration.version,
            name: migration.name.to_owned(),
            sql: migration.sql.to_owned(),
        })
        .collect();
    let url = SecretString::from(database.url("postgres"));
    target::migrate(&url, &product).await.expect("migrated");
    database.name
}
