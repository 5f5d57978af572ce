//! The checks of a table's rows: one file each, and one object for each column (or table) that
//! it looks after.
//!
//! A check sees every row once and keeps a few counts; what it found becomes hazards and facts
//! at the end. Whoever adds a hazard adds its code, a check here, and a line in [`of`].

use mapping::probe::WallClock;

use crate::{
    assessment::{ColumnFacts, Hazard},
    code::Code,
    row::{Row, Tally},
    subject::{Read, Subject},
};

mod file;
mod guid;
mod integer;
mod number;
mod presence;
pub(crate) mod reference;
mod text;
mod time;
mod types;
mod unique;

#[cfg(test)]
mod tests;

pub(crate) use types::{TypeNames, class};

/// Looks at rows.
pub(crate) trait Check: Send {
    /// Looks at one row.
    fn look(&mut self, row: &Row<'_>);

    /// Tells what it found.
    fn tell(self: Box<Self>, told: &mut Told<'_>);
}

/// What the checks have to know beside the table.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The names of the classes; `None` when the database has none.
    pub(crate) types: Option<&'a TypeNames>,
    /// The zone of the wall times, where it is known.
    pub(crate) clock: Option<&'a WallClock>,
}

/// Where checks tell.
pub(crate) struct Told<'a> {
    pub(crate) subject: &'a Subject<'a>,
    /// Rows that were read.
    pub(crate) rows: u64,
    /// In table order.
    pub(crate) facts: &'a mut [ColumnFacts],
    pub(crate) hazards: &'a mut Vec<Hazard>,
    /// Columns that hold wall times of no known zone.
    pub(crate) wall_times: Vec<String>,
}

impl Told<'_> {
    /// What is known of a column.
    pub(crate) fn facts(&mut self, at: usize) -> Option<&mut ColumnFacts> {
        self.facts.get_mut(at)
    }

    /// Rows in which a column is not NULL.
    pub(crate) fn filled(&self, at: usize) -> u64 {
        self.rows.saturating_sub(self.facts.get(at).map_or(0, |facts| facts.nulls))
    }

    /// A hazard of some rows; none when there is none.
    pub(crate) fn rows(
        &mut self,
        code: Code,
        columns: &[&str],
        tally: Tally,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        if !tally.is_empty() {
            let count = Some(tally.count);
            let examples = tally.examples;
            self.hazards.push(Hazard { count, examples, ..hazard(code, columns, message, advice) });
        }
    }
}

/// A hazard of the schema.
pub(crate) fn hazard(
    code: Code,
    columns: &[&str],
    message: impl Into<String>,
    advice: impl Into<String>,
) -> Hazard {
    Hazard {
        code: code.name.to_owned(),
        severity: code.severity,
        columns: columns.iter().map(ToString::to_string).collect(),
        message: message.into(),
        count: None,
        examples: Vec::new(),
        advice: advice.into(),
    }
}

/// All checks of a table's rows. The first ones count what later ones rely on when they tell.
pub(crate) fn of<'a>(subject: &'a Subject<'a>, context: Context<'a>) -> Vec<Box<dyn Check + 'a>> {
    let mut checks: Vec<Box<dyn Check + 'a>> = Vec::new();
    for read in subject.columns() {
        checks.push(Box::new(presence::Presence::new(read)));
    }
    for read in subject.columns() {
        checks.extend(of_column(subject, read, context));
    }
    checks.extend(file::FileLength::of(subject).map(boxed));
    checks.extend(types::Types::of(subject, context.types).map(boxed));
    checks.extend(unique::Unique::all(subject).into_iter().map(boxed));
    checks
}

fn boxed<'a>(check: impl Check + 'a) -> Box<dyn Check + 'a> {
    Box::new(check)
}

/// The check of a column's own type, where there is one.
fn of_column<'a>(
    subject: &'a Subject<'a>,
    read: Read<'a>,
    context: Context<'a>,
) -> Option<Box<dyn Check + 'a>> {
    use mapping::catalog::SqlType as T;
    match read.column.sql_type {
        T::Char { .. }
        | T::VarChar { .. }
        | T::NChar { .. }
        | T::NVarChar { .. }
        | T::Text
        | T::NText
        | T::Xml => Some(boxed(text::Text::new(subject, read))),
        T::TinyInt | T::SmallInt | T::Int | T::BigInt => {
            integer::Integer::of(subject, read).map(boxed)
        }
        T::Decimal { .. } | T::Money | T::SmallMoney | T::Real | T::Float => {
            Some(boxed(number::Number::new(read)))
        }
        T::Date
        | T::Time { .. }
        | T::DateTime
        | T::SmallDateTime
        | T::DateTime2 { .. }
        | T::DateTimeOffset { .. } => Some(boxed(time::Time::new(read, context.clock))),
        T::UniqueIdentifier => guid::EmptyGuid::of(subject, read).map(boxed),
        T::Binary { .. }
        | T::VarBinary { .. }
        | T::Image
        | T::Bit
        | T::RowVersion
        | T::Other(_) => None,
    }
}
