//! The parts that the demo starts, and takes down again.

use std::time::{Duration, Instant};

use anyhow::Context;
use mapping::plan::{Plan, TableRole};
use sandbox::{debezium::Connector, kafka::Kafka, postgres::Postgres};
use spacehub::{
    demo::{PlantedDefect, writer},
    lab,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::story;
use crate::{args::DemoArgs, exit::usage, out, settings::Settings};

/// Transactions that the writer commits in a second.
const WRITES_PER_SECOND: u32 = 400;
const DATABASE: &str = "ficus";

/// Everything that was started. Clients first: the in-process Kafka must outlive them.
pub(super) struct Stage {
    connector: std::sync::OnceLock<Connector>,
    pub(super) legacy: Option<lab::Legacy>,
    bootstrap: String,
    seed: u64,
    kafka: Option<Kafka>,
    postgres: Option<Postgres>,
    pub(super) started: Instant,
}

impl Stage {
    /// Starts what no flag names, and points the settings at it.
    pub(super) async fn build(args: &DemoArgs, settings: &mut Settings) -> anyhow::Result<Self> {
        let started = Instant::now();
        let options = lab::Options {
            rows: args.scale,
            seed: args.seed,
            partitions: 2,
            schemas: false,
            capture_lag: Duration::from_millis(100),
            postgres: sandbox::postgres::Options { durable: true, ..Default::default() },
        };
        story::step("the parts are started");
        // Known now, rather than after everything is copied.
        drop(std::net::TcpListener::bind(args.listen).map_err(|error| {
            usage(format!(
                "can't listen on {}: {error}; choose another address with --listen (port 0 takes \
                 a free one)",
                args.listen
            ))
        })?);
        let postgres = start_postgres(&options, settings).await?;
        let legacy = start_legacy(&options, settings).await?;
        let kafka = start_kafka(legacy.as_ref(), &options, settings)?;
        use_embedded_files(settings)?;
        settings.set("api.listen", args.listen.to_string(), "demo");
        settings.set("api.cursor_key", "demo", "demo");
        settings.set("auth.key", "demo", "demo");
        settings.set("auth.cookie_secure", "no", "demo");
        let bootstrap = settings.needed("kafka.bootstrap")?;
        let connector = std::sync::OnceLock::new();
        let seed = args.seed;
        Ok(Self { connector, legacy, bootstrap, seed, kafka, postgres, started })
    }

    /// Starts the connector and a writer, where the legacy side is ours.
    pub(super) fn start_writer(
        &self,
        plan: &Plan,
        stop: CancellationToken,
    ) -> anyhow::Result<Writer> {
        let Some(legacy) = &self.legacy else { return Ok(Writer { stop, task: None }) };
        let followed = plan
            .tables
            .iter()
            .filter(|table| !matches!(table.role, TableRole::Ignored { .. }))
            .map(|table| table.table.clone())
            .chain([mapping::catalog::LegacyTable::new("dbo", "ficus_marker")]);
        let connector = lab::start_connector(legacy, &self.bootstrap, false, followed)?;
        if self.connector.set(connector).is_err() {
            return Err(anyhow::anyhow!("the connector was started twice"));
        }
        let writer = writer::Writer::new(&legacy.database, &legacy.demo, self.seed);
        let task = tokio::spawn(writer.run(WRITES_PER_SECOND, stop.clone()));
        Ok(Writer { stop, task: Some(task) })
    }

    /// Puts the wrong rows of the domains that are handed over right, as a user would.
    pub(super) fn repair(&self) -> anyhow::Result<Vec<PlantedDefect>> {
        let Some(legacy) = &self.legacy else { return Ok(Vec::new()) };
        Ok(writer::repair_contracts(&legacy.database, &legacy.demo)?)
    }

    /// Events that the connector has published.
    pub(super) fn published(&self) -> Option<u64> {
        Some(self.connector.get()?.status().events)
    }

    /// Takes everything down.
    pub(super) async fn strike(self) {
        if let Some(connector) = self.connector.into_inner() {
            connector.stop();
        }
        if let Some(legacy) = self.legacy {
            legacy.server.stop().await;
        }
        if let Some(kafka) = self.kafka {
            kafka.stop();
        }
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }
}

async fn start_postgres(
    options: &lab::Options,
    settings: &mut Settings,
) -> anyhow::Result<Option<Postgres>> {
    if settings.text("target.url").is_some() {
        story::part("Postgres", "as configured");
        return Ok(None);
    }
    let postgres = Postgres::start(&options.postgres).await?;
    postgres.create_database(DATABASE).await?;
    settings.set("target.url", postgres.url(sandbox::postgres::SUPERUSER, DATABASE), "demo");
    story::part("Postgres", postgres.source());
    Ok(Some(postgres))
}

async fn start_legacy(
    options: &lab::Options,
    settings: &mut Settings,
) -> anyhow::Result<Option<lab::Legacy>> {
    if settings.text("legacy.url").is_some() {
        story::part("legacy server", "as configured");
        return Ok(None);
    }
    let legacy = lab::Legacy::start(options).await?;
    settings.set("legacy.url", legacy.url(), "demo");
    settings.set("legacy.http", legacy.web.url(), "demo");
    story::part(
        "legacy server",
        &format!(
            "TDS on {}, {} rows in {} tables (simulated: not SQL Server)",
            legacy.server.address(),
            out::thousands(legacy.demo.row_count()),
            legacy.demo.rows.len()
        ),
    );
    Ok(Some(legacy))
}

fn start_kafka(
    legacy: Option<&lab::Legacy>,
    options: &lab::Options,
    settings: &mut Settings,
) -> anyhow::Result<Option<Kafka>> {
    if settings.text("kafka.topic_prefix").is_none() {
        settings.set("kafka.topic_prefix", lab::TOPIC_PREFIX, "demo");
    }
    if settings.text("kafka.bootstrap").is_some() {
        story::part("Kafka", "as configured");
        return Ok(None);
    }
    let legacy = legacy.ok_or_else(|| {
        usage("with --legacy the events must come from somewhere: name the brokers with --kafka")
    })?;
    let kafka = lab::start_kafka(&legacy.database, options.partitions)?;
    settings.set("kafka.bootstrap", kafka.bootstrap(), "demo");
    story::part("Kafka", &format!("in this process, on {}", kafka.bootstrap()));
    Ok(Some(kafka))
}

/// Spacehub's files are in the binary; a folder of the user's own is used where it is set.
fn use_embedded_files(settings: &mut Settings) -> anyhow::Result<()> {
    if settings.is_default("product.mappings") {
        settings.set("product.mappings", crate::parts::EMBEDDED, "demo");
    }
    if settings.is_default("product.migrations") {
        settings.set("product.migrations", crate::parts::EMBEDDED, "demo");
    }
    Ok(())
}

/// The writer, beside everything else.
pub(super) struct Writer {
    stop: CancellationToken,
    task: Option<JoinHandle<Result<writer::Counts, sandbox::legacy::Error>>>,
}

impl Writer {
    /// Stops it; what it did.
    pub(super) async fn stop(self) -> anyhow::Result<writer::Counts> {
        self.stop.cancel();
        match self.task {
            Some(task) => Ok(task.await.context("the writer's task ended early")??),
            None => Ok(writer::Counts::default()),
        }
    }
}
