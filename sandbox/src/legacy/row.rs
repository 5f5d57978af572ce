//! A stored row, as callers see it.

use std::{fmt, sync::Arc};

use mapping::value::LegacyValue;

use super::{store::Record, table::Layout};

/// A row as it was at some moment; cheap to clone.
#[derive(Clone)]
pub struct Row {
    layout: Arc<Layout>,
    record: Record,
}

impl Row {
    pub(crate) fn new(layout: Arc<Layout>, record: Record) -> Self {
        Self { layout, record }
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Its values in table column order.
    #[must_use]
    pub fn values(&self) -> Vec<LegacyValue<'static>> {
        self.layout.values(self.record.row())
    }

    /// One value by column index; NULL past the last column.
    #[must_use]
    pub fn value(&self, column: usize) -> LegacyValue<'static> {
        let payload = self.layout.field(self.record.row(), column).and_then(|f| f.payload);
        self.layout.columns.get(column).map_or(LegacyValue::Null, |c| c.value(payload))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}
