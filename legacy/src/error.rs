//! What can go wrong on the legacy side, what follows from it, and what the user can do.
//!
//! SQL Server's error numbers are sorted into a few kinds here, so that nobody else compares
//! numbers. List: <https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors>.

use std::time::Duration;

use mapping::catalog::{LegacyTable, SqlType};

/// What the driver said.
type Driver = tiberius::error::Error;

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Transport or capacity: a new connection, after a while, may succeed.
    Retry,
    /// Trying again changes nothing.
    Stop,
}

/// A failure of the legacy side, with what the user can do about it in [`Error::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one.
    #[error("the legacy URL is wrong: {reason}")]
    Url {
        /// What is wrong with it; never the password.
        reason: String,
    },
    /// Plain text was asked for over a network.
    #[error("encryption is off, but {address} is not this machine")]
    PlainText {
        /// Host and port.
        address: String,
    },
    /// The server can't be reached or refused the connection.
    #[error("no connection to the legacy server {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No agreement on TLS.
    #[error("the legacy server {address} refused encryption level `{level}`")]
    Encryption {
        /// Host and port.
        address: String,
        /// What was asked for.
        level: &'static str,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// Wrong user or password, or the login is disabled.
    #[error("the legacy server {address} refused the login `{user}`")]
    Login {
        /// Host and port.
        address: String,
        /// The login.
        user: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// The database is not there, or the login has no user in it.
    #[error("the legacy database `{database}` can't be opened")]
    Database {
        /// Its name.
        database: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// The login may not do this.
    #[error("no permission: {doing}")]
    Permission {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// A table, column or function is not there.
    #[error("an object is missing: {doing}")]
    Missing {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// A deadlock, a lock that was not granted in time, or a snapshot conflict.
    #[error("another session was in the way: {doing}")]
    Contended {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// SNAPSHOT isolation is not allowed in the database.
    #[error("the legacy database does not allow SNAPSHOT isolation: {doing}")]
    Snapshot {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// The server is out of something, restarting or failing over.
    #[error("the legacy server can't serve now: {doing}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// Any other error of the server.
    #[error("the legacy server reported error {number}: {doing}")]
    Server {
        /// SQL Server's number.
        number: u32,
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// No answer in time.
    #[error("no answer from the legacy server within {limit:?}: {doing}")]
    Timeout {
        /// What was being done.
        doing: String,
        /// The limit.
        limit: Duration,
    },
    /// The connection was lost.
    #[error("the connection to the legacy server was lost: {doing}")]
    Lost {
        /// What was being done.
        doing: String,
        /// The cause; `None` when an earlier failure had already ended the connection.
        #[source]
        source: Option<Box<Driver>>,
    },
    /// The server's answer can't be read.
    #[error("the legacy server's answer can't be read: {doing}")]
    Protocol {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<Driver>,
    },
    /// Another number of rows came than the server says it gave, or it does not say.
    #[error("the answer did not come whole ({came} rows): {doing}")]
    Incomplete {
        /// What was being done.
        doing: String,
        /// Rows that came.
        came: u64,
    },
    /// The answer has another shape than the question.
    #[error("unexpected answer ({detail}): {doing}")]
    Answer {
        /// What was being done.
        doing: String,
        /// What is unexpected; no row values.
        detail: &'static str,
    },
    /// A table without a primary key can't be walked.
    #[error("table {table} has no primary key")]
    NoKey {
        /// The table.
        table: LegacyTable,
    },
    /// A key column's type has no order that can be walked.
    #[error("key column {column} of {table} has type {sql_type}, which can't be walked")]
    KeyType {
        /// The table.
        table: LegacyTable,
        /// The column.
        column: String,
        /// Its type.
        sql_type: SqlType,
    },
    /// A key doesn't have the table's shape.
    #[error("a key does not fit the key columns of {table}")]
    KeyShape {
        /// The table.
        table: LegacyTable,
    },
    /// CDC did not capture the marker in time.
    #[error("the marker was not captured within {patience:?}")]
    NotCaptured {
        /// How long it was waited for.
        patience: Duration,
    },
}

/// Server numbers of a refused login: wrong password or user, disabled, locked, expired.
const LOGIN: [u32; 7] = [18452, 18456, 18461, 18470, 18486, 18487, 18488];
/// The database can't be opened.
const DATABASE: [u32; 4] = [911, 916, 4060, 4064];
/// Permission denied on an object, a column, a statement, server state.
const PERMISSION: [u32; 7] = [229, 230, 262, 297, 300, 371, 15247];
/// Invalid column, object; unknown function; dropped or altered while it was read.
const MISSING: [u32; 5] = [207, 208, 195, 4121, 2812];
/// Deadlock victim, lock time-out, snapshot update and schema conflicts.
const CONTENDED: [u32; 6] = [1205, 1222, 3960, 3961, 601, 1204];
/// SNAPSHOT isolation not allowed.
const SNAPSHOT: [u32; 1] = [3952];
/// Memory, workers, availability group, restart, failover, throttling, killed session.
const UNAVAILABLE: [u32; 22] = [
    596, 701, 802, 927, 942, 976, 978, 983, 6005, 8645, 8651, 10928, 10929, 10936, 17142, 17197,
    40197, 40501, 40613, 49918, 49919, 49920,
];

impl Error {
    /// Sorts a driver's error by what it means. `doing` names table and purpose, never values.
    pub(crate) fn from_driver(doing: impl Into<String>, source: Driver) -> Self {
        let doing = doing.into();
        let source = Box::new(source);
        match &*source {
            Driver::Server(token) => Self::from_number(doing, token.code(), source),
            Driver::Io { .. } => Self::Lost { doing, source: Some(source) },
            Driver::Routing { .. } | Driver::Tls(_) => Self::Unavailable { doing, source },
            Driver::Protocol(_)
            | Driver::Encoding(_)
            | Driver::Conversion(_)
            | Driver::Utf8
            | Driver::Utf16
            | Driver::ParseInt(_)
            | Driver::BulkInput(_) => Self::Protocol { doing, source },
        }
    }

    fn from_number(doing: String, number: u32, source: Box<Driver>) -> Self {
        match number {
            n if PERMISSION.contains(&n) => Self::Permission { doing, source },
            n if MISSING.contains(&n) => Self::Missing { doing, source },
            n if CONTENDED.contains(&n) => Self::Contended { doing, source },
            n if SNAPSHOT.contains(&n) => Self::Snapshot { doing, source },
            n if UNAVAILABLE.contains(&n) => Self::Unavailable { doing, source },
            number => Self::Server { number, doing, source },
        }
    }

    /// Sorts an error of the handshake.
    pub(crate) fn from_handshake(settings: &crate::Settings, source: Driver) -> Self {
        let address = settings.address();
        let user = settings.user.clone();
        let level = settings.encryption.name();
        let source = Box::new(source);
        match &*source {
            Driver::Server(token) if LOGIN.contains(&token.code()) => {
                Self::Login { address, user, source }
            }
            Driver::Server(token) if DATABASE.contains(&token.code()) => {
                Self::Database { database: settings.database.clone(), source }
            }
            Driver::Tls(_) => Self::Encryption { address, level, source },
            // The driver says so in words only; observed in 0.13.
            Driver::Protocol(text) if text.contains("encryption level") => {
                Self::Encryption { address, level, source }
            }
            Driver::Io { .. } => Self::Connect { address, source },
            _ => Self::from_driver("logging in", *source),
        }
    }

    /// What follows from it. Only transport and capacity are worth another attempt.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Connect { .. }
            | Self::Contended { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::Incomplete { .. } => Disposition::Retry,
            Self::Url { .. }
            | Self::PlainText { .. }
            | Self::Encryption { .. }
            | Self::Login { .. }
            | Self::Database { .. }
            | Self::Permission { .. }
            | Self::Missing { .. }
            | Self::Snapshot { .. }
            | Self::Server { .. }
            | Self::Protocol { .. }
            | Self::Answer { .. }
            | Self::NoKey { .. }
            | Self::KeyType { .. }
            | Self::KeyShape { .. }
            | Self::NotCaptured { .. } => Disposition::Stop,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Url { .. } => {
                "write it as mssql://user@host:1433/database?encrypt=required|off&trust=true, with % codes for special characters"
            }
            Self::PlainText { .. } => {
                "use encrypt=required (with trust=true for a self-signed certificate); plain text is for loopback only"
            }
            Self::Connect { .. } => {
                "check host, port and firewall, and that SQL Server accepts TCP connections"
            }
            Self::Encryption { .. } => {
                "install a certificate on the server, add trust=true for a self-signed one, or encrypt=off on loopback"
            }
            Self::Login { .. } => {
                "check user and password (legacy.password), and that SQL logins are enabled on the server"
            }
            Self::Database { .. } => {
                "check the database's name, and that the login has a user in it"
            }
            Self::Permission { .. } => {
                "grant SELECT on the mapped tables and on schema cdc, and VIEW DATABASE STATE, to the login"
            }
            Self::Missing { .. } => {
                "the legacy schema differs from the mapping: read the catalogue again and run `ficus mapping check`"
            }
            Self::Contended { .. } => {
                "it is tried again; if it stays so, read at a quieter time or under SNAPSHOT"
            }
            Self::Snapshot { .. } => {
                "ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON, or read under READ COMMITTED"
            }
            Self::Unavailable { .. } => {
                "it is tried again; if it stays so, look at the server's error log"
            }
            Self::Server { .. } => "look the number up in SQL Server's list of errors",
            Self::Timeout { .. } => {
                "it is tried again; if it stays so, use smaller chunks or fewer readers"
            }
            Self::Lost { .. } => "it is tried again with a new connection",
            Self::Incomplete { .. } => {
                "it is tried again with a new connection; if it stays so, something between changes the bytes"
            }
            Self::Protocol { .. } | Self::Answer { .. } => {
                "the server is not one that this engine knows (SQL Server 2016 or newer), or something between changes the bytes"
            }
            Self::NoKey { .. } => "give the table a primary key, or leave it out in ignored.toml",
            Self::KeyType { .. } => "name another unique key in the mapping (`key = […]`)",
            Self::KeyShape { .. } => {
                "the primary key has changed since: start the table again with --restart"
            }
            Self::NotCaptured { .. } => {
                "check that CDC captures dbo.ficus_marker, and that the capture job (SQL Server Agent) runs"
            }
        }
    }
}

#[cfg(test)]
mod tests;
