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
enum Chosen<'a> {
    One(&'a Candidate),
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
            Chosen::Unknown(_) => {
                for candidate in &self.compiled.candidates {
                    batches.numbers.note(candidate, &key, change);
                }
            }
            Chosen::OtherType => {}
        }
        match (change.op, chosen) {
            (_, Chosen::OtherType) => Outcome::Ignored(Arc::clone(&self.compiled.ignored)),
            (SourceOp::Delete, Chosen::One(candidate)) => {
                push(batches, candidate, RowKind::Delete, key, change);
                Outcome::Mapped(candidate.entity)
            }
            (SourceOp::Delete, Chosen::Unknown(fault)) => {
                self.delete_all(change, key, fault, batches)
            }
            (SourceOp::Upsert, Chosen::One(candidate)) => {
                self.upsert(candidate, key, change, context, batches)
            }
            (SourceOp::Upsert, Chosen::Unknown(fault)) => {
                let source = self.compiled.object_type;
                self.reject(change, None, Some(key), FieldFault { source, fault })
            }
        }
    }

    fn choose(&self, values: &[LegacyValue<'_>], context: &Context<'_>) -> Chosen<'_> {
        let Some(object_type) = self.compiled.object_type else {
            return match self.compiled.candidates.as_slice() {
                [only] => Chosen::One(only),
                _ => Chosen::Unknown(Fault::new("type.unknown", "belongs to several entities")),
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
        fault: Fault,
        batches: &mut Batches,
    ) -> Outcome {
        for candidate in &self.compiled.candidates {
            push(batches, candidate, RowKind::Delete, key.clone(), change);
        }
        match self.compiled.candidates.first() {
            Some(first) => Outcome::Mapped(first.entity),
            None => self.reject(change, None, Some(key), FieldFault { source: None, fault }),
        }
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
        let mark = candidate.soft_deleted.and_then(|source| change.values.get(source));
        let kind = match (mark, candidate.soft_delete) {
            (None | Some(LegacyValue::Null), _) => RowKind::Upsert,
            (Some(LegacyValue::Unchanged), _) => {
                let source = candidate.soft_deleted;
                return self.reject(
                    change,
                    Some(entity),
                    Some(key),
                    FieldFault { source, fault: missing() },
                );
            }
            (Some(_), SoftDelete::Delete) => RowKind::Delete,
            (Some(_), SoftDelete::DeletedAt | SoftDelete::Archive) => RowKind::SoftDelete,
            (Some(_), SoftDelete::None) => RowKind::Upsert,
        };
        if kind == RowKind::Delete {
            push(batches, candidate, kind, key, change);
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

/// A row without fields.
fn push(
    batches: &mut Batches,
    candidate: &Candidate,
    kind: RowKind,
    key: CanonicalKey,
    change: &SourceChange<'_>,
) {
    let batch = batches.part(candidate.entity, candidate.part);
    let (fields, slots) = (batch.fields.len(), batch.slots.len());
    batch.rows.push(Row {
        kind,
        key,
        position: change.position,
        fields: fields..fields,
        slots: slots..slots,
        unchanged: 0,
        created_at_ms: None,
        sequence: change.sequence,
    });
}
