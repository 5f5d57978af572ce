//! One row, explained: what [`TablePlan::map`] makes of it, column by column.
//!
//! Nothing is converted in a second way here. Each column is written by the mapper's own writer,
//! and the steps are found by asking the real converters again (see `steps`); only the words
//! are this module's. So an explanation can't say anything else than what happens.
//!
//! Values of sensitive columns never leave as text: they are masked on both sides.

mod shown;
mod steps;
#[cfg(test)]
mod tests;

pub use shown::Shown;

use super::{
    Candidate, Context, EntityId, Field, Outcome, Plan, SoftDelete, SourceChange, TablePlan,
    TableRole,
    map::{Chosen, kind_of, takes},
    writer::{FieldFault, Writer},
};
use crate::{
    catalog::SqlType,
    key::CanonicalKey,
    row::{Batches, RowBatch, RowKind, fields},
    value::LegacyValue,
};

/// What becomes of one row of one legacy table.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// What became of the row as a whole.
    pub outcome: Outcome,
    /// The entity and the part of it that the row is, where it could be said.
    pub part: Option<(EntityId, u8)>,
    /// What happens to the row, where it could be said.
    pub kind: Option<RowKind>,
    /// Its canonical key.
    pub key: Option<CanonicalKey>,
    /// What was decided about the row as a whole, in words.
    pub notes: Vec<String>,
    /// Its columns in the part's order, the id aside. Those that could be made are here even when
    /// the row was rejected. Empty for a row that has none (deleted, ignored, of unknown type).
    pub columns: Vec<ExplainedColumn>,
}

/// How one target column was made.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedColumn {
    /// Its index among the entity's columns.
    pub column: usize,
    /// The legacy columns that it is made from.
    pub sources: Vec<ExplainedSource>,
    /// What was done, in words; never with a value of a sensitive column.
    pub steps: Vec<String>,
    /// What came out. Holds the value even of a sensitive column: see [`ExplainedColumn::shown`].
    pub made: Made,
    /// Whether the values may not be shown.
    pub masked: bool,
}

/// A legacy column and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedSource {
    /// The legacy column.
    pub column: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Its value, masked where it is sensitive.
    pub value: Shown,
}

/// What came out of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// A Postgres binary field; `None` is NULL.
    Field(Option<Vec<u8>>),
    /// The id that this key of this entity has, or will get.
    Id {
        /// The entity that is referred to.
        entity: EntityId,
        /// Its key in the legacy database.
        key: CanonicalKey,
    },
    /// The change does not carry it: the target keeps what it has.
    Unchanged,
    /// Nothing: the column rejects the row.
    Rejected {
        /// The legacy column.
        column: String,
        /// The stable code.
        rule: &'static str,
        /// The rest of a sentence that begins with the value.
        problem: String,
    },
}

impl ExplainedColumn {
    /// The target value as people may see it.
    #[must_use]
    pub fn shown(&self, pg_type: super::PgType) -> Shown {
        match &self.made {
            Made::Field(field) => Shown::target(pg_type, field.as_deref(), self.masked),
            Made::Id { .. } if self.masked => Shown::Masked,
            Made::Id { key, .. } => Shown::Value(key.to_string()),
            Made::Unchanged => Shown::Unchanged,
            Made::Rejected { .. } => Shown::Nothing,
        }
    }
}

impl Plan {
    /// Explains what becomes of one row. Nothing is written anywhere, and no id is minted.
    #[must_use]
    pub fn explain(
        &self,
        table: &TablePlan,
        change: &SourceChange<'_>,
        context: &Context<'_>,
    ) -> Explained {
        let outcome = table.map(change, context, &mut Batches::default());
        let mut explained = Explained {
            outcome,
            part: None,
            kind: None,
            key: table.canonical_key(change.values),
            notes: Vec::new(),
            columns: Vec::new(),
        };
        let mapped = matches!(table.role, TableRole::Entities(_));
        if !mapped || change.values.len() != table.columns.len() {
            return explained;
        }
        let values = change.values;
        explained.notes.extend(type_note(table, values, context));
        let candidate = match table.choose(values, context) {
            Chosen::One(candidate) => candidate,
            Chosen::ByFilter => {
                let undecided = |one: &&Candidate| !matches!(takes(one, values), Ok(false));
                let Some(taker) = table.compiled.candidates.iter().find(undecided) else {
                    explained.notes.push("no entity's filter takes the row".to_owned());
                    return explained;
                };
                taker
            }
            Chosen::OtherType | Chosen::Unknown(_) => return explained,
        };
        explained.part = Some((candidate.entity, candidate.part));
        match (&candidate.filter, takes(candidate, values)) {
            (None, _) => {}
            (Some(_), Err(_)) => {
                explained
                    .notes
                    .push("the entity's filter can't say whether it takes the row".into());
                return explained;
            }
            (Some(_), Ok(true)) => {
                explained.notes.push("the entity's filter takes the row".to_owned());
            }
            (Some(_), Ok(false)) => {
                explained.kind = Some(RowKind::Delete);
                let note = "the entity's filter does not take the row: the target must not have it";
                explained.notes.push(note.to_owned());
                return explained;
            }
        }
        let kind = kind_of(candidate, values);
        explained.kind = kind.as_ref().ok().copied();
        explained.notes.extend(delete_note(candidate, explained.kind));
        if explained.kind == Some(RowKind::Delete) {
            return explained;
        }
        let place =
            Place { plan: self, table, values, context, kind: kind.unwrap_or(RowKind::Upsert) };
        let entity = self.entities.get(usize::from(candidate.entity.0));
        let part = entity.and_then(|entity| entity.parts.get(usize::from(candidate.part)));
        let columns = part.map(|part| part.columns.as_slice()).unwrap_or_default();
        let fields = candidate.fields.iter().enumerate();
        for ((index, field), column) in fields.zip(columns.iter().skip(1)) {
            let mut explained_column = place.column(candidate, field, *column);
            if candidate.id_time == Some(index) {
                explained_column.steps.push("a new id takes its time from here".to_owned());
            }
            explained.columns.push(explained_column);
        }
        explained
    }
}

/// A row, and all that its fields depend on.
struct Place<'a> {
    plan: &'a Plan,
    table: &'a TablePlan,
    values: &'a [LegacyValue<'a>],
    context: &'a Context<'a>,
    kind: RowKind,
}

impl Place<'_> {
    fn column(&self, candidate: &Candidate, field: &Field, column: usize) -> ExplainedColumn {
        let entity = self.plan.entities.get(usize::from(candidate.entity.0));
        let target = entity.and_then(|entity| entity.columns.get(column));
        let places = field.sources();
        let sensitive = |place: &usize| {
            let name = self.table.columns.get(*place).map(|column| column.name.as_str());
            name.is_some_and(|name| self.is_sensitive(name))
        };
        let masked = target.is_some_and(|target| target.sensitive) || places.iter().any(sensitive);
        let source = |place: &usize| {
            let column = self.table.columns.get(*place)?;
            Some(ExplainedSource {
                column: column.name.clone(),
                sql_type: column.sql_type.clone(),
                value: Shown::legacy(self.values.get(*place)?, masked),
            })
        };
        let made = self.write(candidate, field);
        ExplainedColumn {
            column,
            sources: places.iter().filter_map(source).collect(),
            steps: self.steps(field, &made, masked),
            made,
            masked,
        }
    }

    fn is_sensitive(&self, column: &str) -> bool {
        let mut sensitive = self.table.compiled.sensitive.iter();
        sensitive.any(|name| name.eq_ignore_ascii_case(column))
    }

    /// Writes one field as the mapper does, into a batch of its own.
    fn write(&self, candidate: &Candidate, field: &Field) -> Made {
        let mut batch = RowBatch::new(candidate.entity, candidate.part);
        let mut writer = Writer {
            values: self.values,
            context: self.context,
            kind: self.kind,
            batch: &mut batch,
            created_at_ms: None,
        };
        match writer.field(field, self.table) {
            Ok(true) => Made::Unchanged,
            Ok(false) => match batch.slots.pop() {
                Some(slot) => Made::Id { entity: slot.entity, key: slot.key },
                None => Made::Field(fields(&batch.fields).next().flatten().map(<[u8]>::to_vec)),
            },
            Err(FieldFault { source, fault }) => {
                let column = source.and_then(|source| self.table.columns.get(source));
                Made::Rejected {
                    column: column.map_or_else(String::new, |column| column.name.clone()),
                    rule: fault.rule,
                    problem: fault.problem.into_owned(),
                }
            }
        }
    }
}

/// How the row's entity was chosen, where there was a choice.
fn type_note(
    table: &TablePlan,
    values: &[LegacyValue<'_>],
    context: &Context<'_>,
) -> Option<String> {
    let place = table.compiled.object_type?;
    let column = &table.columns.get(place)?.name;
    Some(match values.get(place)? {
        LegacyValue::Int(number) => match context.object_types.get(number) {
            Some(name) => format!("`{column}` {number} is the type {name}"),
            None => format!("`{column}` {number} is no type that XPObjectType has"),
        },
        _ => format!("`{column}` has no value"),
    })
}

fn delete_note(candidate: &Candidate, kind: Option<RowKind>) -> Option<String> {
    let note = match (kind?, candidate.soft_delete) {
        (RowKind::Delete, _) => "`GCRecord` is set: the target row is deleted",
        (RowKind::SoftDelete, SoftDelete::Archive) => {
            "`GCRecord` is set: the target row goes to the archive, with the references that the \
             legacy row has lost"
        }
        (RowKind::SoftDelete, _) => {
            "`GCRecord` is set: the target row stays, with `deleted_at`; one that is there keeps its \
             references, which the legacy row has lost"
        }
        (RowKind::Upsert, SoftDelete::None) => return None,
        (RowKind::Upsert, _) if candidate.soft_deleted.is_some() => {
            "`GCRecord` is NULL: the row is live"
        }
        (RowKind::Upsert, _) => return None,
    };
    Some(note.to_owned())
}
