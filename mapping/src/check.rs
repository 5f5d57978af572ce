//! The compiled plan against what stands beside the files: the legacy catalogue, CDC's capture
//! instances, and (through [`Promise`]) whatever target there is.
//!
//! Pure: who read the catalogues and the target, brings them. What the compiler refuses is not
//! found again here.

mod capture;
mod drift;
mod legacy;
mod promise;
#[cfg(test)]
mod tests;

pub use capture::{Capture, capture};
pub use drift::drift;
pub use legacy::{UniqueKept, catalog};
pub use promise::Promise;

use crate::plan::{EntityPlan, Field, Plan, TablePlan};

/// The fields of an entity, each with the table that it is made from and the index of its target
/// column. The id is not among them.
fn fields<'p>(
    plan: &'p Plan,
    entity: &'p EntityPlan,
) -> impl Iterator<Item = (&'p TablePlan, usize, &'p Field)> {
    entity.parts.iter().enumerate().flat_map(move |(number, part)| {
        let table = plan.tables.get(usize::from(part.table.0));
        let candidates = table.map(|table| table.compiled.candidates.as_slice());
        let candidate = candidates.unwrap_or_default().iter().find(|candidate| {
            candidate.entity == entity.id && usize::from(candidate.part) == number
        });
        let fields = candidate.map(|candidate| candidate.fields.as_slice()).unwrap_or_default();
        let columns = part.columns.iter().skip(1);
        table.into_iter().flat_map(move |table| {
            columns.clone().zip(fields).map(move |(column, field)| (table, *column, field))
        })
    })
}

/// The names of the legacy columns that a field is made from.
fn sources<'p>(table: &'p TablePlan, field: &Field) -> Vec<&'p str> {
    let sources = field.sources().into_iter();
    sources.filter_map(|source| Some(table.columns.get(source)?.name.as_str())).collect()
}
