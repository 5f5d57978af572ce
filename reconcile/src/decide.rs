//! What two readings of one row prove. Pure.
//!
//! The legacy reading was taken after S had been captured and before marker M was written; the
//! target reading after the stream had passed M. Every change up to M is in the target then. So
//! when the target's newest sign of the row (its position, or its tombstone's) is not newer than
//! S, nothing changed the row between S and M, both readings show the same instant, and a
//! disagreement is real. A newer sign excuses it.
//!
//! A row that was read from the table (by a chunk, a repair, a retry, or because a change had left
//! out a large value) has the position of what capture had reached before, and may show a later
//! change than that, even one after M. Where the target showed the very same before M was written,
//! it shows nothing after M, and what was said holds; else it is excused.

use mapping::position::{Lsn, Position};
use serde::{Deserialize, Serialize};

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The legacy row has no target row.
    Missing,
    /// The target row has no legacy row.
    Extra,
    /// Compared columns differ.
    Changed,
    /// The mapping rejects the legacy row, and quarantine does not know of it.
    Unreported,
    /// The parts of the row, put together, are not what the target table holds.
    Composed,
}

impl DifferenceKind {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
            Self::Unreported => "unreported",
            Self::Composed => "composed",
        }
    }
}

/// What the legacy side showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LegacySeen {
    /// No such row, or one that the target must not have (deleted by policy, or left out).
    Absent,
    /// A row that the target must have.
    Row,
    /// A row that the mapping rejects.
    Rejected,
}

/// What the target side showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetSeen {
    /// No such row.
    Absent,
    /// A row; its position is NULL when it was not the engine that wrote it.
    Row(Option<Position>),
}

/// Two readings of a row and what is known about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Readings {
    /// The legacy side.
    pub(crate) legacy: LegacySeen,
    /// The target side.
    pub(crate) target: TargetSeen,
    /// Whether all compared bytes agree (only meaningful with a row on both sides).
    pub(crate) same: bool,
    /// The row's tombstone, if it has one.
    pub(crate) tombstone: Option<Position>,
    /// The newest open quarantine entry of the key, parked changes included.
    pub(crate) quarantine: Option<Position>,
    /// Whether a person has discarded the newest entry.
    pub(crate) discarded: bool,
    /// Whether a change made what the target shows, or it showed the same before M was written.
    pub(crate) stands: bool,
    /// Whether the last pass showed exactly the same two readings.
    pub(crate) same_as_last: bool,
}

/// What a disagreement proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The stream's fence.
    Fence {
        /// S.
        low: Lsn,
        /// Whether the stream had passed M when the target was read.
        passed: bool,
        /// Whether no backfill chunk can have been read between S and the target reading: one may
        /// still bring a row that is missing.
        settled: bool,
        /// Whether nobody can have read single rows again in that time: they may show changes
        /// after M. Only who sees no row by itself needs to know.
        alone: bool,
    },
    /// Nothing but reading twice.
    Twice,
}

/// What is known of the row now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The sides agree.
    Agree,
    /// They disagree, and quarantine explains it.
    Quarantined,
    /// The mapping rejects the row, and a person has decided that it stays behind.
    Discarded,
    /// They disagree, and the row may be on its way.
    InFlight,
    /// They disagree.
    Different(DifferenceKind),
}

/// The decision. Equality needs no excuse: two equal readings agree whatever their positions.
pub(crate) fn decide(readings: &Readings, proof: Proof) -> Decision {
    let kind = match (readings.legacy, readings.target) {
        (LegacySeen::Absent, TargetSeen::Absent) => return Decision::Agree,
        (LegacySeen::Row, TargetSeen::Row(_)) if readings.same => return Decision::Agree,
        (LegacySeen::Row, TargetSeen::Row(_)) => DifferenceKind::Changed,
        (LegacySeen::Row, TargetSeen::Absent) => DifferenceKind::Missing,
        (LegacySeen::Absent, TargetSeen::Row(_)) => DifferenceKind::Extra,
        (LegacySeen::Rejected, _) => DifferenceKind::Unreported,
    };
    if is_explained(readings) {
        return Decision::Quarantined;
    }
    if readings.discarded && readings.legacy == LegacySeen::Rejected {
        return Decision::Discarded;
    }
    if is_proven(readings, proof) { Decision::Different(kind) } else { Decision::InFlight }
}

/// A rejected row is explained by any open entry. A row that maps today is explained by an entry
/// that is newer than what the target shows (the row waits for its retry).
fn is_explained(readings: &Readings) -> bool {
    let Some(entry) = readings.quarantine else { return false };
    match (readings.legacy, readings.target) {
        (LegacySeen::Rejected, _) | (_, TargetSeen::Absent) => true,
        (_, TargetSeen::Row(position)) => position.is_some_and(|position| position < entry),
    }
}

fn is_proven(readings: &Readings, proof: Proof) -> bool {
    let (low, passed, settled) = match proof {
        Proof::Fence { low, passed, settled, .. } => (low, passed, settled),
        Proof::Twice => return readings.same_as_last,
    };
    let is_later = |position: Position| position.lsn() > low;
    if !passed || !readings.stands || readings.tombstone.is_some_and(is_later) {
        return false;
    }
    match readings.target {
        // An unfinished chunk may still bring it.
        TargetSeen::Absent => settled,
        // Not the engine's: nothing that is on its way can excuse it.
        TargetSeen::Row(None) => true,
        TargetSeen::Row(Some(position)) => !is_later(position),
    }
}

#[cfg(test)]
mod tests;
