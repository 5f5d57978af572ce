//! What the compiler leaves for the mapper.

use std::sync::Arc;

use super::{EntityId, Filter, LeftOut, RowFilter, SoftDelete};
use crate::{
    catalog::Column,
    convert::{Content, Make},
    key::KeyPart,
    sequence::NumberSource,
};

/// How a table's rows are mapped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compiled {
    /// The catalogue's columns of those that are read, for the way back; texts with their collation.
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<KeyPart>,
    /// Where `ObjectType` is, when rows are told apart by it.
    pub(crate) object_type: Option<usize>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) filters: Vec<RowFilter>,
    pub(crate) sensitive: Vec<String>,
    /// The rule by which rows of the table, or rows of no candidate's type, are left out.
    pub(crate) ignored: Arc<str>,
}

/// An entity's part that a row may belong to.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) entity: EntityId,
    pub(crate) part: u8,
    /// The type names of its rows; all rows when empty.
    pub(crate) types: Vec<Box<str>>,
    /// The rows that it takes, as a root says it; all rows when there is none.
    pub(crate) filter: Option<Box<Filter>>,
    /// Where `GCRecord` is, in a root.
    pub(crate) soft_deleted: Option<usize>,
    pub(crate) soft_delete: SoftDelete,
    /// The fields after the id.
    pub(crate) fields: Vec<Field>,
    /// Which of them is the id's time.
    pub(crate) id_time: Option<usize>,
    /// Where its document numbers are.
    pub(crate) numbers: Vec<NumberSource>,
}

/// A column of the target, as this part makes it.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) make: Make,
    /// Its (first) value in the row.
    pub(crate) source: Option<usize>,
    pub(crate) null: OnNull,
}

impl Field {
    /// The places in the row of all values that it is made from.
    pub(crate) fn sources(&self) -> Vec<usize> {
        match &self.make {
            Make::Ref(rule) => rule.parts.iter().map(|part| part.source).collect(),
            Make::Concat(rule) => rule.sources.clone(),
            Make::XpoFile { size } | Make::Object(Content::XpoFile { size }) => {
                self.source.into_iter().chain([*size]).collect()
            }
            Make::Const { .. } | Make::DeletedAt => Vec::new(),
            Make::Bool
            | Make::Int2
            | Make::Int4
            | Make::Int8
            | Make::Float8 { .. }
            | Make::Numeric(_)
            | Make::Money(_)
            | Make::Text(_)
            | Make::Split(_)
            | Make::Lookup(_)
            | Make::Flags(_)
            | Make::Object(_)
            | Make::Bytea
            | Make::Uuid
            | Make::Date { .. }
            | Make::Time { .. }
            | Make::Timestamp { .. }
            | Make::Timestamptz { .. }
            | Make::Enum(_)
            | Make::Color
            | Make::Seconds
            | Make::Type(_) => self.source.into_iter().collect(),
        }
    }
}

/// What NULL becomes.
#[derive(Debug, Clone)]
pub(crate) enum OnNull {
    Null,
    /// The row is rejected.
    Reject,
    /// The row is rejected unless it is soft-deleted: XPO clears the references of such rows.
    RejectLive,
    /// This whole field.
    Field(Box<[u8]>),
}
