//! Reports are chained: each hash covers the report and the hash before it, so that a report
//! can't be changed, left out or put in between without showing.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Report;
use crate::Error;

/// SHA-256.
pub type ReportHash = [u8; 32];

impl Report {
    /// The report as it is hashed and stored: compact JSON, keys sorted by bytes.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn canonical_json(&self) -> Result<String, Error> {
        let value = serde_json::to_value(self).map_err(Error::Encode)?;
        Ok(canonical(&value))
    }
}

/// The hash of a stored report: over the hash before it (nothing for the first) and its
/// canonical JSON.
#[must_use]
pub fn chain(previous: Option<&ReportHash>, canonical_json: &str) -> ReportHash {
    let mut hasher = Sha256::new();
    if let Some(previous) = previous {
        hasher.update(previous);
    }
    hasher.update(canonical_json.as_bytes());
    hasher.finalize().into()
}

/// The canonical form of any JSON. Reports hold no floats, so numbers have one spelling.
#[must_use]
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::String(key.clone()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
