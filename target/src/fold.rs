//! Many changes of one row become one (pure).
//!
//! What survives is a list of *rounds*. The changes of one round are of different rows, so each
//! round is one set of statements; nearly always there is only one. A change that can't be joined
//! with the one before it goes to the next round:
//! - a delete, or an image that knows all columns, replaces everything before it;
//! - an image without its LOBs is laid over the image before it, unless a change between the two
//!   is in quarantine: then it waits behind that (law 4);
//! - nor where the target has the row as of a position between the two: the older image comes late
//!   or again, and what the newer one leaves out is the target's to say;
//! - a soft delete leaves the references of the image before it, and its mark if it has one;
//! - a soft delete that goes to the archive is history: it is joined with nothing, and nothing
//!   replaces it.

use std::{borrow::Cow, collections::HashMap};

use mapping::{
    key::CanonicalKey,
    plan::FILTER_RULE,
    position::Position,
    row::{ColumnMask, RowKind},
};
use uuid::Uuid;

use crate::tally::{Account, Outcome, Tally};

/// A change on its way into the target.
#[derive(Debug, Clone)]
pub(crate) struct Change<'a> {
    pub(crate) id: Uuid,
    /// Unknown for a change that comes back from `ficus.parked`.
    pub(crate) key: Option<CanonicalKey>,
    pub(crate) part: u8,
    pub(crate) kind: RowKind,
    /// A delete of a row that is there, but outside the entity's filter.
    pub(crate) filtered: bool,
    pub(crate) position: Position,
    pub(crate) unchanged: ColumnMask,
    pub(crate) fields: Cow<'a, [u8]>,
    /// The caller's number; `None` for a change that comes back from `ficus.parked`.
    pub(crate) sequence: Option<u32>,
    pub(crate) account: Account,
    /// `false` for a second row that was made from one source row (a delete without a known type
    /// goes to every entity that may have the row): the source row is counted once.
    pub(crate) counted: bool,
    /// An earlier change of the row is in quarantine.
    pub(crate) behind: bool,
    /// The id was minted by this batch, and this is the row's first change.
    pub(crate) is_new: bool,
}

impl Change<'_> {
    /// Whether the change says all there is to say about the row, so that whatever waits or is
    /// in quarantine before it is settled.
    pub(crate) fn is_complete(&self) -> bool {
        self.kind == RowKind::Delete || self.unchanged == 0
    }

    /// Whether nothing of the row stays as it was.
    fn replaces(&self) -> bool {
        self.is_complete() && self.kind != RowKind::SoftDelete
    }

    pub(crate) fn is_partial(&self) -> bool {
        self.kind != RowKind::Delete && self.unchanged != 0
    }

    pub(crate) fn count(&self, tally: &mut Tally, outcome: Outcome) {
        match outcome {
            _ if !self.counted => {}
            Outcome::Ignored => tally.ignore(self.account, FILTER_RULE, 1),
            outcome => tally.add(self.account, outcome, 1),
        }
    }
}

/// Where an entity's special columns are, as indexes into a part's fields.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Special {
    pub(crate) deleted_at: Option<usize>,
    pub(crate) version: Option<usize>,
    /// Columns that a soft delete brings, where it knows them: all but the id, `deleted_at` and
    /// the references, which the legacy row has lost by then (trap 3).
    pub(crate) brought: ColumnMask,
    /// Whether a soft-deleted row leaves its table for the archive.
    pub(crate) archives: bool,
}

impl Special {
    fn is_archived(self, change: &Change<'_>) -> bool {
        self.archives && change.kind == RowKind::SoftDelete
    }
}

/// What keeps changes apart, by row.
#[derive(Debug, Default)]
pub(crate) struct Barriers {
    /// Positions of quarantined changes. What is partial and newer must wait behind them.
    quarantined: HashMap<Uuid, Vec<Position>>,
    /// Where the target is with a row.
    written: HashMap<Uuid, Position>,
}

impl Barriers {
    pub(crate) fn add(&mut self, id: Uuid, position: Position) {
        self.quarantined.entry(id).or_default().push(position);
    }

    /// The target has, or had, this row as of a position.
    pub(crate) fn add_written(&mut self, id: Uuid, position: Position) {
        let at = self.written.entry(id).or_insert(position);
        *at = (*at).max(position);
    }

    /// Whether a quarantined change lies between what is known of the row and `position`.
    pub(crate) fn between(&self, id: Uuid, known: Option<Position>, position: Position) -> bool {
        self.quarantined.get(&id).is_some_and(|positions| {
            positions.iter().any(|at| *at < position && known.is_none_or(|known| known < *at))
        })
    }

    /// Whether the target has something of the row that came after `from` and is not in the batch:
    /// what a newer change leaves out is then the target's to say, and not an older image's.
    fn is_written_between(&self, id: Uuid, from: Position, to: Position) -> bool {
        self.written.get(&id).is_some_and(|at| from <= *at && *at < to)
    }
}

/// Sorts changes as [`fold`] takes them; the rows for which it has to know where the target is.
pub(crate) fn sort(changes: &mut [Change<'_>]) -> Vec<Uuid> {
    // Stable: of two reads at one position the later one is the fresher. What is sorted are the
    // keys, beside each other: the changes themselves are large, and far from each other.
    changes.sort_by_cached_key(|change| (change.id.as_u128(), change.position));
    let pairs = changes.iter().zip(changes.iter().skip(1));
    let joined = pairs.filter(|(a, b)| a.id == b.id && b.is_partial());
    let mut ids: Vec<Uuid> = joined.map(|(a, _)| a.id).collect();
    ids.dedup();
    ids
}

/// Folds the changes of one single-part entity, in the order of [`sort`].
///
/// With `merge` off (when Postgres has refused a row of the batch) no two images become one and
/// none replaces another, so that a refused image never takes a good one with it.
pub(crate) fn fold<'a>(
    changes: Vec<Change<'a>>,
    special: Special,
    barriers: &Barriers,
    merge: bool,
    tally: &mut Tally,
) -> Vec<Vec<Change<'a>>> {
    let mut rounds: Vec<Vec<Change<'a>>> = Vec::new();
    let mut row: Vec<Change<'a>> = Vec::new();
    let mut known: Option<Position> = None;
    // The oldest change that the last one of the row is made of.
    let mut from = Position::ZERO;
    for mut change in changes {
        if row.first().is_some_and(|first| first.id != change.id) {
            flush(&mut row, &mut rounds);
            known = None;
        }
        let waits = change.kind == RowKind::Upsert && change.is_partial();
        change.behind = waits && barriers.between(change.id, known, change.position);
        if merge && change.replaces() {
            let archived = row.iter().rposition(|earlier| special.is_archived(earlier));
            for earlier in row.drain(archived.map_or(0, |last| last + 1)..) {
                earlier.count(tally, Outcome::Folded);
            }
        }
        if change.is_complete() {
            known = Some(change.position);
        }
        let joined = match row.last() {
            Some(last)
                if merge
                    && last.behind == change.behind
                    && !barriers.is_written_between(change.id, from, change.position) =>
            {
                join(last, &change, special)
            }
            _ => None,
        };
        match (joined, row.last_mut()) {
            (Some(joined), Some(last)) => {
                last.count(tally, Outcome::Folded);
                *last = joined;
            }
            _ => {
                from = change.position;
                row.push(change);
            }
        }
    }
    flush(&mut row, &mut rounds);
    crate::hook::point("reduce.out");
    rounds
}

fn flush<'a>(row: &mut Vec<Change<'a>>, rounds: &mut Vec<Vec<Change<'a>>>) {
    for (index, mut change) in row.drain(..).enumerate() {
        if rounds.len() <= index {
            rounds.push(Vec::new());
        }
        change.is_new &= index == 0;
        if let Some(round) = rounds.get_mut(index) {
            round.push(change);
        }
    }
}

/// `b` laid over `a`, where that is the same as writing one after the other whatever the target
/// has. `b` is neither a delete nor a full image.
fn join<'a>(a: &Change<'a>, b: &Change<'a>, special: Special) -> Option<Change<'a>> {
    use RowKind::{Delete, SoftDelete, Upsert};
    if special.is_archived(b) {
        return None;
    }
    match (a.kind, b.kind) {
        (Upsert, Upsert) => Some(lay_over(a, b)),
        // Without a row, a full soft delete is inserted and a partial image is not, so a mixture
        // of the two has to stay two.
        (Upsert | SoftDelete, SoftDelete) if a.unchanged == 0 || b.unchanged != 0 => {
            Some(mark_deleted(a, b, special))
        }
        // Together they may know every column: the references from one, the LOBs from the other.
        (Upsert, SoftDelete) => {
            Some(mark_deleted(a, b, special)).filter(|joined| joined.unchanged == 0)
        }
        (Delete, _) | (SoftDelete, Upsert | SoftDelete) => None,
        (_, Delete) => None,
    }
}

/// The known columns of `b` over those of `a`.
pub(crate) fn lay_over<'a>(a: &Change<'a>, b: &Change<'a>) -> Change<'a> {
    let fields = pick(&a.fields, &b.fields, |index| !is_unchanged(b.unchanged, index));
    Change {
        fields: Cow::Owned(fields),
        unchanged: a.unchanged & b.unchanged,
        counted: b.counted,
        ..b.clone()
    }
}

/// The soft delete `b` over `a`, which keeps its references. A mark that is there stays.
pub(crate) fn mark_deleted<'a>(a: &Change<'a>, b: &Change<'a>, special: Special) -> Change<'a> {
    let marked = special
        .deleted_at
        .and_then(|index| spans(&a.fields).nth(index))
        .is_some_and(|span| span.len() > 4);
    let taken = |index: usize| {
        let wanted = Some(index) == special.version
            || (Some(index) == special.deleted_at && !marked)
            || is_unchanged(special.brought, index);
        wanted && !is_unchanged(b.unchanged, index)
    };
    let fields = pick(&a.fields, &b.fields, taken);
    let known = [special.version, special.deleted_at].into_iter().flatten();
    let known = known.filter(|index| *index < 64 && !is_unchanged(b.unchanged, *index));
    let unchanged = known.fold(a.unchanged, |mask, index| mask & !(1 << index));
    let unchanged = unchanged & !(special.brought & !b.unchanged);
    Change { kind: a.kind, fields: Cow::Owned(fields), unchanged, ..b.clone() }
}

/// Bit *n* is column *n*; a part's columns after the 64th are always known.
pub(crate) fn is_unchanged(mask: ColumnMask, index: usize) -> bool {
    index < 64 && mask & (1 << index) != 0
}

fn pick(a: &[u8], b: &[u8], take_b: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut fields = Vec::with_capacity(a.len().max(b.len()));
    for (index, (from_a, from_b)) in spans(a).zip(spans(b)).enumerate() {
        fields.extend_from_slice(if take_b(index) { from_b } else { from_a });
    }
    fields
}

/// The fields of a row with their lengths in front.
pub(crate) fn spans(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = i32::from_be_bytes(*rest.first_chunk::<4>()?);
        let whole = 4 + usize::try_from(length).unwrap_or(0);
        let (span, tail) = rest.split_at_checked(whole)?;
        rest = tail;
        Some(span)
    })
}

#[cfg(test)]
mod tests;
