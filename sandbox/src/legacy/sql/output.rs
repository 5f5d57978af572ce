//! Rows on their way out.

use std::vec;

use bytes::{BufMut, BytesMut};
use mapping::{catalog::SqlType, value::LegacyValue};

use super::condition::Only;
use crate::legacy::{
    codec::{self, Refusal, Width, read},
    store::{Place, Record, Store},
    table::Layout,
};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultColumn {
    pub(crate) name: String,
    pub(crate) sql_type: SqlType,
    pub(crate) nullable: bool,
    /// Of character columns.
    pub(crate) collation: Option<[u8; 5]>,
}

/// How a result column is made of a stored row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// As it is stored.
    Copy(usize),
    /// `CAST(money AS decimal(precision,4))`.
    Money { column: usize, precision: u8 },
    /// `CAST(smallmoney AS decimal(precision,4))`.
    SmallMoney { column: usize, precision: u8 },
}

impl Output {
    fn column(self) -> usize {
        match self {
            Self::Copy(column) | Self::Money { column, .. } | Self::SmallMoney { column, .. } => {
                column
            }
        }
    }
}

/// Where the rows come from.
#[derive(Debug)]
pub(crate) enum Rows {
    /// A range of a snapshot, up to a key (exclusive): rows that conditions hold for, so many.
    Range { store: Store, place: Place, to: Option<Vec<u8>>, only: Only, left: Option<u64> },
    /// After each `skip` rows that conditions hold for, one.
    Every { store: Store, place: Place, skip: u64, only: Only },
    /// These.
    Made(vec::IntoIter<Record>),
}

impl Rows {
    fn next(&mut self) -> Option<Record> {
        match self {
            Self::Range { store, place, to, only, left } => loop {
                if *left == Some(0) {
                    return None;
                }
                let record = store.next(place)?;
                if to.as_ref().is_some_and(|to| record.key() >= to.as_slice()) {
                    return None;
                }
                if only.take(record) {
                    *left = left.map(|left| left - 1);
                    return Some(record.clone());
                }
            },
            Self::Every { store, place, skip, only } if only.is_all() => {
                if store.skip(place, *skip) { store.next(place).cloned() } else { None }
            }
            Self::Every { store, place, skip, only } => {
                let mut passed = 0;
                loop {
                    let record = store.next(place)?;
                    if only.take(record) {
                        if passed == *skip {
                            return Some(record.clone());
                        }
                        passed += 1;
                    }
                }
            }
            Self::Made(rows) => rows.next(),
        }
    }
}

/// A result, row by row.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) columns: Vec<ResultColumn>,
    /// Of the stored row, as far as it has to be read.
    widths: Vec<Width>,
    outputs: Vec<Output>,
    rows: Rows,
    /// Start and end of each stored field; `None` is NULL.
    fields: Vec<Option<(usize, usize)>>,
}

const TOKEN_ROW: u8 = 0xD1;
const TOKEN_NBC_ROW: u8 = 0xD2;

impl Cursor {
    pub(crate) fn new(
        layout: &Layout,
        outputs: Vec<Output>,
        columns: Vec<ResultColumn>,
        rows: Rows,
    ) -> Self {
        let widths = layout.columns.iter().map(|column| column.width).collect();
        Self::with_widths(widths, outputs, columns, rows)
    }

    fn with_widths(
        mut widths: Vec<Width>,
        outputs: Vec<Output>,
        columns: Vec<ResultColumn>,
        rows: Rows,
    ) -> Self {
        let last = outputs.iter().map(|output| output.column()).max();
        widths.truncate(last.map_or(0, |last| last + 1));
        Self { columns, fields: Vec::with_capacity(widths.len()), widths, outputs, rows }
    }

    /// A result made of values.
    pub(crate) fn of_values(
        columns: Vec<ResultColumn>,
        rows: Vec<Vec<LegacyValue<'_>>>,
    ) -> Result<Self, Refusal> {
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let mut bytes = Vec::new();
            for (column, value) in columns.iter().zip(&row) {
                codec::encode(&column.sql_type, None, value, &mut bytes)?;
            }
            records.extend(Record::new(&[], &bytes));
        }
        let widths = columns.iter().map(|column| Width::of(&column.sql_type)).collect();
        let outputs = (0..columns.len()).map(Output::Copy).collect();
        Ok(Self::with_widths(widths, outputs, columns, Rows::Made(records.into_iter())))
    }

    /// How many rows an ordered range may still give; the outer `None` is another result.
    pub(crate) fn range_left(&self) -> Option<Option<u64>> {
        match &self.rows {
            Rows::Range { left, .. } => Some(*left),
            Rows::Every { .. } | Rows::Made(_) => None,
        }
    }

    /// Appends the next row as a `ROW` or `NBCROW` token; `false` after the last.
    pub(crate) fn write_next(&mut self, out: &mut BytesMut) -> bool {
        let Some(record) = self.rows.next() else { return false };
        let row = record.row();
        self.fields.clear();
        let mut at = 0;
        for width in &self.widths {
            let rest = row.get(at..).unwrap_or_default();
            let Some((field, _)) = codec::split(rest, *width) else { break };
            let end = at + field.raw.len();
            self.fields.push(field.payload.map(|_| (at, end)));
            at = end;
        }
        let field = |output: &Output| {
            let (start, end) = self.fields.get(output.column()).copied().flatten()?;
            row.get(start..end)
        };
        let nulls = self.outputs.iter().any(|output| field(output).is_none());
        out.put_u8(if nulls { TOKEN_NBC_ROW } else { TOKEN_ROW });
        if nulls {
            for outputs in self.outputs.chunks(8) {
                let bits = outputs.iter().enumerate();
                out.put_u8(bits.fold(0, |b, (n, o)| b | u8::from(field(o).is_none()) << n));
            }
        }
        for output in &self.outputs {
            let Some(raw) = field(output) else { continue };
            match output {
                Output::Copy(_) => out.put_slice(raw),
                Output::Money { precision, .. } => {
                    let money = raw.get(1..).and_then(read::money).unwrap_or_default();
                    codec::put_decimal(out, *precision, i128::from(money));
                }
                Output::SmallMoney { precision, .. } => {
                    let money = raw.get(1..).and_then(read::array).map(i32::from_le_bytes);
                    codec::put_decimal(out, *precision, i128::from(money.unwrap_or_default()));
                }
            }
        }
        true
    }
}
