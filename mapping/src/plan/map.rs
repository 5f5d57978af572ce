//! One legacy row to fields, or to the reason why not.

use std::sync::Arc;

use super::{
    Candidate, Context, EntityId, Outcome, Rejection, SoftDelete, SourceChange, SourceOp,
    TablePlan, TableRole,
    writer::{FieldFault, Writer, missing},
};
use crate::{
    convert::Fault,
    key::{CanonicalKey, canonical},
    row::{Batches, Row, RowKind},
    value::LegacyValue,
};

/// Which entity a row belongs to.
pub(super) enum Chosen<'a> {
    One(&'a Candidate),
    /// The first of all whose filter takes it.
    ByFilter,
    /// A known type that no candidate has.
    OtherType,
    /// The row does not say, or says a number that nobody knows.
    Unknown(Fault),
}

impl TablePlan {
    /// Maps one legacy row into `batches`. On anything but [`Outcome::Mapped`] the rows are as
    /// they were; the row's document numbers are noted all the same.
    pub fn map(
        &self,
        change: &SourceChange<'_>,
        context: &Context<'_>,
        batches: &mut Batches,
    ) -> Outcome {
        if !matches!(self.role, TableRole::Entities(_)) {
            return Outcome::Ignored(Arc::clone(&self.compiled.ignored));
        }
        if change.values.len() != self.columns.len() {
            let (is, wanted) = (change.values.len(), self.columns.len());
            let problem = format!("the row has {is} values where the plan reads {wanted}");
            return self.reject(
                change,
                None,
                None,
                FieldFault { source: None, fault: Fault::new("row.width", problem) },
            );
        }
        let key = match canonical(&self.compiled.key, change.values) {
            Ok(key) => key,
            Err(fault) => {
                let source = Some(fault.source);
                let fault = Fault::new(fault.rule, fault.problem);
                return self.reject(change, None, None, FieldFault { source, fault });
            }
        };
        let chosen = self.choose(change.values, context);
        match &chosen {
            Chosen::One(candidate) => batches.numbers.note(candidate, &key, change),
            // One of them gave it; to the others a number too high does no harm.
            Chosen::Unknown(_) | Chosen::ByFilter => {
                for candidate in &self.compiled.candidates {
                    batches.numbers.note(candidate, &key, change);
                }
            }
            Chosen::OtherType => {}
        }
        match (change.op, chosen) {
            (_, Chosen::OtherType) => Outcome::Ignored(Arc::clone(&self.compiled.ignored)),
            (SourceOp::Delete, Chosen::One(candidate)) => {
                push(batches, candidate, Removal::Deleted, key, change);
                Outcome::Mapped(candidate.entity)
            }
            (SourceOp::Delete, Chosen::Unknown(_) | Chosen::ByFilter) => {
                self.delete_all(change, key, batches)
            }
            (SourceOp::Upsert, Chosen::One(candidate)) => {
                self.upsert(candidate, key, change, context, batches)
            }
            (SourceOp::Upsert, Chosen::ByFilter) => self.upsert_one(key, change, context, batches),
            (SourceOp::Upsert, Chosen::Unknown(fault)) => {
                let source = self.compiled.object_type;
                self.reject(change, None, Some(key), FieldFault { source, fault })
            }
        }
    }

    pub(super) fn choose(&self, values: &[LegacyValue<'_>], context: &Context<'_>) -> Chosen<'_> {
        let Some(object_type) = self.compiled.object_type else {
            return match self.compiled.candidates.as_slice() {
                [only] => Chosen::One(only),
                _ => Chosen::ByFilter,
            };
        };
        let number = match values.get(object_type) {
            Some(LegacyValue::Int(number)) => *number,
            _ => {
                let problem = "has no value, so nobody can say which entity the row is";
                return Chosen::Unknown(Fault::new("type.unknown", problem));
            }
        };
        let Some(name) = context.object_types.get(&number) else {
            let problem = "is a number that XPObjectType does not have";
            return Chosen::Unknown(Fault::new("type.unknown", problem));
        };
        let is = |candidate: &&Candidate| candidate.types.iter().any(|known| **known == **name);
        self.compiled.candidates.iter().find(is).map_or(Chosen::OtherType, Chosen::One)
    }

    /// A delete that doesn't say whose row it was is one in every entity that it may have been
    /// of: a delete of nothing is harmless, a delete that is lost is not.
    fn delete_all(
        &self,
        change: &SourceChange<'_>,
        key: CanonicalKey,
        batches: &mut Batches,
    ) -> Outcome {
        for candidate in &self.compiled.candidates {
            push(batches, candidate, Removal::Deleted, key.clone(), change);
        }
        match self.compiled.candidates.first() {
            Some(first) => Outcome::Mapped(first.entity),
            None => Outcome::Ignored(Arc::clone(&self.compiled.ignored)),
        }
    }

    /// The row of several entities' table goes to the first that takes it, and from all others:
    /// it may have been theirs before.
    fn upsert_one(
        &self,
        key: CanonicalKey,
        change: &SourceChange<'_>,
        context: &Context<'_>,
        batches: &mut Batches,
    ) -> Outcome {
        let mut owner = None;
        for candidate in &self.compiled.candidates {
            match takes(candidate, change.values) {
                Ok(true) => {
                    owner = Some(candidate);
                    break;
                }
                Ok(false) => {}
                Err(fault) => return self.reject(change, None, Some(key), fault),
            }
        }
        let outcome = owner.map(|one| self.upsert(one, key.clone(), change, context, batches));
        if let Some(rejected @ Outcome::Rejected(_)) = outcome {
            return rejected;
        }
        let others = self.compiled.candidates.iter();
        for other in others.filter(|other| owner.is_none_or(|one| one.entity != other.entity)) {
            push(batches, other, Removal::Filtered, key.clone(), change);
        }
        let first = self.compiled.candidates.first().map(|first| Outcome::Mapped(first.entity));
        let ignored = || Outcome::Ignored(Arc::clone(&self.compiled.ignored));
        outcome.or(first).unwrap_or_else(ignored)
    }

    fn upsert(
        &self,
        candidate: &Candidate,
        key: CanonicalKey,
        change: &SourceChange<'_>,
        context: &Context<'_>,
        batches: &mut Batches,
    ) -> Outcome {
        let entity = candidate.entity;
        match takes(candidate, change.values) {
            Ok(true) => {}
            Ok(false) => {
                push(batches, candidate, Removal::Filtered, key, change);
                return Outcome::Mapped(entity);
            }
            Err(fault) => return self.reject(change, Some(entity), Some(key), fault),
        }
        let kind = match kind_of(candidate, change.values) {
            Ok(kind) => kind,
            Err(fault) => return self.reject(change, Some(entity), Some(key), fault),
        };
        if kind == RowKind::Delete {
            push(batches, candidate, Removal::Deleted, key, change);
            return Outcome::Mapped(entity);
        }
        let batch = batches.part(entity, candidate.part);
        let mark = batch.mark();
        let mut writer =
            Writer { values: change.values, context, kind, batch, created_at_ms: None };
        match writer.write(candidate, &key, self) {
            Ok(unchanged) => {
                let created_at_ms = writer.created_at_ms;
                let fields = mark.fields..batch.fields.len();
                let slots = mark.slots..batch.slots.len();
                let (position, sequence) = (change.position, change.sequence);
                batch.rows.push(Row {
                    kind,
                    filtered: false,
                    key,
                    position,
                    fields,
                    slots,
                    unchanged,
                    created_at_ms,
                    sequence,
                });
                Outcome::Mapped(entity)
            }
            Err(fault) => {
                batches.take_back(entity, candidate.part, mark);
                self.reject(change, Some(entity), Some(key), fault)
            }
        }
    }

    #[cold]
    fn reject(
        &self,
        change: &SourceChange<'_>,
        entity: Option<EntityId>,
        key: Option<CanonicalKey>,
        FieldFault { source, fault }: FieldFault,
    ) -> Outcome {
        let entity = entity.or(match self.compiled.candidates.as_slice() {
            [only] => Some(only.entity),
            _ => None,
        });
        let column = source.and_then(|source| self.columns.get(source));
        let column = column.map_or_else(String::new, |column| column.name.clone());
        let value = source.and_then(|source| change.values.get(source));
        let masked = self.compiled.sensitive.iter().any(|name| name.eq_ignore_ascii_case(&column));
        let detail = match value {
            None => fault.problem.to_string(),
            Some(LegacyValue::Null | LegacyValue::Unchanged) => {
                format!("`{column}` {}", fault.problem)
            }
            Some(_) if masked => format!("`{column}` (masked) {}", fault.problem),
            Some(value) => format!("`{column}` = `{value}` {}", fault.problem),
        };
        let rule = fault.rule;
        Outcome::Rejected(Box::new(Rejection { entity, key, column, rule, detail }))
    }
}

/// Whether the row is the candidate's. Nothing is asked of one without a filter.
pub(super) fn takes(candidate: &Candidate, values: &[LegacyValue<'_>]) -> Result<bool, FieldFault> {
    match &candidate.filter {
        None => Ok(true),
        Some(filter) => filter.takes(values),
    }
}

/// What happens to a row that is there: whether it is marked as deleted, and what that does.
pub(super) fn kind_of(
    candidate: &Candidate,
    values: &[LegacyValue<'_>],
) -> Result<RowKind, FieldFault> {
    let mark = candidate.soft_deleted.and_then(|source| values.get(source));
    Ok(match (mark, candidate.soft_delete) {
        (None | Some(LegacyValue::Null), _) => RowKind::Upsert,
        (Some(LegacyValue::Unchanged), _) => {
            return Err(FieldFault { source: candidate.soft_deleted, fault: missing() });
        }
        (Some(_), SoftDelete::Delete) => RowKind::Delete,
        (Some(_), SoftDelete::DeletedAt | SoftDelete::Archive) => RowKind::SoftDelete,
        (Some(_), SoftDelete::None) => RowKind::Upsert,
    })
}

/// Why the target must not have a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removal {
    Deleted,
    Filtered,
}

/// A row without fields.
fn push(
    batches: &mut Batches,
    candidate: &Candidate,
    why: Removal,
    key: CanonicalKey,
    change: &SourceChange<'_>,
) {
    let batch = batches.part(candidate.entity, candidate.part);
    let (fields, slots) = (batch.fields.len(), batch.slots.len());
    batch.rows.push(Row {
        kind: RowKind::Delete,
        filtered: why == Removal::Filtered,
        key,
        position: change.position,
        fields: fields..fields,
        slots: slots..slots,
        unchanged: 0,
        created_at_ms: None,
        sequence: change.sequence,
    });
}
