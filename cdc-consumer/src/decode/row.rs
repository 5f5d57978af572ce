//! A row's JSON into legacy values, in the order of the mapping's columns.
//!
//! Rows of one table look alike: the same columns in the same order. A codec learns that order
//! from the first row, and from then on compares each name with the expected one instead of
//! looking it up. A row of another shape teaches it again.

use mapping::{plan::SourceColumn, value::LegacyValue};

use super::{
    codec::{Codec, Fault},
    scan::{Malformed, Raw, RawText, Scanner},
    schema::RowSchema,
};
use crate::settings::Modes;

/// Which of an event's rows is read: that decides what a missing LOB means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// The row as inserted or read: NULL is NULL.
    Whole,
    /// The row after an update: a LOB that is NULL may as well be unchanged (trap 10).
    Updated,
    /// The row before: LOBs may be missing.
    Before,
}

/// What is wrong with a row. The other columns have been read nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFault {
    /// It is not an object.
    Malformed(Malformed),
    /// A column's value can't be read.
    Value {
        /// The column.
        column: String,
        /// Why.
        fault: Fault,
    },
    /// A column that the mapping reads is not there.
    Missing {
        /// The column.
        column: String,
    },
}

#[derive(Debug)]
struct Column {
    name: String,
    codec: Codec,
    lob: bool,
    /// The placeholder stands for a value that was hidden.
    hidden: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Column(usize),
    /// Left out on purpose.
    LeftOut,
    Unknown,
}

#[derive(Debug)]
struct Field {
    name: Box<[u8]>,
    slot: Slot,
}

/// Reads the rows of one table, written under one schema.
#[derive(Debug)]
pub struct RowCodec {
    columns: Vec<Column>,
    left_out: Vec<String>,
    placeholder: Placeholder,
    layout: Vec<Field>,
    unknown: Vec<String>,
    missing: Vec<usize>,
}

/// The word that stands for a LOB that the event doesn't carry.
#[derive(Debug)]
struct Placeholder {
    text: Box<[u8]>,
}

impl Placeholder {
    /// Bytes carry the placeholder's UTF-8, in whatever form bytes are written.
    fn stands_in(&self, raw: Raw<'_>, codec: &Codec) -> bool {
        let Raw::Text(text) = raw else { return false };
        if text.bytes == &*self.text {
            return true;
        }
        matches!(codec, Codec::Binary(_))
            && matches!(codec.read(raw), Ok(LegacyValue::Bytes(bytes)) if *bytes == *self.text)
    }
}

impl RowCodec {
    /// A codec for these columns, of which `left_out` are expected to come as well.
    #[must_use]
    pub fn new(
        columns: &[SourceColumn],
        left_out: Vec<String>,
        schema: Option<&RowSchema>,
        modes: &Modes,
    ) -> Self {
        let columns = columns
            .iter()
            .map(|column| Column {
                codec: Codec::new(
                    &column.sql_type,
                    schema.and_then(|schema| schema.column(&column.name)),
                    modes,
                ),
                name: column.name.clone(),
                lob: column.lob,
                hidden: false,
            })
            .collect();
        Self {
            columns,
            left_out,
            placeholder: Placeholder { text: modes.placeholder.as_bytes().into() },
            layout: Vec::new(),
            unknown: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The same for messages of the quarantine, in which these columns' values were replaced by the
    /// placeholder.
    #[must_use]
    pub fn with_hidden(mut self, names: &[String]) -> Self {
        for column in &mut self.columns {
            column.hidden = names.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
        }
        self
    }

    /// Columns of the last row that the mapping doesn't know.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Reads a row into `values`: one for each column. A value that can't be read, or is not
    /// there, is [`LegacyValue::Unchanged`].
    ///
    /// # Errors
    /// [`RowFault`], the first one; `values` is filled all the same.
    pub fn read<'a>(
        &mut self,
        object: &'a [u8],
        image: Image,
        values: &mut Vec<LegacyValue<'a>>,
    ) -> Result<(), RowFault> {
        values.clear();
        values.resize(self.columns.len(), LegacyValue::Unchanged);
        let mut fault = None;
        if !self.read_as_learnt(object, image, values, &mut fault)? {
            self.learn(object)?;
            fault = None;
            values.fill(LegacyValue::Unchanged);
            self.read_as_learnt(object, image, values, &mut fault)?;
        }
        if let Some(column) = self.missing.iter().find_map(|index| self.columns.get(*index)) {
            return Err(RowFault::Missing { column: column.name.clone() });
        }
        fault.map_or(Ok(()), Err)
    }

    /// Reads the columns that are there and leaves the others unchanged: for keys.
    ///
    /// # Errors
    /// [`RowFault`], the first one; `values` is filled all the same.
    pub fn read_key<'a>(
        &mut self,
        object: &'a [u8],
        values: &mut Vec<LegacyValue<'a>>,
    ) -> Result<(), RowFault> {
        match self.read(object, Image::Whole, values) {
            Err(RowFault::Missing { .. }) => Ok(()),
            other => other,
        }
    }

    /// False when the row's columns are not those of the layout.
    fn read_as_learnt<'a>(
        &self,
        object: &'a [u8],
        image: Image,
        values: &mut [LegacyValue<'a>],
        fault: &mut Option<RowFault>,
    ) -> Result<bool, RowFault> {
        let mut scanner = Scanner::new(object);
        scanner.open_object().map_err(RowFault::Malformed)?;
        let mut fields = self.layout.iter();
        let mut first = true;
        while let Some(name) = scanner.next_key(first).map_err(RowFault::Malformed)? {
            first = false;
            let Some(field) = fields.next().filter(|field| *field.name == *name.bytes) else {
                return Ok(false);
            };
            let raw = scanner.value().map_err(RowFault::Malformed)?;
            let Slot::Column(index) = field.slot else { continue };
            if let (Some(column), Some(value)) = (self.columns.get(index), values.get_mut(index)) {
                match self.read_value(column, raw, image) {
                    Ok(read) => *value = read,
                    Err(cause) => {
                        let column = column.name.clone();
                        fault.get_or_insert(RowFault::Value { column, fault: cause });
                    }
                }
            }
        }
        Ok(fields.next().is_none())
    }

    #[inline]
    fn read_value<'a>(
        &self,
        column: &Column,
        raw: Raw<'a>,
        image: Image,
    ) -> Result<LegacyValue<'a>, Fault> {
        if column.lob || column.hidden {
            let absent = column.lob && image != Image::Whole && raw == Raw::Null;
            if absent || self.placeholder.stands_in(raw, &column.codec) {
                return Ok(LegacyValue::Unchanged);
            }
        }
        column.codec.read(raw)
    }

    fn learn(&mut self, object: &[u8]) -> Result<(), RowFault> {
        let mut layout = Vec::new();
        let mut scanner = Scanner::new(object);
        scanner.open_object().map_err(RowFault::Malformed)?;
        while let Some(name) = scanner.next_key(layout.is_empty()).map_err(RowFault::Malformed)? {
            scanner.value().map_err(RowFault::Malformed)?;
            layout.push(Field { name: name.bytes.into(), slot: self.slot(name) });
        }
        self.unknown = layout
            .iter()
            .filter(|field| field.slot == Slot::Unknown)
            .map(|field| String::from_utf8_lossy(&field.name).into_owned())
            .collect();
        self.missing = (0..self.columns.len())
            .filter(|index| !layout.iter().any(|field| field.slot == Slot::Column(*index)))
            .collect();
        self.layout = layout;
        Ok(())
    }

    /// By name as it is; else without regard to case, which the catalogue does not promise.
    fn slot(&self, name: RawText<'_>) -> Slot {
        let name = name.to_text();
        let index = self.columns.iter().position(|column| column.name == *name).or_else(|| {
            self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&name))
        });
        match index {
            Some(index) => Slot::Column(index),
            None if self.left_out.iter().any(|known| known.eq_ignore_ascii_case(&name)) => {
                Slot::LeftOut
            }
            None => Slot::Unknown,
        }
    }
}
