//! Where it happens: one durable Postgres, a database for each measured run, a legacy server.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, ensure};
use futures_util::TryStreamExt;
use legacy::{KeyRange, Session};
use mapping::plan::{Plan, TablePlan};
use sandbox::{
    legacy::{Database, Values},
    postgres::{Binaries, Options, Postgres, SUPERUSER},
    tds,
};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use target::{ProductMigration, Role, Target};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    args::Args,
    cost::{Cost, Meter, Servers, Stat},
    figure::{median, per_second},
};

const TEMPLATE: &str = "bench_template";
const LOGIN: &str = "bench";
const PASSWORD: &str = "sandbox-only";

/// What all benchmarks share.
pub(crate) struct Place {
    postgres: Postgres,
    /// For their CPU time.
    pub(crate) servers: Servers,
    /// Spacehub's mapping.
    pub(crate) plan: Arc<Plan>,
    databases: AtomicU32,
    /// The simulated server has threads of its own, so that its CPU time can be told apart.
    legacy_threads: Handle,
    tls: bool,
}

/// A migrated database without rows.
pub(crate) struct Spot {
    name: String,
    /// Under the engine's role, as in production.
    pub(crate) target: Arc<Target>,
    /// A superuser's, to look and to measure limits with.
    pub(crate) admin: PgPool,
}

impl Place {
    pub(crate) async fn start(legacy_threads: Handle, args: &Args) -> anyhow::Result<Self> {
        let binaries = if args.system_postgres { Binaries::System } else { Binaries::Any };
        let options = Options { durable: true, binaries, ..Options::default() };
        let postgres = Postgres::start(&options).await?;
        postgres.create_database(TEMPLATE).await?;
        let product: Vec<ProductMigration> = spacehub::migrations()
            .iter()
            .map(|one| ProductMigration {
                version: one.version,
                name: one.name.to_owned(),
                sql: one.sql.to_owned(),
            })
            .collect();
        let url = postgres.url(SUPERUSER, TEMPLATE);
        target::migrate(&SecretString::from(url.clone()), &product).await?;
        let mut connection = PgConnection::connect(&url).await?;
        let backend: i32 =
            sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await?;
        let postmaster = Stat::of(u32::try_from(backend)?).map(|stat| stat.parent);
        if args.bypass_rls {
            sqlx::query("alter role ficus_engine bypassrls").execute(&mut connection).await?;
        }
        connection.close().await?;
        let plan = crate::plan()?;
        let databases = AtomicU32::new(0);
        Ok(Self {
            postgres,
            servers: Servers { postmaster, broker: broker(args), http: None },
            plan: Arc::new(plan),
            databases,
            legacy_threads,
            tls: args.tls,
        })
    }

    /// The server's own words for what it is.
    pub(crate) fn source(&self) -> &str {
        self.postgres.source()
    }

    /// A database that nobody has written to.
    pub(crate) async fn spot(&self) -> anyhow::Result<Spot> {
        let name = format!("bench_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.postgres.create_database_from(&name, TEMPLATE).await?;
        let url = self.postgres.url(SUPERUSER, &name);
        let target = engine(url.clone(), &self.plan).await?;
        let admin = PgPool::connect(&url).await?;
        sqlx::query("checkpoint").execute(&admin).await?;
        Ok(Spot { name, target, admin })
    }

    /// Gives a database's room on the disk back.
    pub(crate) async fn leave(&self, spot: Spot) -> anyhow::Result<()> {
        spot.admin.close().await;
        spot.target.pool().close().await;
        let mut connection =
            PgConnection::connect(&self.postgres.url(SUPERUSER, "postgres")).await?;
        let sql = format!("drop database {} with (force)", spot.name);
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    pub(crate) async fn stop(self) {
        self.postgres.stop().await;
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::start(self.servers)
    }

    /// Where a spot is, for a superuser.
    pub(crate) fn url(&self, spot: &Spot) -> String {
        self.postgres.url(SUPERUSER, &spot.name)
    }

    /// A legacy table of the plan.
    pub(crate) fn table(&self, name: &str) -> anyhow::Result<&TablePlan> {
        self.plan.table("dbo", name).with_context(|| format!("the mapping does not name {name}"))
    }
}

/// Under the engine's role, as in production.
pub(crate) async fn engine(url: String, plan: &Arc<Plan>) -> anyhow::Result<Arc<Target>> {
    let settings = target::Settings {
        url: SecretString::from(url),
        role: Role::Engine,
        set_role: true,
        max_connections: 12,
    };
    let pool = target::connect(&settings).await?;
    Ok(Arc::new(Target::open(pool, Arc::clone(plan)).await?))
}

/// How one logs in at a [`LegacySide`].
pub(crate) fn login(address: SocketAddr, tls: bool) -> legacy::Settings {
    legacy::Settings {
        host: address.ip().to_string(),
        port: address.port(),
        database: spacehub::DATABASE.to_owned(),
        user: LOGIN.to_owned(),
        password: SecretString::from(PASSWORD.to_owned()),
        encryption: if tls { legacy::Encryption::Required } else { legacy::Encryption::Off },
        trust_certificate: true,
    }
}

/// The process of a real broker that `deploy/kafka/broker` has started.
fn broker(args: &Args) -> Option<u32> {
    args.kafka.as_ref()?;
    let home = std::env::var_os("FICUS_KAFKA_HOME")?;
    std::fs::read_to_string(Path::new(&home).join("pid")).ok()?.trim().parse().ok()
}

/// A legacy server with rows in one table.
pub(crate) struct LegacySide {
    pub(crate) database: Database,
    pub(crate) settings: legacy::Settings,
    server: tds::Server,
}

impl LegacySide {
    /// Starts one on its own threads.
    pub(crate) async fn start(
        place: &Place,
        table: &'static str,
        rows: impl Iterator<Item = Values>,
    ) -> anyhow::Result<Self> {
        let database = spacehub::demo::empty_database()?;
        database.load(table, rows)?;
        let tls = if place.tls { tds::Tls::Required } else { tds::Tls::Off };
        let options =
            tds::Options { login: LOGIN.to_owned(), password: PASSWORD.to_owned(), tls, port: 0 };
        let serving = tds::Server::start(database.clone(), options);
        let server = place.legacy_threads.spawn(serving).await??;
        let settings = login(server.address(), place.tls);
        let side = Self { database, settings, server };
        side.commit_something()?;
        Ok(side)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Moves the log on, so that rows read from now on are newer than those read before.
    pub(crate) fn commit_something(&self) -> anyhow::Result<()> {
        let token = mapping::value::LegacyValue::Guid(uuid::Uuid::now_v7());
        let at = mapping::value::LegacyValue::Timestamp(0);
        self.database.transaction(|transaction| {
            transaction.insert("dbo.ficus_marker", vec![token.clone(), at.clone()])
        })?;
        Ok(())
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// Reads a table with so many connections and drops the rows: what no reader can beat.
    pub(crate) async fn scan(
        &self,
        place: &Place,
        table: &str,
        readers: u64,
    ) -> anyhow::Result<(f64, Cost)> {
        let plan = place.table(table)?;
        let mut session = Session::connect(&self.settings).await?;
        let rows = session.row_count(&plan.table).await?;
        let mut ranges = Vec::new();
        let mut after = None;
        if readers > 1 {
            for cut in session.split(plan, rows.div_ceil(readers)).await? {
                ranges.push(KeyRange { after, up_to: Some(cut.clone()) });
                after = Some(cut);
            }
        }
        ranges.push(KeyRange { after, up_to: None });
        let meter = place.meter();
        let mut tasks = JoinSet::new();
        for range in ranges {
            let (settings, plan) = (self.settings.clone(), plan.clone());
            tasks.spawn(async move {
                let mut session = Session::connect(&settings).await?;
                anyhow::Ok(session.read_range(&plan, &range, &mut |_| true).await?)
            });
        }
        let mut read = 0;
        while let Some(done) = tasks.join_next().await {
            read += done??;
        }
        ensure!(read == rows, "{read} of {rows} rows were read");
        Ok(meter.stop(read))
    }
}

/// The rows of a table in the form that Postgres reads fastest.
pub(crate) struct Image {
    table: String,
    rows: u64,
    bytes: Vec<u8>,
}

impl Spot {
    /// All rows of a table by `COPY TO … BINARY`, dropped: what no reader can beat.
    pub(crate) async fn scan(&self, place: &Place, table: &str) -> anyhow::Result<(f64, Cost)> {
        let rows = self.count(table).await?;
        let mut connection = self.admin.acquire().await?;
        let meter = place.meter();
        let sql = format!("copy {table} to stdout (format binary)");
        let mut stream = connection.copy_out_raw(&sql).await?;
        while stream.try_next().await?.is_some() {}
        Ok(meter.stop(rows))
    }

    /// A table's rows as one `COPY BINARY`.
    pub(crate) async fn image(&self, table: &str) -> anyhow::Result<Image> {
        let rows = self.count(table).await?;
        let mut connection = self.admin.acquire().await?;
        let mut bytes = Vec::new();
        let sql = format!("copy {table} to stdout (format binary)");
        let mut stream = connection.copy_out_raw(&sql).await?;
        while let Some(chunk) = stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Image { table: table.to_owned(), rows, bytes })
    }

    /// What no writer can beat: rows per second of `COPY FROM … BINARY` of the table's rows into a
    /// new table with the same columns, checks and indexes.
    pub(crate) async fn copy_limit(&self, table: &str, runs: usize) -> anyhow::Result<f64> {
        let image = self.image(table).await?;
        let mut rates = Vec::with_capacity(runs);
        for _ in 0..runs {
            rates.push(self.copy(&image, async { Ok(()) }).await?);
        }
        Ok(median(&rates))
    }

    /// That once, until `beside` is done too.
    pub(crate) async fn copy(
        &self,
        image: &Image,
        beside: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<f64> {
        let Image { table, rows, bytes } = image;
        let sql = format!(
            "drop table if exists limit_of; create table limit_of (like {table} including all); checkpoint"
        );
        let mut connection = self.admin.acquire().await?;
        for statement in sql.split("; ") {
            sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut *connection).await?;
        }
        let began = Instant::now();
        let copying = async {
            let mut copy =
                connection.copy_in_raw("copy limit_of from stdin (format binary)").await?;
            for chunk in bytes.chunks(1 << 20) {
                copy.send(chunk).await?;
            }
            anyhow::Ok(copy.finish().await?)
        };
        let (copied, ()) = tokio::try_join!(copying, beside)?;
        let rate = per_second(*rows, began.elapsed());
        ensure!(copied == *rows, "{copied} of {rows} rows were copied");
        sqlx::query("drop table limit_of").execute(&mut *connection).await?;
        Ok(rate)
    }

    pub(crate) async fn count(&self, table: &str) -> anyhow::Result<u64> {
        let sql = format!("select count(*) from {table}");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.admin).await?;
        Ok(u64::try_from(rows)?)
    }
}
