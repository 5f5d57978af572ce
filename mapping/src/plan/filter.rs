//! Which rows of its table an entity takes.

use std::fmt;

use super::writer::{FieldFault, missing};
use crate::{
    convert::{Fault, wrong_type},
    key::{KeyKind, encoded},
    value::LegacyValue,
};

/// The rule under which the rows that a filter leaves out are counted.
pub const FILTER_RULE: &str = "where";

/// All conditions of an entity; a row has to meet each of them.
#[derive(Debug, Clone)]
pub(crate) struct Filter(pub(crate) Vec<Condition>);

/// What one column has to be.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// Its place in the row.
    pub(crate) source: usize,
    /// How the column compares.
    pub(crate) kind: KeyKind,
    /// The values' bytes, sorted.
    pub(crate) values: Vec<Box<[u8]>>,
    /// Whether it takes all but `values`.
    pub(crate) negated: bool,
    /// Whether it takes NULL.
    pub(crate) null: bool,
}

impl Filter {
    /// Whether a row is the entity's. A column that the change does not carry decides nothing.
    pub(super) fn takes(&self, values: &[LegacyValue<'_>]) -> Result<bool, FieldFault> {
        for condition in &self.0 {
            let value = values.get(condition.source).unwrap_or(&LegacyValue::Unchanged);
            let met = condition.met(value).map_err(|fault| {
                let source = Some(condition.source);
                FieldFault { source, fault }
            })?;
            if !met {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Condition {
    fn met(&self, value: &LegacyValue<'_>) -> Result<bool, Fault> {
        match value {
            LegacyValue::Null => Ok(self.null),
            LegacyValue::Unchanged => Err(missing()),
            LegacyValue::BrokenText(_) => Err(Fault::new(
                "where.surrogate",
                "holds half a surrogate pair, so nobody can say whether the row is taken; correct the row",
            )),
            value => {
                let is_one = |bytes: &[u8]| {
                    self.values.binary_search_by(|known| (**known).cmp(bytes)).is_ok()
                };
                let is_one = encoded(self.kind, value, is_one).map_err(|_| wrong_type())?;
                Ok(is_one != self.negated)
            }
        }
    }
}

/// The rows that an entity takes of a legacy table; the others are ignored by [`FILTER_RULE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The entity whose mapping says so.
    pub entity: String,
    /// Its conditions, as people read them.
    pub conditions: Vec<String>,
}

impl fmt::Display for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.conditions.join(" and "))
    }
}

#[cfg(test)]
mod tests;
