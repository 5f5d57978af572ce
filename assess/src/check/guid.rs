//! The empty GUID, which XPO writes where nobody set one.

use mapping::value::LegacyValue;

use super::{Check, Told};
use crate::{
    advice, code,
    row::{Row, Tally},
    subject::{Read, Subject},
};

/// Of one column.
pub(super) struct EmptyGuid<'a> {
    read: Read<'a>,
    empty: Tally,
}

impl<'a> EmptyGuid<'a> {
    /// `None` for a key column, and for a reference, where it is none anyway.
    pub(super) fn of(subject: &Subject<'_>, read: Read<'a>) -> Option<Self> {
        let name = &read.column.name;
        let is_known = subject.is_key(name) || subject.is_reference(name);
        (!is_known).then(|| Self { read, empty: Tally::default() })
    }
}

impl Check for EmptyGuid<'_> {
    fn look(&mut self, row: &Row<'_>) {
        if matches!(row.value(self.read.place), LegacyValue::Guid(guid) if guid.is_nil()) {
            self.empty.add(row);
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let name = self.read.column.name.as_str();
        told.rows(
            code::GUID_EMPTY,
            &[name],
            self.empty,
            "the empty GUID: as a reference it is none, as a uuid a value like any other",
            advice::line(name, "ref", &[("to", "\"…\""), ("orphans", "\"null\"")]),
        );
    }
}
