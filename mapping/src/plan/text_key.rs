//! A key as people write it: `?legacy=` in old links, `--key` on a command line.

use std::borrow::Cow;

use uuid::Uuid;

use super::TablePlan;
use crate::{catalog::SqlType, key::CanonicalKey, value::LegacyValue};

impl TablePlan {
    /// The canonical key of a text: its parts in key order with `/` between them. Inside a part
    /// `~1` stands for `/` and `~0` for `~`, as in RFC 6901. `None` when the text has another
    /// number of parts, or one that its column can't hold; keys with dates are not taken.
    #[must_use]
    pub fn key_from_text(&self, text: &str) -> Option<CanonicalKey> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() != self.key.len() {
            return None;
        }
        let mut values = vec![LegacyValue::Unchanged; self.columns.len()];
        for (part, index) in parts.into_iter().zip(&self.key) {
            let value = value_of(unescape(part), &self.columns.get(*index)?.sql_type)?;
            *values.get_mut(*index)? = value;
        }
        self.canonical_key(&values)
    }
}

fn unescape(part: &str) -> Cow<'_, str> {
    if part.contains('~') { part.replace("~1", "/").replace("~0", "~").into() } else { part.into() }
}

fn value_of<'a>(text: Cow<'a, str>, sql_type: &SqlType) -> Option<LegacyValue<'a>> {
    match sql_type {
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            text.parse().ok().map(LegacyValue::Int)
        }
        SqlType::UniqueIdentifier => Uuid::try_parse(&text).ok().map(LegacyValue::Guid),
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::NChar { .. }
        | SqlType::NVarChar { .. } => Some(LegacyValue::Text(text)),
        _ => None,
    }
}
