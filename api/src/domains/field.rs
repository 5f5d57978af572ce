//! What a field of a body may be. One table of fields for each entity serves the check of a
//! body, the columns that are written, and the OpenAPI document.

use serde_json::Value;

use super::view::View;

/// A column that a request may set. In bodies it is called the same in camelCase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) column: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    /// Whether it stays as it was when the row was made.
    pub(super) is_fixed: bool,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// One line of so many UTF-16 units at most, which is how the legacy columns count.
    Line(usize),
    /// Text with line breaks.
    Text(usize),
    OneOf(&'static [&'static str]),
    Bool,
    /// From, to.
    Whole(i64, i64),
    /// A measure, never money: from, to.
    Real(f64, f64),
    /// Minor units, not negative.
    Amount,
    /// Minor units, more than nothing.
    PositiveAmount,
    /// A price with up to ten digits after the point, as text.
    Price,
    Date,
    /// The first day of a month.
    Month,
    /// A moment with its offset (RFC 3339).
    Moment,
    /// `#aarrggbb`.
    Color,
    /// The id of a row that the caller can see.
    Reference(&'static View),
}

/// Texts without a limit of their own in the legacy schema.
pub(super) const TEXT_MAX: usize = 20_000;

/// A column that may be left out.
pub(super) const fn field(column: &'static str, kind: Kind) -> Field {
    Field { column, kind, is_required: false, is_fixed: false }
}

impl Field {
    /// Neither left out nor cleared.
    pub(super) const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    pub(super) const fn fixed(self) -> Self {
        Self { is_fixed: true, ..self }
    }

    /// Its name in bodies.
    pub(super) fn name(&self) -> String {
        camel(self.column)
    }

    /// The value as Postgres reads it out of JSON.
    pub(super) fn read(&self, value: &Value) -> Result<Value, String> {
        let read = if value.is_null() { Value::Null } else { self.kind.read(value)? };
        if read.is_null() && self.is_required {
            return Err("must not be empty".to_owned());
        }
        Ok(read)
    }
}

/// `monthly_total` as `monthlyTotal`.
pub(super) fn camel(column: &str) -> String {
    let mut name = String::with_capacity(column.len());
    for (at, word) in column.split('_').enumerate() {
        let mut letters = word.chars();
        if at > 0 {
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        }
        name.extend(letters);
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_camel_case_in_bodies() {
        assert_eq!(field("parent_space_id", Kind::Bool).name(), "parentSpaceId");
        assert_eq!(field("vat", Kind::Bool).required().name(), "vat");
    }

    #[test]
    fn what_is_required_is_not_cleared() {
        let name = field("name", Kind::Line(9)).required();
        assert!(name.read(&json!(null)).is_err());
        assert!(name.read(&json!(" ")).is_err());
        assert!(name.read(&json!("x")).is_ok());
    }
}
