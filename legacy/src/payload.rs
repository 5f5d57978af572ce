//! A legacy row as JSON, for quarantine: whoever reads rows may have to put one aside.

use mapping::{plan::TablePlan, value::LegacyValue};
use serde_json::{Map, Value, json};

/// What a hidden value looks like.
const MASK: &str = "***";

/// XPO's password hashes are hidden whatever the mapping says (trap 20).
const ALWAYS_HIDDEN: [&str; 2] = ["StoredPassword", "Password"];

/// How a table's rows are shown: its column names, and which of them are hidden.
#[derive(Debug, Clone)]
pub struct Form {
    columns: Vec<(String, bool)>,
}

impl Form {
    /// Of a table: what the mapping calls sensitive is hidden.
    #[must_use]
    pub fn new(table: &TablePlan) -> Self {
        let is_hidden = |name: &str| {
            let sensitive = table.sensitive_columns().iter().map(String::as_str);
            sensitive.chain(ALWAYS_HIDDEN).any(|hidden| hidden.eq_ignore_ascii_case(name))
        };
        let columns = table.columns.iter();
        let columns = columns.map(|column| (column.name.clone(), is_hidden(&column.name)));
        Self { columns: columns.collect() }
    }

    /// Exact values: decimals, dates and times as text, bytes in hex.
    #[must_use]
    pub fn show(&self, row: &[LegacyValue<'_>]) -> Vec<u8> {
        let cell = |((name, hidden), value): (&(String, bool), &LegacyValue<'_>)| {
            let shown = match value {
                LegacyValue::Null => Value::Null,
                _ if *hidden => json!(MASK),
                value => show(value),
            };
            (name.clone(), shown)
        };
        let object: Map<String, Value> = self.columns.iter().zip(row).map(cell).collect();
        serde_json::to_vec(&object).unwrap_or_default()
    }
}

fn show(value: &LegacyValue<'_>) -> Value {
    match value {
        LegacyValue::Null | LegacyValue::Unchanged => Value::Null,
        LegacyValue::Bool(value) => json!(value),
        LegacyValue::Int(value) => json!(value),
        // JSON has no NaN.
        LegacyValue::Float(value) if value.is_finite() => json!(value),
        LegacyValue::Float(value) => json!(value.to_string()),
        LegacyValue::Text(text) | LegacyValue::BrokenText(text) => json!(text),
        LegacyValue::Bytes(bytes) => {
            let mut hex = String::with_capacity(2 + bytes.len() * 2);
            hex.push_str("0x");
            for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
                hex.push(char::from_digit(nibble.into(), 16).unwrap_or('?'));
            }
            json!(hex)
        }
        LegacyValue::Decimal(_)
        | LegacyValue::Guid(_)
        | LegacyValue::Date(_)
        | LegacyValue::Time(_)
        | LegacyValue::Timestamp(_)
        | LegacyValue::TimestampOffset { .. } => json!(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let column = |name: &str, hidden| (name.to_owned(), hidden);
        Form { columns: vec![column("Name", false), column("BankAccount", true)] }
    }

    fn shown(name: LegacyValue<'static>, account: LegacyValue<'static>) -> String {
        String::from_utf8(form().show(&[name, account])).unwrap()
    }

    #[test]
    fn hidden_values_stay_hidden_and_null_stays_visible() {
        let text = |text: &'static str| LegacyValue::Text(text.into());
        assert_eq!(
            shown(text("Бат\0"), text("MN12")),
            r#"{"BankAccount":"***","Name":"Бат\u0000"}"#
        );
        let null = shown(
            LegacyValue::Decimal(mapping::value::Decimal { unscaled: -5, scale: 4 }),
            LegacyValue::Null,
        );
        assert_eq!(null, r#"{"BankAccount":null,"Name":"-0.0005"}"#);
        let bytes = shown(LegacyValue::Bytes(vec![0, 255].into()), LegacyValue::Null);
        assert_eq!(bytes, r#"{"BankAccount":null,"Name":"0x00ff"}"#);
    }
}
