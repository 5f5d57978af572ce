//! One connection.

use mapping::{
    catalog::{Catalog, LegacyTable},
    key::CanonicalKey,
    plan::{ObjectTypes, TablePlan},
    position::Lsn,
    value::LegacyValue,
};
use secrecy::SecretString;

use crate::Error;

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS or nothing. The default.
    Required,
    /// Plain text; only for loopback.
    Off,
}

/// Where the legacy server is and who we are there.
/// As a URL: `mssql://user@host:1433/Spacehub23?encrypt=required|off&trust=true`.
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

/// One connection to the legacy server.
pub struct Session {}

/// A legacy row: one value for each of [`TablePlan::columns`].
pub type LegacyRow = Vec<LegacyValue<'static>>;

/// A part of a table between two keys, in key order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyRange {
    /// Rows after this key (exclusive), as key column values; from the start when `None`.
    pub after: Option<LegacyRow>,
    /// Rows up to this key (inclusive); to the end when `None`.
    pub up_to: Option<LegacyRow>,
}

/// What CDC says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureState {
    /// `sys.fn_cdc_get_max_lsn()`; `None` when nothing has been captured or CDC is off.
    pub max_lsn: Option<Lsn>,
    /// Whether the database has CDC on.
    pub enabled: bool,
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`Error::Connect`], an error for a refused login, or one for a refused encryption level.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        let _ = settings;
        std::future::pending().await
    }

    /// The whole catalogue.
    ///
    /// # Errors
    /// Any failure of the connection or a missing permission.
    pub async fn catalog(&mut self) -> Result<Catalog, Error> {
        std::future::pending().await
    }

    /// The capture state: the low watermark is its `max_lsn`.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn capture_state(&mut self) -> Result<CaptureState, Error> {
        std::future::pending().await
    }

    /// `sys.fn_cdc_get_min_lsn(instance)`.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn min_lsn(&mut self, capture_instance: &str) -> Result<Option<Lsn>, Error> {
        let _ = capture_instance;
        std::future::pending().await
    }

    /// `XPObjectType` as a dictionary; empty when the table is not there.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn object_types(&mut self) -> Result<ObjectTypes, Error> {
        std::future::pending().await
    }

    /// Number of rows, from the catalogue's partition statistics (an estimate).
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn row_count(&mut self, table: &LegacyTable) -> Result<u64, Error> {
        let _ = table;
        std::future::pending().await
    }

    /// Keys that cut the table into ranges of about `rows` rows each, in key order: the last
    /// key of each range but the final one. Empty for a small table.
    ///
    /// # Errors
    /// Any failure of the connection, or a key type that can't be walked.
    pub async fn split(&mut self, plan: &TablePlan, rows: u64) -> Result<Vec<LegacyRow>, Error> {
        let _ = (plan, rows);
        std::future::pending().await
    }

    /// Reads a range as one ordered stream and hands over row by row. `each` returns `false` to
    /// stop early. The number of rows handed over is returned.
    ///
    /// # Errors
    /// Any failure of the connection; rows handed over before it stay handed over.
    pub async fn read_range(
        &mut self,
        plan: &TablePlan,
        range: &KeyRange,
        each: &mut (dyn FnMut(LegacyRow) -> bool + Send),
    ) -> Result<u64, Error> {
        let _ = (plan, range, each);
        std::future::pending().await
    }

    /// Reads the rows with these keys (those that are there), in no particular order.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn read_keys(
        &mut self,
        plan: &TablePlan,
        keys: &[CanonicalKey],
    ) -> Result<Vec<LegacyRow>, Error> {
        let _ = (plan, keys);
        std::future::pending().await
    }

    /// Writes a marker row into `dbo.ficus_marker` and waits until CDC has captured it; its
    /// commit LSN. Law 9: under the marker's own login.
    ///
    /// # Errors
    /// Any failure of the connection; a marker that was not captured within `patience`.
    pub async fn put_marker(
        &mut self,
        token: uuid::Uuid,
        patience: std::time::Duration,
    ) -> Result<Lsn, Error> {
        let _ = (token, patience);
        std::future::pending().await
    }
}
