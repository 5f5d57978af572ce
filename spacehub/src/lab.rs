//! The sandbox with Spacehub in it: what the demo and the end-to-end tests stand on.

use std::time::Duration;

use anyhow::Context;
use sandbox::{
    debezium::{self, BackPressure, Connector},
    kafka::Kafka,
    legacy::Database,
    postgres, tds,
    web::Web,
};

use crate::demo::{self, Demo};

/// The connector's `topic.prefix`.
pub const TOPIC_PREFIX: &str = "spacehub";
/// The consumer group that the connector does not run away from.
pub const GROUP: &str = "ficus";
const LOGIN: &str = "ficus";
const PASSWORD: &str = "sandbox-only";

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rows in the legacy database, about.
    pub rows: u64,
    /// Seed of the data.
    pub seed: u64,
    /// Partitions of each table's topic.
    pub partitions: i32,
    /// Whether messages carry their schema.
    pub schemas: bool,
    /// How far CDC's capture is behind.
    pub capture_lag: Duration,
    /// How Postgres is started.
    pub postgres: postgres::Options,
}

impl Options {
    /// For tests: small, fast, not durable.
    #[must_use]
    pub fn test(rows: u64, seed: u64) -> Self {
        Self {
            rows,
            seed,
            partitions: 2,
            schemas: false,
            capture_lag: Duration::from_millis(20),
            postgres: postgres::Options::default(),
        }
    }
}

/// A legacy system at work: its database, the server before it, and its HTTP side.
pub struct Legacy {
    /// The tables.
    pub database: Database,
    /// What was put into them.
    pub demo: Demo,
    /// The TDS server.
    pub server: tds::Server,
    /// The legacy application.
    pub web: Web,
}

impl Legacy {
    /// Fills a database and starts the servers.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let database = demo::empty_database().context("can't make the legacy tables")?;
        database.set_capture_lag(options.capture_lag);
        let (filled, rows, seed) = (database.clone(), options.rows, options.seed);
        let demo = tokio::task::spawn_blocking(move || demo::fill(&filled, rows, seed)).await??;
        let server = tds::Server::start(
            database.clone(),
            tds::Options {
                login: LOGIN.to_owned(),
                password: PASSWORD.to_owned(),
                tls: tds::Tls::Optional,
                port: 0,
            },
        )
        .await
        .context("can't start the sandbox's legacy server")?;
        let web =
            Web::start(database.clone()).await.context("can't start the legacy application")?;
        Ok(Self { database, demo, server, web })
    }

    /// Its address for `legacy.url`, password included: it is good for nothing else.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.server.address();
        format!(
            "mssql://{LOGIN}:{PASSWORD}@{address}/{}?encrypt=required&trust=true",
            crate::DATABASE
        )
    }
}

/// An in-process Kafka with all topics that the connector writes.
///
/// # Errors
/// [`sandbox::kafka::Error`].
pub fn start_kafka(database: &Database, partitions: i32) -> Result<Kafka, sandbox::kafka::Error> {
    let settings = debezium::Settings::new(TOPIC_PREFIX);
    let tables = database.catalog().tables;
    let topics: Vec<String> = tables
        .iter()
        .map(|table| settings.topic(&format!("{}.{}", crate::DATABASE, table.table)))
        .collect();
    let control = [settings.transaction_topic(), settings.heartbeat_topic()];
    Kafka::start(
        topics
            .iter()
            .map(|topic| (topic.as_str(), partitions))
            .chain(control.iter().map(|topic| (topic.as_str(), 1))),
    )
}

/// A connector that follows the database from the log's beginning.
///
/// # Errors
/// [`debezium::Error`].
pub fn start_connector(
    legacy: &Legacy,
    bootstrap: &str,
    schemas: bool,
    followed: impl IntoIterator<Item = mapping::catalog::LegacyTable>,
) -> Result<Connector, debezium::Error> {
    let settings = debezium::Settings { schemas, ..debezium::Settings::new(TOPIC_PREFIX) };
    let mut options = debezium::Options::new(bootstrap, settings, None);
    options.back_pressure = Some(BackPressure {
        tables: Some(followed.into_iter().collect()),
        ..BackPressure::on(GROUP)
    });
    options.heartbeat = Some(Duration::from_secs(1));
    Connector::start(&legacy.database, options)
}
