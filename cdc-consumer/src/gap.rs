//! Changes that CDC's clean-up removed before they came here (trap 16). Pure.
//!
//! **What is compared.** SQL Server keeps a table's captured changes from `fn_cdc_get_min_lsn` on.
//! *Our place* in the table's log is the highest of three LSNs, each of which speaks for all
//! changes up to it: the newest change of the table that is applied (Debezium publishes a table's
//! changes in LSN order), the low watermark of its copy (the copy shows them), and the LSN to which
//! it was *verified*. If our place is below the minimum, changes between the two may be gone, and
//! nobody would ever say so: the connector skips them silently, for that table alone.
//!
//! **Why verified.** The clean-up raises the minimum of a quiet table, too, so its last change alone
//! would soon look lost. Each time when CDC is asked and has no change above our place, there is
//! none up to the max LSN that was asked for before; that LSN is our place from then on.
//!
//! It errs on the safe side: a consumer that was away for longer than CDC's retention stops its
//! tables although Kafka may have kept everything; `ficus stream resume` goes on all the same.

use mapping::{catalog::LegacyTable, position::Lsn};
use target::gap::Copied;

/// What CDC has, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// `sys.fn_cdc_get_max_lsn()`, asked for before all else; `None` when CDC is off.
    pub max_lsn: Option<Lsn>,
    /// Each capture instance; a table may have two while its shape changes.
    pub instances: Vec<Instance>,
}

/// A capture instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The table.
    pub table: LegacyTable,
    /// Changes below are gone. `None` when the login may not know.
    pub min_lsn: Option<Lsn>,
    /// The newest change that it has; `None` when it has none.
    pub last_lsn: Option<Lsn>,
}

/// What is known of a table on this side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The newest change that is applied.
    pub(crate) applied: Option<Lsn>,
    /// How far its copy speaks.
    pub(crate) copied: Option<Copied>,
    /// How far it was verified.
    pub(crate) verified: Option<Lsn>,
    /// A gap has stopped it.
    pub(crate) is_stopped: bool,
    /// Somebody has accepted the loss.
    pub(crate) is_accepted: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing of the table is here yet, so nothing can be missing.
    Empty,
    /// Nothing is missing; up to the LSN that is certain for good.
    Whole(Option<Lsn>),
    /// A new copy has made good what was lost.
    Healed,
    /// Changes above the first LSN and below the second may be gone.
    Lost(Lsn, Lsn),
    /// CDC does not capture the table (or the login may not know): its changes never come.
    NotCaptured,
}

impl Capture {
    /// The table's log as CDC has it: from where on, and its newest change. Of two instances the
    /// older one has what the newer one began too late for.
    fn of(&self, table: &LegacyTable) -> Option<(Lsn, Option<Lsn>)> {
        let same = |instance: &&Instance| {
            instance.table.schema.eq_ignore_ascii_case(&table.schema)
                && instance.table.name.eq_ignore_ascii_case(&table.name)
        };
        let instances = self.instances.iter().filter(same);
        let begins = instances.clone().filter_map(|instance| instance.min_lsn).min()?;
        Some((begins, instances.filter_map(|instance| instance.last_lsn).max()))
    }
}

/// Judges one table.
pub(crate) fn judge(table: &LegacyTable, known: &Known, capture: &Capture) -> Verdict {
    let copied = known.copied.map(|copied| copied.low);
    let Some(place) = known.applied.max(copied).max(known.verified) else { return Verdict::Empty };
    let Some((begins, last)) = capture.of(table) else { return Verdict::NotCaptured };
    if known.is_stopped {
        // What was applied later says nothing of what was lost before.
        let whole = known.copied.filter(|copied| copied.done && copied.low >= begins);
        return whole.map_or(Verdict::Lost(place, begins), |_| Verdict::Healed);
    }
    if known.is_accepted {
        return Verdict::Whole(Some(place.max(begins)));
    }
    if begins > place {
        return Verdict::Lost(place, begins);
    }
    let none_above = last.is_none_or(|last| last <= place);
    Verdict::Whole(capture.max_lsn.filter(|_| none_above))
}

#[cfg(test)]
mod tests;
