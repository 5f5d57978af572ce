//! A local Postgres that lives as long as its owner: for the demo, tests and benchmarks.
//!
//! It listens on a Unix socket only. Roles and databases are made by whoever connects; the
//! superuser is `postgres`, without a password (the socket's folder is closed to others).

mod account;
mod binaries;
mod error;
mod folder;
mod server;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

pub use self::{binaries::Binaries, error::Error, server::Shutdown};

/// The superuser's name.
pub const SUPERUSER: &str = "postgres";

const READY_LIMIT: Duration = Duration::from_secs(30);
const READY_TICK: Duration = Duration::from_millis(15);

/// How to start the server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `true` for the demo and benchmarks: nothing about durability is relaxed. `false` for
    /// tests: no fsync.
    pub durable: bool,
    /// Where the downloaded programs are kept; `$FICUS_CACHE` or the user's cache folder when `None`.
    pub cache: Option<PathBuf>,
    /// Where the data folder is made; the temp folder when `None`.
    pub data_parent: Option<PathBuf>,
    /// Which programs may be used.
    pub binaries: Binaries,
    /// Further settings of the server, as `name=value`.
    pub settings: Vec<String>,
}

/// A running server. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    server: Option<server::Server>,
    sockets: PathBuf,
    source: String,
}

impl Postgres {
    /// Finds or downloads the programs, makes an empty data folder, starts the server and waits
    /// until it answers.
    ///
    /// # Errors
    /// Whatever stands in the way, with a [hint](Error::hint).
    pub async fn start(options: &Options) -> Result<Self, Error> {
        let account = account::Account::for_server()?;
        let cache = options.cache.as_deref();
        let found = binaries::find(options.binaries, cache, account.as_ref()).await?;
        let folder = folder::Folder::create(options.data_parent.as_deref(), account.as_ref())?;
        let sockets = folder.sockets().to_path_buf();
        let durable = options.durable;
        let abandoned = Abandoned::default();
        let setup = server::Setup {
            binaries: found.folder,
            account,
            folder,
            durable,
            settings: options.settings.clone(),
            abandoned: Arc::clone(&abandoned.0),
        };
        let (ended_sender, ended) = mpsc::channel();
        let server =
            tokio::task::spawn_blocking(move || server::Server::start(setup, ended_sender))
                .await
                .map_err(|_| Error::KeeperGone)??;
        let postgres = Self { server: Some(server), sockets, source: found.source };
        postgres.wait_until_ready(ended).await?;
        tracing::debug!(source = postgres.source, "Postgres is ready");
        Ok(postgres)
    }

    /// An address for sqlx, such as `postgres://user@localhost:5432/db?host=%2Ftmp%2F…`.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        format!(
            "postgres://{}@localhost:5432/{}?host={}",
            percent_encoded(user),
            percent_encoded(database),
            percent_encoded(&self.sockets.to_string_lossy())
        )
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// [`Error::CreateDatabase`], for example when the name is taken.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        self.create_database_from(name, "template1").await
    }

    /// Creates a database as a copy of another one, to which nobody may be connected.
    ///
    /// # Errors
    /// [`Error::CreateDatabase`], for example when the name is taken.
    pub async fn create_database_from(&self, name: &str, template: &str) -> Result<(), Error> {
        let failed = |source| Error::CreateDatabase { name: name.to_owned(), source };
        let mut connection = self.superuser_connection().await.map_err(failed)?;
        let statement = format!("create database {} template {}", quoted(name), quoted(template));
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    /// Stops the server, keeps it away for a while, starts it again over its data, and waits until
    /// it answers. Whoever is connected meets what a real restart brings. Needs a runtime of
    /// several threads.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn restart(&self, how: Shutdown, away: Duration) -> Result<(), Error> {
        let server = self.server.as_ref().ok_or(Error::KeeperGone)?;
        tokio::task::block_in_place(|| server.restart(how, away))?;
        let (_alive, ended) = mpsc::channel();
        self.wait_until_ready(ended).await
    }

    /// What runs: `embedded 16.15 (cached)`, `embedded 16.15 (downloaded)` or `system 15.18`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Stops the server and removes its data, without holding up the runtime.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take()
            && tokio::task::spawn_blocking(move || server.stop()).await.is_err()
        {
            tracing::error!("the thread that stopped Postgres panicked");
        }
    }

    async fn superuser_connection(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.sockets)
            .port(5432)
            .username(SUPERUSER)
            .database("postgres")
            .connect()
            .await
    }

    async fn wait_until_ready(&self, ended: mpsc::Receiver<String>) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let refusal = match self.superuser_connection().await {
                Ok(connection) => {
                    drop(connection.close().await); // it answered: that was all
                    return Ok(());
                }
                Err(refusal) => refusal,
            };
            if let Ok(words) = ended.try_recv() {
                return Err(server::start_failure(words, &self.sockets));
            }
            if started.elapsed() > READY_LIMIT {
                return Err(Error::NotReady {
                    seconds: READY_LIMIT.as_secs(),
                    source: Some(refusal),
                });
            }
            tokio::time::sleep(READY_TICK).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

/// Tells the thread that makes the data folder that nobody waits for it any more (a start that
/// was given up).
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The one server of this process, for tests: started at first use, without durability.
///
/// # Errors
/// As [`Postgres::start`].
pub async fn shared() -> Result<&'static Postgres, Error> {
    static SHARED: tokio::sync::OnceCell<Postgres> = tokio::sync::OnceCell::const_new();
    SHARED.get_or_try_init(|| async { Postgres::start(&Options::default()).await }).await
}

/// A database of the [`shared`] server that nobody else uses; it lasts as long as the server.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its server.
    pub server: &'static Postgres,
    /// Its name.
    pub name: String,
}

impl Database {
    /// An address for sqlx.
    #[must_use]
    pub fn url(&self, user: &str) -> String {
        self.server.url(user, &self.name)
    }
}

/// Creates an empty database, named after `prefix`, on the shared server.
///
/// # Errors
/// As [`Postgres::start`] and [`Postgres::create_database`].
pub async fn fresh_database(prefix: &str) -> Result<Database, Error> {
    copied_database("template1", prefix).await
}

/// Creates a copy of a database of the shared server, named after `prefix`.
///
/// # Errors
/// As [`Postgres::start`] and [`Postgres::create_database_from`].
pub async fn copied_database(template: &str, prefix: &str) -> Result<Database, Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let server = shared().await?;
    let name = format!("{prefix}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    server.create_database_from(&name, template).await?;
    Ok(Database { server, name })
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
