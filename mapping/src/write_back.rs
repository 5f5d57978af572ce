//! The way back: from a value of the target to what SQL Server would hold, or a refusal.
//!
//! Postgres holds what a legacy column can't (trap 22): a day before 1753, more money than
//! `money`, a text that is longer in UTF-16 units or has letters that a code page lacks. A value
//! that is written back must arrive as it is meant, so each is checked against the limits of the
//! very column, and where SQL Server would round (times) it is rounded here as the server does
//! it; nothing else is ever changed silently. Nothing here is sent anywhere.
//!
//! Two steps: `invert` undoes the column's converter, `fit` holds the result against the column's
//! type. Where a converter is exact, a legacy value that is mapped and written back is the same.

use std::{borrow::Cow, fmt};

use crate::{
    catalog::Column,
    convert::{Fault, Make},
    key::CanonicalKey,
    plan::{EntityId, Field, ObjectTypes, TablePlan},
    value::LegacyValue,
};

mod code_page;
mod fit;
mod invert;
#[cfg(test)]
mod tests;
mod time;

pub use fit::fit;

/// Why a value can't be written back. Never holds the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The legacy column.
    pub column: String,
    /// A stable code such as `text.length` or `datetime.range`.
    pub rule: &'static str,
    /// What is wrong and what to do: the rest of a sentence that begins with the column's value.
    pub problem: Cow<'static, str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value for `{}` {}", self.column, self.problem)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    fn of(column: &str, fault: Fault) -> Self {
        Self { column: column.to_owned(), rule: fault.rule, problem: fault.problem }
    }
}

/// A value of a target column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given<'a> {
    /// NULL.
    Null,
    /// A Postgres binary field without its length, as [`crate::row::fields`] gives it. For a column
    /// with `lob = "object-store"`: the object's content.
    Value(&'a [u8]),
    /// For a reference: the legacy key of the row that it points to.
    Key(&'a CanonicalKey),
}

/// What a legacy column is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The index among [`TablePlan::columns`].
    pub column: usize,
    /// The value, within the column's limits.
    pub value: LegacyValue<'static>,
}

impl TablePlan {
    /// What the legacy columns must hold for a target column to have a value. `place` is the
    /// column's place among [`crate::plan::Part::columns`] of the entity's part that this table
    /// feeds. A constant, and a column of the engine's own, come from no legacy column: then
    /// there is nothing to write.
    ///
    /// # Errors
    /// [`Refusal`] when the legacy column can't hold the value.
    pub fn write_back(
        &self,
        entity: EntityId,
        place: usize,
        given: Given<'_>,
        types: &ObjectTypes,
    ) -> Result<Vec<Assignment>, Refusal> {
        let unknown = || {
            let problem = "has no column in this table's mapping; compile the mapping again";
            Refusal::of("", Fault::new("column.unknown", problem))
        };
        let of_entity = |candidate: &&crate::plan::Candidate| candidate.entity == entity;
        let candidate = self.compiled.candidates.iter().find(of_entity);
        let field = candidate.and_then(|one| one.fields.get(place.checked_sub(1)?));
        self.assign(field.ok_or_else(unknown)?, given, types)
    }

    fn assign(
        &self,
        field: &Field,
        given: Given<'_>,
        types: &ObjectTypes,
    ) -> Result<Vec<Assignment>, Refusal> {
        if let Make::Ref(rule) = &field.make {
            let sources: Vec<usize> = rule.parts.iter().map(|part| part.source).collect();
            return self.assign_key(&sources, given);
        }
        // A constant and `deleted_at` are made from nothing.
        let Some(source) = field.source else { return Ok(Vec::new()) };
        let column = self.column(source)?;
        let refused = |fault| Refusal::of(&column.name, fault);
        let value = match given {
            Given::Null => LegacyValue::Null,
            Given::Value(bytes) => {
                invert::invert(&field.make, bytes, &column.sql_type, types).map_err(refused)?
            }
            Given::Key(_) => return Err(refused(invert::not_a_value())),
        };
        let mut assignments = Vec::new();
        if let Some(length) = invert::length_column(&field.make) {
            let length_value = invert::length_of(&value).map_err(refused)?;
            assignments.push(self.fitted(length, length_value)?);
        }
        assignments.insert(0, self.fitted(source, value)?);
        Ok(assignments)
    }

    fn assign_key(&self, sources: &[usize], given: Given<'_>) -> Result<Vec<Assignment>, Refusal> {
        let parts = match given {
            Given::Null => vec![LegacyValue::Null; sources.len()],
            Given::Key(key) => key.parts(),
            Given::Value(_) => Vec::new(),
        };
        if parts.len() != sources.len() {
            let column = sources.first().map(|source| self.column(*source)).transpose()?;
            let name = column.map_or("", |column| column.name.as_str());
            let problem = "refers to a row by another key than the column's; give its legacy key";
            return Err(Refusal::of(name, Fault::new("ref.key", problem)));
        }
        let all = sources.iter().zip(parts).map(|(source, part)| {
            let column = self.column(*source)?;
            let part = invert::as_column(part, &column.sql_type);
            self.fitted(*source, part.map_err(|fault| Refusal::of(&column.name, fault))?)
        });
        all.collect()
    }

    fn fitted(&self, source: usize, value: LegacyValue<'_>) -> Result<Assignment, Refusal> {
        let value = fit(value, self.column(source)?)?.into_owned();
        Ok(Assignment { column: source, value })
    }

    fn column(&self, source: usize) -> Result<&Column, Refusal> {
        self.compiled.columns.get(source).ok_or_else(|| {
            let problem = "is for a column that is not read; compile the mapping again";
            Refusal::of("", Fault::new("column.unknown", problem))
        })
    }
}

/// What `OptimisticLockField` becomes when a row is written: one more, so that whoever read the
/// row before is told when he saves. NULL is a row that XPO has not saved yet, and becomes 0, as
/// at its first save (observed, not documented; any other value is noticed all the same).
///
/// # Errors
/// [`Refusal`] at the largest int: it would wrap to a version that somebody may have read.
pub fn next_version(current: Option<i32>) -> Result<i32, Refusal> {
    let next = current.map_or(Some(0), |current| current.checked_add(1));
    next.ok_or_else(|| {
        let problem = "is the largest int: the next version would wrap; reset it in the \
                       legacy application while nobody edits the row";
        Refusal::of("OptimisticLockField", Fault::new("version.wrap", problem))
    })
}

/// The number of a type in this legacy database: it is another one in every database (trap 2).
///
/// # Errors
/// [`Refusal`] when the database has no such type, or several of one name.
pub fn object_type_id(types: &ObjectTypes, name: &str) -> Result<i64, Refusal> {
    invert::type_number(types, name).map_err(|fault| Refusal::of("ObjectType", fault))
}
