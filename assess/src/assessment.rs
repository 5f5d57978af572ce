//! What an assessment says: plain data, printed as text, JSON or HTML.

use mapping::catalog::{Catalog, LegacyTable};
use serde::{Deserialize, Serialize};

use crate::kind::TableKind;

/// Key examples that a hazard names at most.
pub const EXAMPLES_MAX: usize = 5;

/// A whole legacy database, assessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// When the reading began, RFC 3339 in UTC.
    pub taken_at: String,
    /// The catalogue that it was read by.
    pub catalog: Catalog,
    /// Whether CDC is on, and how far it has captured (an LSN as text).
    pub cdc: CdcState,
    /// In the catalogue's order.
    pub tables: Vec<TableAssessment>,
    /// How the data was read.
    #[serde(default)]
    pub reading: Reading,
}

/// How the data was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// The zone of the wall times, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Rows of each table at most, where not all were read; references between tables and
    /// duplicate keys are not known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
    /// Why the reading ended before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// CDC as the database tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdcState {
    /// Whether it is on for the database.
    pub enabled: bool,
    /// The max LSN, where one is known.
    pub max_lsn: Option<String>,
}

/// One table, assessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableAssessment {
    /// The table.
    pub table: LegacyTable,
    /// What XPO made it for.
    pub kind: TableKind,
    /// The domain that it seems to belong to; none for tables that are not migrated.
    pub domain: Option<String>,
    /// Rows that were read; the server's own count where none were.
    pub rows: u64,
    /// Whether every row was read: hazards in the data are known only then.
    pub read_whole: bool,
    /// Rows by the server's statistics, where the login may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_estimate: Option<u64>,
    /// Bytes that the table takes on the legacy server, where the login may ask.
    pub bytes: Option<u64>,
    /// In table order.
    pub columns: Vec<ColumnFacts>,
    /// Worst first.
    pub hazards: Vec<Hazard>,
}

/// What the data says of a column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// The column.
    pub name: String,
    /// Rows in which it is NULL.
    pub nulls: u64,
    /// Values and their counts of a column that looks like an enum, in the values' order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(i64, u64)>,
    /// Whether every value of a date-and-time column is a midnight: a day, not an instant.
    #[serde(default)]
    pub only_midnights: bool,
    /// The most digits after the point that a number needed; a money column that never needed
    /// more than its currency has is exact as minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction_digits_max: Option<u8>,
    /// The longest text, in UTF-16 units, or the largest binary, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_max: Option<u64>,
}

/// How much a hazard matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Rows would be lost, refused or wrong unless the mapping says what to do.
    Blocking,
    /// The mapping has to decide something.
    Decide,
    /// Good to know.
    Note,
}

/// Something in the schema or the data that a mapping has to say a word about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hazard {
    /// A stable code, such as `text.nul`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// The columns concerned; none when it is the table.
    pub columns: Vec<String>,
    /// What was found, one sentence; never a row's values.
    pub message: String,
    /// Rows concerned; `None` for a hazard of the schema.
    pub count: Option<u64>,
    /// Up to [`EXAMPLES_MAX`] keys, parts with `/` between them; masked where the key itself is
    /// somebody's secret.
    pub examples: Vec<String>,
    /// What to write in the mapping file about it.
    pub advice: String,
}
