//! What a run says: for people (text), for machines (JSON), for the record (hash chain).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{decide::DifferenceKind, first::Resumed};

mod chain;
mod csv;
mod html;
mod text;
mod tier;

pub use chain::{Broken, Link, ReportHash, canonical, chain, verify};
pub use html::{Around, TrendPoint};
pub use tier::Tier;

/// What was found out about an entity, a domain, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every row of the two sides agrees.
    Equal,
    /// Nothing is known to differ, but some rows moved faster than they could be read.
    InFlight,
    /// Rows differ.
    Different,
}

impl Verdict {
    /// The worst of several; `Equal` for none.
    #[must_use]
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Equal)
    }
}

/// Exit codes of `ficus reconcile`. A format: scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Both sides agree.
    Equal = 0,
    /// They do not.
    Different = 1,
    /// It could not be decided in time.
    Undecided = 2,
    /// There is no verdict.
    Error = 3,
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Equal => Self::Equal,
            Verdict::Different => Self::Different,
            Verdict::InFlight => Self::Undecided,
        }
    }
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Equal => 0,
            Self::Different => 1,
            Self::Undecided => 2,
            Self::Error => 3,
        }
    }
}

/// What the verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// The stream passed a marker that was written after the legacy rows had been read.
    Marker,
    /// The stream did not pass the marker in time: rows that agree agree, the others are
    /// undecided.
    MarkerNotPassed,
    /// No marker could be used, so a difference is one that was read twice without change.
    /// Weaker: a row on its way for longer than the pause is called different.
    ConfirmedTwice {
        /// Why there was no marker.
        reason: String,
    },
}

/// A number with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How many.
    pub rows: u64,
}

/// Every legacy row of an entity, accounted for:
/// `read + moved = equal + changed + missing + in_flight + quarantined + ignored`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Legacy rows read in the scan.
    pub read: u64,
    /// Rows that came (positive) or went (negative) between the scan and the last reading of
    /// the rows that were read again.
    pub moved: i64,
    /// Agree with the target.
    pub equal: u64,
    /// Differ from the target's row in a compared column.
    pub changed: u64,
    /// Have no row in the target.
    pub missing: u64,
    /// Undecided.
    pub in_flight: u64,
    /// Held in quarantine (or parked behind it), which explains why they differ.
    pub quarantined: u64,
    /// Left out by a named rule.
    pub ignored: u64,
}

impl RowCounts {
    /// Whether the account is balanced.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.read.checked_add_signed(self.moved) == Some(self.classes())
    }

    /// All rows that have a class.
    #[must_use]
    pub fn classes(&self) -> u64 {
        let Self { equal, changed, missing, in_flight, quarantined, ignored, .. } = self;
        equal + changed + missing + in_flight + quarantined + ignored
    }
}

/// A column's two values, as the mapping shows them; `***` where sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuePair {
    /// The target column.
    pub column: String,
    /// From the legacy row, mapped; `None` is NULL.
    pub legacy: Option<String>,
    /// In the target; `None` is NULL.
    pub target: Option<String>,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// How.
    pub kind: DifferenceKind,
    /// The legacy table of the part, for entities made of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The legacy key as text, where the row has one.
    pub key: Option<String>,
    /// The target's id, where the key has one.
    pub id: Option<String>,
    /// The target row's position.
    pub position: Option<String>,
    /// The captured LSN that the decision was made at.
    pub low: Option<String>,
    /// The columns that differ.
    pub columns: Vec<ValuePair>,
    /// Whether somebody has changed the row in the target.
    #[serde(default)]
    pub tampered: bool,
    /// What it can mean.
    pub hint: String,
}

/// A column, or something else of the legacy database, that is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The column, the rows or the table.
    pub column: String,
    /// Why.
    pub reason: String,
}

/// What was found out about one entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntityReport {
    /// Its name.
    pub entity: String,
    /// Its domain.
    pub domain: String,
    /// Its target table.
    pub table: String,
    /// The verdict.
    pub verdict: Verdict,
    /// All its legacy rows (of all its parts).
    pub rows: RowCounts,
    /// Rows left out, by rule.
    pub ignored: Vec<Count>,
    /// Rows in the target table.
    pub target_rows: u64,
    /// Target rows without a legacy row.
    pub extra: u64,
    /// Such rows that may be about to go.
    pub extra_in_flight: u64,
    /// Rows of entities with several parts that wait for a sibling.
    pub incomplete: u64,
    /// Rows whose parts, put together, are not what the target table holds.
    pub composed_wrong: u64,
    /// Differing rows that somebody has changed in the target, against law 1: of a domain that is
    /// not cut over, current by their position, or with a sign that it was not the engine.
    #[serde(default)]
    pub tampered: u64,
    /// Target rows that a change later than the scan's LSN has made.
    pub later: u64,
    /// Rows that were read again by key.
    pub read_again: u64,
    /// How many differing rows differ in each column.
    pub columns: BTreeMap<String, u64>,
    /// Examples, whole.
    pub differences: Vec<Difference>,
    /// Columns and rows that are not compared, with the reason.
    pub not_compared: Vec<LeftOut>,
    /// Things that the reader should know, such as an account that is not balanced.
    pub notes: Vec<String>,
}

impl EntityReport {
    /// All rows that differ.
    #[must_use]
    pub fn different(&self) -> u64 {
        self.rows.changed + self.rows.missing + self.extra + self.composed_wrong
    }

    /// All rows that could not be decided.
    #[must_use]
    pub fn undecided(&self) -> u64 {
        self.rows.in_flight + self.extra_in_flight
    }
}

/// What was found out about one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainReport {
    /// Its name.
    pub domain: String,
    /// The worst of its entities'.
    pub verdict: Verdict,
    /// Whether all its entities were compared.
    pub whole: bool,
    /// Its state when it was compared, such as `following`; Postgres owns one that is `cut_over`.
    #[serde(default)]
    pub state: String,
}

impl DomainReport {
    /// Whether Postgres owns the domain's rows.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        matches!(self.state.as_str(), "cut_over" | "retired")
    }
}

/// What a second comparison of some rows said, by rules of its own ([`crate::paranoid`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Independent {
    /// Rows compared.
    pub rows: u64,
    /// Values compared.
    pub values: u64,
    /// Values whose meaning differs although the comparison called the rows equal.
    pub disagreements: u64,
    /// Rows with such values, by entity.
    pub entities: BTreeMap<String, u64>,
    /// Some of them; `part` is the entity.
    pub examples: Vec<Difference>,
    /// Columns that it has no rule for, with the reason.
    pub not_covered: Vec<LeftOut>,
}

/// A run's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's name: the first marker's token.
    pub run: String,
    /// The worst of all.
    pub verdict: Verdict,
    /// What it rests on.
    pub evidence: Evidence,
    /// How much was looked at.
    #[serde(default)]
    pub tier: Tier,
    /// The run that was stopped and that this one went on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
    /// What the independent check of a sample said, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub independent: Option<Independent>,
    /// S: the legacy database's captured LSN before the first row was read.
    pub low: Option<String>,
    /// M: the marker's LSN, after the last row was read.
    pub marker: Option<String>,
    /// Start, RFC 3339 UTC, by this machine's clock.
    pub started_at: String,
    /// End.
    pub finished_at: String,
    /// Passes over the rows, the scan included.
    pub passes: u32,
    /// Milliseconds spent on the scan of the legacy side.
    pub legacy_scan_ms: u64,
    /// Milliseconds spent on the scan of the target side.
    pub target_scan_ms: u64,
    /// The legacy database.
    pub database: String,
    /// The mapping's version.
    pub mapping_version: String,
    /// By domain, in the mapping's order.
    pub domains: Vec<DomainReport>,
    /// By entity, in the mapping's order.
    pub entities: Vec<EntityReport>,
    /// Legacy tables that do not move, with the reason.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

impl Report {
    /// The exit code's meaning.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.verdict.into()
    }

    /// As indented JSON.
    ///
    /// # Errors
    /// [`crate::Error::Encode`].
    pub fn to_json(&self) -> Result<String, crate::Error> {
        serde_json::to_string_pretty(self).map_err(crate::Error::Encode)
    }
}

#[cfg(test)]
mod tests;
