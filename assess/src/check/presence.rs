//! NULLs, columns with one value, and how long the binaries are.

use mapping::{catalog::SqlType, value::LegacyValue};

use super::{Check, Told};
use crate::{
    advice, code,
    row::{Row, Tally},
    subject::{Read, Subject},
};

/// Of fewer rows nobody can say that a column is dead.
const ROWS_MIN: u64 = 10;
/// A longer value is not kept to compare the others with.
const BYTES_MAX: usize = 256;

/// Of one column.
pub(super) struct Presence<'a> {
    read: Read<'a>,
    nulls: Tally,
    first: Seen,
    bytes_max: Option<u64>,
}

/// The values so far.
enum Seen {
    None,
    One(LegacyValue<'static>),
    Several,
}

impl<'a> Presence<'a> {
    pub(super) fn new(read: Read<'a>) -> Self {
        Self { read, nulls: Tally::default(), first: Seen::None, bytes_max: None }
    }

    fn compare(&mut self, value: &LegacyValue<'static>) {
        let is_short = match value {
            LegacyValue::Text(text) | LegacyValue::BrokenText(text) => text.len() <= BYTES_MAX,
            LegacyValue::Bytes(bytes) => bytes.len() <= BYTES_MAX,
            _ => true,
        };
        match &self.first {
            Seen::None if is_short => self.first = Seen::One(value.clone()),
            Seen::One(first) if first == value => {}
            Seen::None | Seen::One(_) => self.first = Seen::Several,
            Seen::Several => {}
        }
    }
}

impl Check for Presence<'_> {
    fn look(&mut self, row: &Row<'_>) {
        let value = row.value(self.read.place);
        if value.is_null() {
            self.nulls.add(row);
            return;
        }
        if let LegacyValue::Bytes(bytes) = value {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.bytes_max = self.bytes_max.max(Some(length));
        }
        self.compare(value);
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let (name, rows) = (self.read.column.name.as_str(), told.rows);
        let nulls = self.nulls.count;
        if let Some(facts) = told.facts(self.read.at) {
            facts.nulls = nulls;
            facts.length_max = self.bytes_max;
        }
        if told.subject.is_key(name) || Subject::is_service(name) {
            return;
        }
        let is_enough = rows >= ROWS_MIN;
        let all = Tally { count: rows, examples: Vec::new() };
        if is_enough && nulls == rows {
            let advice = advice::leave_out(name, "NULL in every row");
            told.rows(code::COLUMN_DEAD, &[name], all, "NULL in every row", advice);
        } else if is_enough && nulls == 0 && matches!(self.first, Seen::One(_)) {
            let advice = advice::leave_out(name, "the same in every row");
            told.rows(code::COLUMN_DEAD, &[name], all, "the same value in every row", advice);
        } else if self.read.column.sql_type == SqlType::Bit {
            let advice = advice::line(name, "bool", &[("default", "false")]);
            let message = "NULL, which XPO reads as false unless the class says otherwise";
            told.rows(code::NULL_BIT, &[name], self.nulls, message, advice);
        }
    }
}
