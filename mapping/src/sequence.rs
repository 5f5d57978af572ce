//! Document numbers: which the legacy side has given, so that the new side begins above them.
//!
//! A number is read from each row that is mapped, whatever becomes of the row: one that is
//! deleted, refused or older than the target's was given all the same (trap 21). Nothing here
//! knows Postgres; `target` keeps the highest and sets the sequences at a cutover.

use std::sync::Arc;

use regex_lite::Regex;

use crate::{
    decimal::{self, Round},
    key::CanonicalKey,
    plan::{Candidate, EntityId, SourceChange},
    position::Position,
    value::LegacyValue,
};

mod straight;
#[cfg(test)]
mod tests;

pub(crate) use straight::NumberPattern;

/// A Postgres sequence that goes on where a legacy numbering ends.
#[derive(Debug, Clone)]
pub struct SequencePlan {
    /// The sequence's schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The domain whose cutover sets it.
    pub domain: String,
    /// The columns that hold its numbers.
    pub sources: Vec<SequenceSource>,
    /// The least that counts as given, whatever was seen.
    pub above: i64,
    /// The first new number is a multiple of it.
    pub step: i64,
    pub(crate) rule: Arc<DocumentRule>,
}

/// A column of an entity that holds document numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSource {
    /// The entity.
    pub entity: EntityId,
    /// The index of the column among [`crate::plan::EntityPlan::columns`].
    pub column: usize,
    /// `entity.column`, as the file says it.
    pub name: String,
}

/// What a value says about a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// This number was given.
    Number(i64),
    /// The file says that such values carry none.
    Without,
    /// It is of no form that the file knows.
    Unread,
}

/// How a number is read from a value.
#[derive(Debug, Clone)]
pub(crate) struct DocumentRule {
    /// Each with one group, for the whole value.
    pub(crate) patterns: Vec<NumberPattern>,
    pub(crate) except: Vec<Regex>,
}

/// Where a part's rows have a number.
#[derive(Debug, Clone)]
pub(crate) struct NumberSource {
    /// The index among [`crate::plan::Plan::sequences`].
    pub(crate) sequence: usize,
    /// The value's place in the row.
    pub(crate) source: usize,
    pub(crate) rule: Arc<DocumentRule>,
}

impl SequencePlan {
    /// `schema.name`.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Everything that decides which numbers are read: where it changes, what was read before
    /// says nothing any more.
    #[must_use]
    pub fn definition(&self) -> String {
        let names = self.sources.iter().map(|source| format!("from {}", source.name));
        let patterns = self.rule.patterns.iter().map(|regex| format!("pattern {regex}"));
        let except = self.rule.except.iter().map(|regex| format!("except {regex}"));
        names.chain(patterns).chain(except).collect::<Vec<_>>().join("\n")
    }

    /// Reads the number of a value as Postgres prints it.
    #[must_use]
    pub fn read(&self, text: &str) -> Reading {
        self.rule.read(text)
    }

    /// The first number of the new side, when `highest` is the highest that was given; `None`
    /// when there is none left.
    #[must_use]
    pub fn next_after(&self, highest: Option<i64>) -> Option<i64> {
        let next = highest.unwrap_or(0).max(self.above).checked_add(1)?;
        match next.rem_euclid(self.step.max(1)) {
            0 => Some(next),
            over => next.checked_add(self.step - over),
        }
    }
}

impl DocumentRule {
    fn read(&self, text: &str) -> Reading {
        let text = text.trim_matches(' ');
        for pattern in &self.patterns {
            if let Some(digits) = pattern.group(text) {
                return digits.parse().map_or(Reading::Unread, Reading::Number);
            }
        }
        let is_known = text.is_empty() || self.except.iter().any(|except| except.is_match(text));
        if is_known { Reading::Without } else { Reading::Unread }
    }

    fn read_value(&self, value: &LegacyValue<'_>) -> Reading {
        match value {
            LegacyValue::Null | LegacyValue::Unchanged => Reading::Without,
            LegacyValue::Int(number) => Reading::Number(*number),
            LegacyValue::Text(text) => self.read(text),
            LegacyValue::Decimal(number) => {
                let whole = decimal::rescale(*number, 0, Round::Never).ok();
                let whole = whole.and_then(|number| i64::try_from(number).ok());
                whole.map_or(Reading::Unread, Reading::Number)
            }
            _ => Reading::Unread,
        }
    }
}

/// The highest number of a sequence among some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Highest {
    /// The number.
    pub number: i64,
    /// Whose it is.
    pub entity: EntityId,
    /// The row that has it.
    pub key: CanonicalKey,
}

/// A row whose number could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadNumber {
    /// The index among [`crate::plan::Plan::sequences`].
    pub sequence: usize,
    /// The row's entity.
    pub entity: EntityId,
    /// The row.
    pub key: CanonicalKey,
    /// The change that had the value.
    pub position: Position,
}

/// The document numbers of some rows.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// By sequence.
    highest: Vec<Option<Highest>>,
    /// Rows whose value is of no form that the file knows.
    pub unread: Vec<UnreadNumber>,
}

impl Numbers {
    /// The highest numbers, each with its sequence's index.
    pub fn highest(&self) -> impl Iterator<Item = (usize, &Highest)> {
        let all = self.highest.iter().enumerate();
        all.filter_map(|(sequence, highest)| Some((sequence, highest.as_ref()?)))
    }

    /// Reads the numbers of a change.
    pub(crate) fn note(
        &mut self,
        candidate: &Candidate,
        key: &CanonicalKey,
        change: &SourceChange<'_>,
    ) {
        for NumberSource { sequence, source, rule } in &candidate.numbers {
            let entity = candidate.entity;
            match change.values.get(*source).map_or(Reading::Without, |v| rule.read_value(v)) {
                Reading::Without => {}
                Reading::Number(number) => self.raise(*sequence, (number, entity, key)),
                Reading::Unread => self.unread.push(UnreadNumber {
                    sequence: *sequence,
                    entity,
                    key: key.clone(),
                    position: change.position,
                }),
            }
        }
    }

    fn raise(&mut self, sequence: usize, (number, entity, key): (i64, EntityId, &CanonicalKey)) {
        if self.highest.len() <= sequence {
            self.highest.resize(sequence + 1, None);
        }
        let Some(slot) = self.highest.get_mut(sequence) else { return };
        if slot.as_ref().is_none_or(|highest| highest.number < number) {
            *slot = Some(Highest { number, entity, key: key.clone() });
        }
    }
}
