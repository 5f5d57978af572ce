//! One connection.
//!
//! A connection does one thing at a time. When a request is given up half-way (a time limit, a
//! dropped future, a sink that went away), the rest of the answer is still on its way and the
//! connection is of no use any more: it is closed, and the next call says [`Error::Lost`].

use std::time::Duration;

use mapping::{catalog::LegacyTable, plan::SourceColumn, position::Lsn, value::LegacyValue};
use secrecy::{ExposeSecret, SecretString};
use tiberius::{AuthMethod, Client, EncryptionLevel, QueryStream};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::{
    Error,
    statement::{Condition, Statement},
    value::{count, from_driver},
};

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS or nothing. The default.
    Required,
    /// Plain text; only for loopback.
    Off,
}

/// Where the legacy server is and who we are there.
/// As a URL: `mssql://user@host:1433/Spacehub23?encrypt=required|off&trust=true`
/// ([`std::str::FromStr`]; printed without the password).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// Port, 1433 by default.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Login.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// Encryption.
    pub encryption: Encryption,
    /// Accept any server certificate; only for loopback and labs.
    pub trust_certificate: bool,
}

/// How long to wait for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For TCP, TLS and login together.
    pub connect: Duration,
    /// For the first part of an answer. Planning the chunks of a big table numbers all its keys
    /// before the first row comes, so this is minutes, not seconds.
    pub answer: Duration,
    /// For the next batch of rows in a running stream.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(300),
            stall: Duration::from_secs(60),
        }
    }
}

/// How a session's reads see other sessions' changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Each row as it is committed when it is read. The default.
    ReadCommitted,
    /// Each statement as of its start; the database must allow it.
    Snapshot,
}

/// A legacy row: one value for each of [`mapping::plan::TablePlan::columns`].
pub type LegacyRow = Vec<LegacyValue<'static>>;

/// Where a streamed range goes: batches of up to about a thousand rows or a megabyte.
pub type RowSink = mpsc::Sender<Vec<LegacyRow>>;

/// A part of a table between two keys, in key order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyRange {
    /// Rows after this key (exclusive), as key column values; from the start when `None`.
    pub after: Option<LegacyRow>,
    /// Rows up to this key (inclusive); to the end when `None`.
    pub up_to: Option<LegacyRow>,
}

/// What is read of a range at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RangePart {
    /// The range.
    pub range: KeyRange,
    /// Only the rows that this holds for.
    pub condition: Option<Condition>,
    /// Only so many rows, the first in key order.
    pub rows_max: Option<u64>,
}

/// How big a table is, as the server's statistics say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// Rows; an estimate while others write.
    pub rows: u64,
    /// Bytes of all pages that it uses, indexes and LOBs included.
    pub bytes: u64,
}

/// What is read of a table without a mapping: any columns in any order, in the order of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableScan {
    /// The table.
    pub table: LegacyTable,
    /// The columns, the key's among them.
    pub columns: Vec<SourceColumn>,
    /// The primary key, as indexes into `columns`; a table without one is read in no order.
    pub key: Vec<usize>,
}

/// What CDC says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureState {
    /// `sys.fn_cdc_get_max_lsn()`; `None` when nothing has been captured or CDC is off.
    pub max_lsn: Option<Lsn>,
    /// Whether the database has CDC on.
    pub enabled: bool,
}

/// The driver's connection.
pub(crate) type Connection = Client<Compat<TcpStream>>;

/// TDS's largest packet. With the default of 4 KB a row of a kilobyte crosses a packet in every
/// fourth row, and each packet is one more turn of the reader.
const PACKET_BYTES: u32 = 32_767;

/// One connection to the legacy server.
pub struct Session {
    /// `None` once the connection is of no use.
    connection: Option<Connection>,
    limits: Limits,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("usable", &self.connection.is_some()).finish()
    }
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Login`], [`Error::Database`], [`Error::Encryption`], or
    /// [`Error::PlainText`].
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        Self::connect_within(settings, Limits::default()).await
    }

    /// Connects and logs in, with limits of one's own.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn connect_within(settings: &Settings, limits: Limits) -> Result<Self, Error> {
        settings.check()?;
        let handshake = Box::pin(handshake(settings));
        let connection = timeout(limits.connect, handshake).await.map_err(|_| {
            let source = format!(
                "no answer within {:?} (encrypt={})",
                limits.connect,
                settings.encryption.name()
            );
            Error::Connect { address: settings.address(), source: source.into() }
        })??;
        let mut session = Self { connection: Some(connection), limits };
        session.run(&Statement::options(), "setting the session's options").await?;
        session.run(&Statement::lock_timeout(), "setting the session's options").await?;
        Ok(session)
    }

    /// Whether the connection can still be used.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.connection.is_some()
    }

    /// Changes the limits of later calls.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Changes how later reads see other sessions' changes.
    ///
    /// # Errors
    /// [`Error::Snapshot`] may come only with the first read.
    pub async fn isolate(&mut self, isolation: Isolation) -> Result<(), Error> {
        self.run(&Statement::isolation(isolation), "setting the isolation level").await
    }

    /// Asks a question of the operator's: whether the first column of its first row is something
    /// else than 0, false, NULL or an empty text. `limit` is how long the answer may take.
    ///
    /// # Errors
    /// Any failure of the connection or of the question.
    pub async fn ask(&mut self, question: &str, limit: Duration) -> Result<bool, Error> {
        let usual = std::mem::replace(&mut self.limits.answer, limit);
        let question = Statement::operator(question);
        let answer = self.results(&question, "asking the operator's query").await;
        self.limits.answer = usual;
        let first = answer?.into_iter().next().and_then(|rows| rows.into_iter().next());
        let first = first.and_then(|row| row.into_iter().next());
        Ok(match first.map(|cell| from_driver(cell, false)) {
            None | Some(LegacyValue::Null) => false,
            Some(LegacyValue::Bool(value)) => value,
            Some(LegacyValue::Int(value)) => value != 0,
            Some(LegacyValue::Decimal(value)) => value.unscaled != 0,
            Some(LegacyValue::Float(value)) => value != 0.0,
            Some(LegacyValue::Text(text)) => !text.is_empty(),
            Some(_) => true,
        })
    }

    /// Sends a statement and drops what it answers.
    pub(crate) async fn run(&mut self, statement: &Statement, doing: &str) -> Result<(), Error> {
        self.results(statement, doing).await.map(|_| ())
    }

    /// Sends a counted statement and collects its (few) rows: all that the server gave.
    pub(crate) async fn rows(
        &mut self,
        statement: &Statement,
        doing: &str,
    ) -> Result<Vec<tiberius::Row>, Error> {
        let mut results = self.results(statement, doing).await?.into_iter();
        let rows = results.next().unwrap_or_default();
        let told = results.next().and_then(|counts| count(counts.into_iter().next()?));
        let came = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        if told != Some(came) {
            // Where it is with its answer, nobody knows.
            self.connection = None;
            return Err(Error::Incomplete { doing: doing.to_owned(), came });
        }
        Ok(rows)
    }

    /// Sends a statement and collects the rows of each of its results.
    async fn results(
        &mut self,
        statement: &Statement,
        doing: &str,
    ) -> Result<Vec<Vec<tiberius::Row>>, Error> {
        let limit = self.limits.answer;
        let mut connection = self.take(doing)?;
        let answer =
            timeout(limit, async { send(&mut connection, statement).await?.into_results().await });
        let answer = Box::pin(answer).await;
        self.settle(connection, answer, doing, limit)
    }

    /// The connection, to be given back by [`Session::put_back`]: what is not given back (a
    /// dropped future, an early return) is closed.
    pub(crate) fn take(&mut self, doing: &str) -> Result<Connection, Error> {
        self.connection.take().ok_or_else(|| Error::Lost { doing: doing.to_owned(), source: None })
    }

    pub(crate) fn put_back(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Gives the connection back when it is still in step with the server.
    pub(crate) fn settle<T>(
        &mut self,
        connection: Connection,
        answer: Result<tiberius::Result<T>, tokio::time::error::Elapsed>,
        doing: &str,
        limit: Duration,
    ) -> Result<T, Error> {
        match answer {
            Err(_) => Err(Error::Timeout { doing: doing.to_owned(), limit }),
            Ok(Ok(value)) => {
                self.put_back(connection);
                Ok(value)
            }
            Ok(Err(source)) => {
                // An error token ends the statement, not the connection; what is left of its
                // answer is skipped before the next request. Severity 20 and up closes it.
                if matches!(&source, tiberius::error::Error::Server(token) if token.class() < 20) {
                    self.put_back(connection);
                }
                Err(Error::from_driver(doing, source))
            }
        }
    }
}

/// Sends a statement: as a batch without parameters, else through `sp_executesql`.
pub(crate) async fn send<'a>(
    connection: &'a mut Connection,
    statement: &Statement,
) -> tiberius::Result<QueryStream<'a>> {
    if statement.parameters.is_empty() {
        return connection.simple_query(statement.text.as_str()).await;
    }
    let mut query = tiberius::Query::new(statement.text.as_str());
    for parameter in &statement.parameters {
        query.bind(parameter);
    }
    query.query(connection).await
}

async fn handshake(settings: &Settings) -> Result<Connection, Error> {
    let refused = |source: std::io::Error| Error::Connect {
        address: settings.address(),
        source: Box::new(source),
    };
    let stream =
        TcpStream::connect((settings.host.as_str(), settings.port)).await.map_err(refused)?;
    stream.set_nodelay(true).map_err(refused)?;
    let connect = Client::connect(driver_settings(settings), stream.compat_write());
    let connection = Box::pin(connect).await;
    connection.map_err(|source| Error::from_handshake(settings, source))
}

fn driver_settings(settings: &Settings) -> tiberius::Config {
    let mut config = tiberius::Config::new();
    config.host(&settings.host);
    config.port(settings.port);
    config.database(&settings.database);
    config.application_name("ficus");
    config
        .authentication(AuthMethod::sql_server(&settings.user, settings.password.expose_secret()));
    config.encryption(match settings.encryption {
        Encryption::Required => EncryptionLevel::Required,
        Encryption::Off => EncryptionLevel::NotSupported,
    });
    if settings.trust_certificate {
        config.trust_cert();
    }
    config.packet_size(PACKET_BYTES);
    // A lone surrogate costs its row (quarantine), not the stream.
    config.lossy_utf16_decoding(true);
    // The limits are ours, per request: the driver's is one for all.
    config.command_timeout(None);
    config.handshake_timeout(None);
    config
}
