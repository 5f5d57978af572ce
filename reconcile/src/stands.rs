//! What the target showed of rows before the marker was written. Pure.

use std::collections::HashSet;

use mapping::position::Position;
use target::compare::{Observed, ObservedRow};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

/// Rows, and deletes, that were read from the table. Two readings may have the same position and
/// show different things, so what they show counts too.
#[derive(Debug, Default)]
pub(crate) struct Before(HashSet<(Uuid, Position, u128)>);

impl Before {
    /// Takes what was observed; only its hash is kept.
    pub(crate) fn of(observed: &Observed) -> Self {
        let rows = observed.rows.iter();
        let rows = rows.filter_map(|(id, row)| Some((*id, row.position?, shown(row))));
        let gone = observed.tombstones.iter().map(|(id, position)| (*id, *position, 0));
        Self(rows.chain(gone).filter(|(_, position, _)| position.is_read()).collect())
    }

    /// Whether a change made what is observed of a row now, or it was there before.
    pub(crate) fn stands(&self, id: Uuid, now: &Observed) -> bool {
        let sign = match now.rows.get(&id) {
            Some(row) => row.position.map(|position| (id, position, shown(row))),
            None => now.tombstones.get(&id).map(|position| (id, *position, 0)),
        };
        sign.is_none_or(|sign| !sign.1.is_read() || self.0.contains(&sign))
    }
}

fn shown(row: &ObservedRow) -> u128 {
    xxh3_128(&[&row.fields[..], &[u8::from(row.soft_deleted)]].concat())
}

#[cfg(test)]
mod tests {
    use mapping::position::Lsn;

    use super::*;

    fn observed(position: Position, fields: &[u8]) -> Observed {
        let row = ObservedRow {
            fields: fields.to_vec(),
            position: Some(position),
            soft_deleted: false,
            same_shape: true,
        };
        Observed { rows: [(Uuid::nil(), row)].into(), ..Observed::default() }
    }

    #[test]
    fn a_row_that_was_read_stands_when_it_was_the_same_before() {
        let lsn = Lsn::from_bytes([7; 10]);
        let read = observed(Position::read_after(lsn), b"as it was");
        let other = observed(Position::read_after(lsn), b"read again");
        let (none, before) = (Before::default(), Before::of(&read));
        assert!(before.stands(Uuid::nil(), &read) && !none.stands(Uuid::nil(), &read));
        assert!(!before.stands(Uuid::nil(), &other), "at the same position");
        let copied = observed(Position::ZERO, b"without CDC");
        assert!(!none.stands(Uuid::nil(), &copied));
        let changed = observed(Position::streamed(lsn, 3), b"by a change");
        assert!(none.stands(Uuid::nil(), &changed));
        assert!(none.stands(Uuid::nil(), &Observed::default()), "nothing says when it went");
    }

    #[test]
    fn a_delete_that_was_read_stands_when_it_was_there_before() {
        let position = Position::read_after(Lsn::from_bytes([7; 10]));
        let tombstones = [(Uuid::nil(), position)].into();
        let gone = Observed { tombstones, ..Observed::default() };
        assert!(!Before::default().stands(Uuid::nil(), &gone));
        assert!(Before::of(&gone).stands(Uuid::nil(), &gone));
    }
}
