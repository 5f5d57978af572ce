//! A whole installation: the sandbox in this process, the real binary beside it.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use sandbox::{debezium::Connector, kafka::Kafka, postgres::Postgres};
use spacehub::{
    demo::writer::{Counts, Writer},
    lab,
};
use sqlx::PgPool;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take before the test says that it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The installation. Clients first: the in-process Kafka must outlive them.
pub(crate) struct World {
    connector: Connector,
    pub(crate) legacy: lab::Legacy,
    kafka: Kafka,
    postgres: Postgres,
    url: String,
    /// A superuser's view of the target.
    pub(crate) pool: PgPool,
}

impl World {
    /// Starts everything and migrates the target.
    pub(crate) async fn start(rows: u64, seed: u64) -> Self {
        let options = lab::Options::test(rows, seed);
        let postgres = Postgres::start(&options.postgres).await.expect("Postgres");
        postgres.create_database("e2e").await.expect("a database");
        let url = postgres.url(sandbox::postgres::SUPERUSER, "e2e");
        let legacy = lab::Legacy::start(&options).await.expect("the legacy system");
        let kafka = lab::start_kafka(&legacy.database, options.partitions).expect("Kafka");
        let plan = mapping::plan::Plan::compile(&spacehub::mappings(), &legacy.database.catalog())
            .expect("Spacehub's mapping has no mistakes");
        let followed = plan
            .tables
            .iter()
            .filter(|t| !matches!(t.role, mapping::plan::TableRole::Ignored { .. }))
            .map(|t| t.table.clone())
            .chain([mapping::catalog::LegacyTable::new("dbo", "ficus_marker")]);
        let connector = lab::start_connector(&legacy, kafka.bootstrap(), options.schemas, followed)
            .expect("the connector");
        let pool = PgPool::connect(&url).await.expect("a pool");
        let world = Self { connector, legacy, kafka, postgres, url, pool };
        world.run(&["migrate"]).await.success();
        world
    }

    /// The real binary, told where everything is.
    pub(crate) fn ficus(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ficus"));
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        command
            .args(arguments)
            .current_dir(root)
            .env("FICUS_LEGACY_URL", self.legacy.url())
            .env("FICUS_LEGACY_HTTP", self.legacy.web.url())
            // Load is not what limits are for here.
            .env("FICUS_LIMITS_REQUESTS_PER_MINUTE", "0")
            .env("FICUS_LIMITS_ADDRESS_REQUESTS_PER_MINUTE", "0")
            .env("FICUS_KAFKA_BOOTSTRAP", self.kafka.bootstrap())
            .env("FICUS_KAFKA_TOPIC_PREFIX", lab::TOPIC_PREFIX)
            .env("FICUS_TARGET_URL", &self.url)
            .env("FICUS_API_CURSOR_KEY", "end to end")
            .env("FICUS_AUTH_KEY", "end to end")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The target's address.
    pub(crate) fn target_url(&self) -> &str {
        &self.url
    }

    /// Changes the target behind the engine's back.
    pub(crate) async fn sql(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.expect(sql);
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let output = tokio::time::timeout(LIMIT, self.ficus(arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("ficus {arguments:?} hangs"));
        Ended { what: arguments.join(" "), output: output.expect("the binary runs") }
    }

    /// Starts a command that goes on.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.ficus(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        command.spawn().expect("the binary starts")
    }

    /// Starts to change the legacy database.
    pub(crate) fn start_writer(&self, seed: u64, per_second: u32, plant_once_in: u64) -> Writing {
        let writer = Writer::new(&self.legacy.database, &self.legacy.demo, seed)
            .planting_once_in(plant_once_in);
        let stop = CancellationToken::new();
        let task = tokio::spawn(writer.run(per_second, stop.clone()));
        Writing { stop, task }
    }

    /// Takes everything down in the right order.
    pub(crate) async fn stop(self) {
        self.pool.close().await;
        self.connector.stop();
        self.legacy.server.stop().await;
        self.kafka.stop();
        self.postgres.stop().await;
    }
}

/// A writer at work.
pub(crate) struct Writing {
    stop: CancellationToken,
    task: JoinHandle<Result<Counts, sandbox::legacy::Error>>,
}

impl Writing {
    /// Stops it.
    pub(crate) async fn stop(self) -> Counts {
        self.stop.cancel();
        self.task.await.expect("the writer's task").expect("the writer's changes")
    }
}

/// A command that has ended.
pub(crate) struct Ended {
    what: String,
    output: Output,
}

impl Ended {
    /// Its exit code.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// All that it printed.
    pub(crate) fn text(&self) -> String {
        let stdout = String::from_utf8_lossy(&self.output.stdout);
        format!("{stdout}{}", String::from_utf8_lossy(&self.output.stderr))
    }

    /// Its standard output, if it succeeded.
    pub(crate) fn success(&self) -> String {
        self.code(0)
    }

    /// Its standard output, if it ended with this code.
    pub(crate) fn code(&self, code: i32) -> String {
        let stdout = String::from_utf8_lossy(&self.output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&self.output.stderr);
        let ended = self.output.status;
        assert_eq!(ended.code(), Some(code), "ficus {}: {ended}\n{stdout}\n{stderr}", self.what);
        stdout
    }
}
