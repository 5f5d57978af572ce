//! Mapped rows on their way into Postgres.
//!
//! A row is the body of a `COPY … BINARY` tuple without its field count: for each target
//! column a big-endian `i32` length (-1 for NULL) and the bytes. Ids are not known to this
//! crate (keys are minted in Postgres), so each id is 16 zero bytes and an [`IdSlot`] that
//! says where they are and which key they stand for; `target` fills them in place.

use std::{borrow::Cow, fmt, ops::Range};

use crate::{key::CanonicalKey, plan::EntityId, position::Position, sequence::Numbers};

/// Which columns of a row the event did not carry: bit *n* is column *n* of the part.
pub type ColumnMask = u64;

/// Sixteen bytes that wait for an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdSlot {
    /// Where the 16 bytes begin, counted from the start of [`RowBatch::fields`].
    pub offset: usize,
    /// The entity that the id belongs to.
    pub entity: EntityId,
    /// Its key in the legacy database.
    pub key: CanonicalKey,
}

/// What happens to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// The row is there, with these fields.
    Upsert,
    /// The row is there and soft-deleted: an existing target row keeps its references (the
    /// legacy row has lost its own by now) and its `deleted_at` if it has one, and takes every
    /// other column; a missing one is inserted with what there is. With
    /// [`crate::plan::SoftDelete::Archive`] all of this goes to the archive, and the row leaves
    /// its table.
    SoftDelete,
    /// The row is gone. No fields.
    Delete,
}

/// One row in a [`RowBatch`].
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What happens to it.
    pub kind: RowKind,
    /// A [`RowKind::Delete`] of a row that is there, but that the entity's filter does not take
    /// (any more). What removes nothing is ignored by [`crate::plan::FILTER_RULE`].
    pub filtered: bool,
    /// Its key in the legacy database.
    pub key: CanonicalKey,
    /// The position of the change that made it.
    pub position: Position,
    /// Where its fields are in [`RowBatch::fields`].
    pub fields: Range<usize>,
    /// Where its slots are in [`RowBatch::slots`]; the first one is its own id.
    pub slots: Range<usize>,
    /// Columns whose value is not known; their field is NULL and must not be written.
    pub unchanged: ColumnMask,
    /// Milliseconds since 1970 UTC for the id's time part, where the mapping names a column.
    pub created_at_ms: Option<i64>,
    /// The caller's own number for the change (an index into what it read).
    pub sequence: u32,
}

/// What goes to an object store. Its row's field is the address.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// The path below the store's root, by content: `sha256/ab/cdef…`.
    pub address: String,
    /// The content.
    pub content: Vec<u8>,
}

impl fmt::Debug for Object {
    /// Without the content, which is a row's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("address", &self.address)
            .field("bytes", &self.content.len())
            .finish()
    }
}

/// Rows of one part of one entity, in the order in which they were mapped.
#[derive(Debug, Clone)]
pub struct RowBatch {
    /// The entity.
    pub entity: EntityId,
    /// Which of its parts (0 is the root, and the only one for most).
    pub part: u8,
    /// The bytes of all rows.
    pub fields: Vec<u8>,
    /// The ids to fill in.
    pub slots: Vec<IdSlot>,
    /// The rows.
    pub rows: Vec<Row>,
    /// The objects that the rows' fields refer to; one content may be there twice.
    pub objects: Vec<Object>,
    addresses_only: bool,
    object_bytes: usize,
}

/// How much of a batch there was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) fields: usize,
    pub(crate) slots: usize,
    objects: usize,
}

impl RowBatch {
    /// An empty batch.
    #[must_use]
    pub fn new(entity: EntityId, part: u8) -> Self {
        Self {
            entity,
            part,
            fields: Vec::new(),
            slots: Vec::new(),
            rows: Vec::new(),
            objects: Vec::new(),
            addresses_only: false,
            object_bytes: 0,
        }
    }

    /// Bytes of fields and objects.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.fields.len() + self.object_bytes
    }

    pub(crate) fn mark(&self) -> Mark {
        let (fields, slots) = (self.fields.len(), self.slots.len());
        Mark { fields, slots, objects: self.objects.len() }
    }

    /// Takes in an object, unless only addresses are wanted.
    pub(crate) fn add_object(&mut self, address: String, content: Cow<'_, [u8]>) {
        if !self.addresses_only {
            self.object_bytes += content.len();
            self.objects.push(Object { address, content: content.into_owned() });
        }
    }

    fn truncate(&mut self, mark: Mark) {
        self.fields.truncate(mark.fields);
        self.slots.truncate(mark.slots);
        let gone = self.objects.drain(mark.objects.min(self.objects.len())..);
        self.object_bytes -= gone.map(|object| object.content.len()).sum::<usize>();
    }
}

/// The fields of a row (see [`RowBatch::fields`]), in order; `None` is NULL. Ends early on
/// bytes that are not fields.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Iterates over the fields of one row.
#[must_use]
pub fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields { rest: bytes }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.rest = rest;
            return Some(None);
        };
        let (field, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(field))
    }
}

/// Mapped rows of several entities. Few are in use at a time, so a linear search serves.
#[derive(Debug, Clone, Default)]
pub struct Batches {
    batches: Vec<RowBatch>,
    /// The document numbers of all rows that were mapped or refused.
    pub numbers: Numbers,
    addresses_only: bool,
}

impl Batches {
    /// Batches without the objects themselves, for whoever only compares.
    #[must_use]
    pub fn addresses_only() -> Self {
        Self { addresses_only: true, ..Self::default() }
    }

    /// The batch of a part, made when it is not there yet.
    pub fn part(&mut self, entity: EntityId, part: u8) -> &mut RowBatch {
        let found = self.batches.iter().position(|b| b.entity == entity && b.part == part);
        let index = found.unwrap_or_else(|| {
            let addresses_only = self.addresses_only;
            self.batches.push(RowBatch { addresses_only, ..RowBatch::new(entity, part) });
            self.batches.len() - 1
        });
        self.batches.get_mut(index).expect("found or pushed just above")
    }

    /// Takes back what a row that could not be mapped had written, and the batch with it when
    /// it was made for that row.
    pub(crate) fn take_back(&mut self, entity: EntityId, part: u8, mark: Mark) {
        let batch = self.part(entity, part);
        batch.truncate(mark);
        if batch.rows.is_empty() {
            self.batches.retain(|batch| batch.entity != entity || batch.part != part);
        }
    }

    /// All batches.
    pub fn iter(&self) -> impl Iterator<Item = &RowBatch> {
        self.batches.iter()
    }

    /// All batches, to take apart.
    #[must_use]
    pub fn into_inner(self) -> Vec<RowBatch> {
        self.batches
    }

    /// Number of rows in all batches.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows.len()).sum()
    }

    /// Bytes of fields and objects in all batches.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.batches.iter().map(RowBatch::byte_count).sum()
    }

    /// Bytes of objects in all batches.
    #[must_use]
    pub fn object_byte_count(&self) -> usize {
        self.batches.iter().map(|batch| batch.object_bytes).sum()
    }
}

/// Where an object is whose content has this SHA-256: `sha256/ab/cdef…`, the hash in hex, cut so
/// that no folder holds millions.
#[must_use]
pub fn object_address(digest: [u8; 32]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut address = String::with_capacity(72);
    address.push_str("sha256/");
    for (index, byte) in digest.iter().enumerate() {
        if index == 1 {
            address.push('/');
        }
        for digit in [byte >> 4, byte & 15] {
            address.push(char::from(HEX.get(usize::from(digit)).copied().unwrap_or(b'0')));
        }
    }
    address
}
