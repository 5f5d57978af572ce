//! A key as people write it: `?legacy=` in old links, `--key` on a command line.

use std::borrow::Cow;

use super::TablePlan;
use crate::{
    catalog::SqlType,
    key::{CanonicalKey, canonical},
    value::{self, LegacyValue},
};

/// Why a text is no key of a table. Says nothing of the text itself: keys may name people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Another number of parts.
    #[error("a key of {table} has {} ({}), and the text has {given}", parts(.columns.len()), .columns.join(", "))]
    Parts {
        /// The table.
        table: String,
        /// Its key columns, in the key's order.
        columns: Vec<String>,
        /// The number of parts that the text has.
        given: usize,
    },
    /// A part that its column can't hold.
    #[error("the part for {table}.{column} is no value of type {sql_type}")]
    Part {
        /// The table.
        table: String,
        /// The key column.
        column: String,
        /// Its type.
        sql_type: SqlType,
    },
}

fn parts(count: usize) -> String {
    if count == 1 { "1 part".to_owned() } else { format!("{count} parts") }
}

impl KeyTextError {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Parts { columns, .. } => format!(
                "write {}, and inside a part ~1 for / and ~0 for ~",
                columns.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join("/")
            ),
            Self::Part { sql_type, .. } => {
                format!("write it as {}", value::text_example(sql_type))
            }
        }
    }
}

impl TablePlan {
    /// The canonical key of a text: its parts in key order with `/` between them. Inside a part
    /// `~1` stands for `/` and `~0` for `~`, as in RFC 6901. Numbers are plain decimals, dates
    /// and times `2024-12-31T23:59:59.997`, binaries `0x…`: what [`CanonicalKey::to_text`] writes.
    ///
    /// # Errors
    /// [`KeyTextError`] for another number of parts, or one that its column can't hold.
    pub fn parse_key(&self, text: &str) -> Result<CanonicalKey, KeyTextError> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() != self.key.len() {
            let columns = self.key.iter().filter_map(|index| self.columns.get(*index));
            let columns = columns.map(|column| column.name.clone()).collect();
            let table = self.table.to_string();
            return Err(KeyTextError::Parts { table, columns, given: parts.len() });
        }
        let mut values = vec![LegacyValue::Unchanged; self.columns.len()];
        for (part, index) in parts.into_iter().zip(&self.key) {
            let column = self.columns.get(*index);
            let read = column.and_then(|column| value::from_text(unescape(part), &column.sql_type));
            match (read, values.get_mut(*index)) {
                (Some(read), Some(place)) => *place = read,
                _ => return Err(self.no_part(*index)),
            }
        }
        canonical(&self.compiled.key, &values).map_err(|fault| self.no_part(fault.source))
    }

    /// As [`TablePlan::parse_key`], for those who only want to know whether it is one.
    #[must_use]
    pub fn key_from_text(&self, text: &str) -> Option<CanonicalKey> {
        self.parse_key(text).ok()
    }

    fn no_part(&self, index: usize) -> KeyTextError {
        let column = self.columns.get(index);
        KeyTextError::Part {
            table: self.table.to_string(),
            column: column.map_or_else(String::new, |column| column.name.clone()),
            sql_type: column.map_or(SqlType::Int, |column| column.sql_type.clone()),
        }
    }
}

fn unescape(part: &str) -> Cow<'_, str> {
    if part.contains('~') { part.replace("~1", "/").replace("~0", "~").into() } else { part.into() }
}

impl CanonicalKey {
    /// The key as [`TablePlan::parse_key`] reads it back, whatever its parts hold.
    #[must_use]
    pub fn to_text(&self) -> String {
        let parts = self.parts();
        let parts = parts.iter().map(|part| value::to_text(part));
        let escaped = parts.map(|part| part.replace('~', "~0").replace('/', "~1"));
        escaped.collect::<Vec<_>>().join("/")
    }
}
