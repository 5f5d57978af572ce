//! What the compiler leaves for the mapper.

use std::sync::Arc;

use super::{EntityId, LeftOut, SoftDelete};
use crate::{catalog::Column, convert::Make, key::KeyPart, sequence::NumberSource};

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
