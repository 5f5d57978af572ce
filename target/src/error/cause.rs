//! What Postgres or the driver said, and the policy for each class of it.

use std::{fmt, io};

use sqlx::postgres::PgDatabaseError;

use super::Disposition;

/// What Postgres or the driver said, without row values: Postgres puts them into DETAIL
/// (`Key (email)=(…)`), and the driver's own `Debug` prints them.
pub struct Cause {
    /// The SQLSTATE, where Postgres answered.
    pub sqlstate: Option<String>,
    /// The constraint or column that Postgres named.
    pub object: Option<String>,
    message: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Database,
    Connection,
    /// The certificate is not one that we trust (expired, another host's, another authority's), or
    /// the encrypted stream is broken.
    Encryption,
    Pool,
    Configuration,
    Driver,
}

impl Cause {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match (self.sqlstate.as_deref(), self.kind) {
            (Some(code), _) => of_sqlstate(code),
            (None, Kind::Connection | Kind::Pool) => Disposition::Retry,
            (None, Kind::Encryption) => Disposition::RetrySlowly,
            (None, Kind::Configuration | Kind::Driver | Kind::Database) => Disposition::Stop,
        }
    }

    pub(crate) fn lost_connection(&self) -> bool {
        match self.sqlstate.as_deref() {
            Some(code) => code.starts_with("08") || code.starts_with("57P"),
            None => matches!(self.kind, Kind::Connection | Kind::Encryption),
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match (self.sqlstate.as_deref(), self.kind) {
            (Some(code), _) => hint(code),
            (None, Kind::Connection) => "check the target's address and that the server is up",
            (None, Kind::Encryption) => {
                "check the server's certificate (its date, its host name) and the `sslrootcert` of \
                 the target's URL"
            }
            (None, Kind::Pool) => "raise the number of connections, or look for long statements",
            (None, Kind::Configuration) => "correct the target's URL",
            (None, Kind::Driver | Kind::Database) => "see the log",
        }
    }
}

/// The policy. SQLSTATEs by class; where one of a class differs from the others, it comes first.
///
/// 23503 and 23505 are with the rows' data and not with their order: a followed table has no
/// foreign key and no unique index (law 7), so no parent is late and no value swaps there.
fn of_sqlstate(code: &str) -> Disposition {
    match code {
        // Two that wait for each other, a lock that was waited for in vain, time limits.
        "40P01" | "55P03" | "57014" | "25P04" => Disposition::RetrySmaller,
        // An idle transaction was ended (its process stood still).
        "25P03" => Disposition::Retry,
        // Read-only: a standby, or a server in recovery, after a failover.
        "25006" => Disposition::Retry,
        // The statement, or what its plan was made for, is not there any more.
        "26000" | "0A000" => Disposition::Retry,
        // Something is used that others are at work on.
        "55006" => Disposition::Retry,
        // No disk, no memory, no room in a configured limit.
        "53100" | "53200" | "53400" => Disposition::RetrySlowly,
        // The database or the schema is dropped, or not there yet.
        "57P04" | "3D000" | "3F000" => Disposition::RetrySlowly,
        // Right, table, column, function, type or primary key missing: a migration or a grant is
        // under way or forgotten.
        "42501" | "42P01" | "42703" | "42704" | "42883" | "42P10" => Disposition::RetrySlowly,
        // A row, an index entry or an archived value that Postgres has no room for.
        "54000" => Disposition::Quarantine,
        // A trigger refuses the row by a code of its own.
        _ if is_of_a_function(code) => Disposition::Quarantine,
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "40" | "53" | "57" | "72" => Disposition::Retry,
            "58" | "28" => Disposition::RetrySlowly,
            "22" | "23" => Disposition::Quarantine,
            // A statement that Postgres does not understand, what it has no room for by design,
            // its own defects and ours.
            _ => Disposition::Stop,
        },
    }
}

/// Whether a function (of a trigger, as a rule) made it up: `raise` and `assert` in PL/pgSQL,
/// exceptions in other languages, and codes of the classes that are nobody's.
pub(crate) fn is_of_a_function(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    let postgres = ["53", "54", "55", "57", "58", "72", "XX"];
    let free = class.starts_with(|first: char| matches!(first, '5'..='9' | 'I'..='Z'));
    class == "38" || (free && !postgres.contains(&class))
}

fn hint(code: &str) -> &'static str {
    match code {
        "53100" => "free disk space on the Postgres server; the engine goes on by itself",
        "53200" => "the Postgres server has no memory left; the engine goes on by itself",
        "53300" => "raise max_connections, or lower the engine's connections",
        "53400" => "raise the limit that Postgres names; the engine goes on by itself",
        "42501" => "run `ficus migrate`, or grant the missing right to the engine's role",
        "42P01" | "42703" | "42704" | "42883" | "3F000" => "run `ficus migrate`",
        "42P10" => "give the table its primary key back: run `ficus migrate`",
        "40P01" | "55P03" => "something holds a lock on the table; see pg_locks",
        "57014" | "25P04" => {
            "the statement took too long, or somebody cancelled it; see pg_stat_activity"
        }
        "28P01" | "28000" => "check the user name and password of the target's URL",
        "3D000" | "57P04" => "create the database, or correct the target's URL",
        _ if is_of_a_function(code) => "see `ficus quarantine list`",
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "57" => "check that the Postgres server is up; the engine tries again",
            "40" => "nothing to do: the engine tries again",
            "22" | "23" | "54" => "see `ficus quarantine list`",
            _ => "see the Postgres server's log",
        },
    }
}

impl From<sqlx::Error> for Cause {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::Database(_) => Kind::Database,
            // A handshake that fails for its certificate comes as an input that can't be.
            sqlx::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                Kind::Encryption
            }
            sqlx::Error::Tls(_) => Kind::Encryption,
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                Kind::Connection
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Kind::Pool,
            sqlx::Error::Configuration(_) => Kind::Configuration,
            _ => Kind::Driver,
        };
        let sqlx::Error::Database(database) = &error else {
            return Self { sqlstate: None, object: None, message: error.to_string(), kind };
        };
        let postgres = database.try_downcast_ref::<PgDatabaseError>();
        let object = postgres
            .and_then(|error| error.constraint().or_else(|| error.column()).map(str::to_owned));
        let sqlstate = database.code().map(std::borrow::Cow::into_owned);
        let code = sqlstate.as_deref().unwrap_or_default();
        let is_raised = postgres.is_some_and(is_raised_by_a_stranger);
        let message = if is_raised || is_of_a_function(code) {
            "a function of the target's refuses it".to_owned()
        } else if code.starts_with("22") {
            // Their messages quote the value.
            "the value does not fit the type".to_owned()
        } else {
            database.message().to_owned()
        };
        Self { sqlstate, object, message, kind }
    }
}

/// PL/pgSQL's `raise` may take any code, and its text may quote a row, unless it is our own.
fn is_raised_by_a_stranger(error: &PgDatabaseError) -> bool {
    let is_ours = error.r#where().is_some_and(|place| place.contains("function ficus."));
    error.routine() == Some("exec_stmt_raise") && !is_ours
}

impl From<sqlx::migrate::MigrateError> for Cause {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(source) => source.into(),
            MigrateError::ExecuteMigration(source, version) => {
                let mut cause = Cause::from(source);
                cause.message = format!("migration {version}: {}", cause.message);
                cause
            }
            other => Self {
                sqlstate: None,
                object: None,
                message: other.to_string(),
                kind: Kind::Driver,
            },
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(code) = &self.sqlstate {
            write!(f, " (SQLSTATE {code})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Cause {}

#[cfg(test)]
mod tests;
