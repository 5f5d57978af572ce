//! Connections: one role for each purpose, and time limits on everything.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::Error;

/// Who we are in Postgres. The roles are made by the engine's first migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `ficus_owner`: owns the tables; migrations and the seal.
    Owner,
    /// `ficus_engine`: the one way in.
    Engine,
    /// `ficus_api`: row-level security applies.
    Api,
    /// `ficus_reader`: reads, for reconcile and reports.
    Reader,
    /// `ficus_work`: drains the outbox.
    Work,
}

impl Role {
    /// The role's name in Postgres.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "ficus_owner",
            Self::Engine => "ficus_engine",
            Self::Api => "ficus_api",
            Self::Reader => "ficus_reader",
            Self::Work => "ficus_work",
        }
    }

    /// No statement but those of apply, migrations and scans runs longer than this.
    const fn statement_timeout(self) -> Duration {
        match self {
            Self::Owner | Self::Reader => Duration::ZERO,
            Self::Engine | Self::Work => Duration::from_secs(60),
            Self::Api => Duration::from_secs(10),
        }
    }

    /// A process that was stopped in the middle of a transaction holds its locks for so long. The
    /// others of its consumer group wait for it; the engine's own pauses are of milliseconds.
    const fn idle_timeout(self) -> Duration {
        match self {
            Self::Owner | Self::Reader | Self::Api => Duration::from_secs(60),
            Self::Engine | Self::Work => Duration::from_secs(20),
        }
    }
}

/// Where Postgres is and who we are there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `postgres://user:password@host/database?sslmode=verify-full`. Never printed.
    pub url: SecretString,
    /// Whose rights the connections have.
    pub role: Role,
    /// `true` when the URL's login is not the role itself but a member of it: `SET ROLE` after
    /// connecting.
    pub set_role: bool,
    /// The pool's limit.
    pub max_connections: u32,
}

/// Opens a pool and its first connection.
///
/// # Errors
/// [`Error::Settings`] for a URL that can't be parsed, [`Error::Postgres`] when the server can't
/// be reached or refuses.
pub async fn connect(settings: &Settings) -> Result<PgPool, Error> {
    let options = options(settings)?;
    let connecting = Error::postgres(format!("connecting to the target at {}", place(&options)));
    // A pool tries for half a minute to reach a server that refuses, and then only says that time
    // is up; one connection says at once what is wrong.
    let opened = async {
        let mut first = PgConnection::connect_with(&options).await?;
        begin(&mut first, settings).await?;
        first.close().await?;
        let pool = pool_options(settings).connect_lazy_with(options);
        drop(pool.acquire().await?);
        Ok(pool)
    };
    opened.await.map_err(connecting)
}

/// A pool that connects when it is first used.
///
/// # Errors
/// [`Error::Settings`] for a URL that can't be parsed.
pub fn connect_lazy(settings: &Settings) -> Result<PgPool, Error> {
    Ok(pool_options(settings).connect_lazy_with(options(settings)?))
}

/// What each session of the pool begins with, and before it whether the role is there: of a database
/// that was never migrated, `set role` says no more than that a value is wrong.
async fn begin(connection: &mut PgConnection, settings: &Settings) -> Result<(), sqlx::Error> {
    if settings.set_role {
        let role = format!("select '{}'::regrole", settings.role.name());
        sqlx::raw_sql(AssertSqlSafe(role)).execute(&mut *connection).await?;
    }
    let session = session_sql(settings.role, settings.set_role);
    sqlx::raw_sql(AssertSqlSafe(session)).execute(connection).await.map(drop)
}

fn options(settings: &Settings) -> Result<PgConnectOptions, Error> {
    // The driver's own message may quote the URL.
    let options =
        PgConnectOptions::from_str(settings.url.expose_secret()).map_err(|_| Error::Settings {
            setting: "target.url",
            why: "it must look like postgres://user:password@host:5432/database".to_owned(),
        })?;
    // The driver would write slow statements into the log, whole: a batch's are long, and who is slow
    // on a busy server is Postgres's to tell (`log_min_duration_statement`).
    let options = options.disable_statement_logging();
    Ok(options.application_name(&application_name(settings.role)).statement_cache_capacity(512))
}

/// What a role's sessions are called in `pg_stat_activity`.
pub(crate) fn application_name(role: Role) -> String {
    format!("ficus {}", role.name())
}

fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(path) => format!("{}/{database}", path.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

fn pool_options(settings: &Settings) -> PgPoolOptions {
    let role = settings.role;
    let session = session_sql(role, settings.set_role);
    PgPoolOptions::new()
        .max_connections(settings.max_connections.max(1))
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(Duration::from_secs(600))
        .after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(session)).execute(connection).await?;
                Ok(())
            })
        })
}

/// One round trip for each new connection. `idle_in_transaction_session_timeout` also frees the
/// locks of a process that was stopped in the middle of a transaction. The isolation is not left to
/// the database's default: what a transaction asks after it got its locks must see what was
/// committed before it got them. Nothing is compiled (`jit`): statements are short, or one scan of a
/// table whose columns are copied out, and compiling took hundreds of times as long as a list.
fn session_sql(role: Role, set_role: bool) -> String {
    let mut sql = format!(
        "set default_transaction_isolation = 'read committed'; \
         set statement_timeout = {}; set lock_timeout = '10s'; \
         set idle_in_transaction_session_timeout = {}; set timezone = 'UTC'; set jit = off",
        role.statement_timeout().as_millis(),
        role.idle_timeout().as_millis()
    );
    if role == Role::Api {
        // Its statements are few, and each finds its rows by one index, whatever the values are:
        // planning them again for each request cost three times what a list of 50 rows does.
        sql.push_str("; set plan_cache_mode = force_generic_plan");
    }
    if set_role {
        sql.push_str("; set role ");
        sql.push_str(role.name());
    }
    sql
}
