//! Money: an integer of minor units (mungo for MNT). No floats, no `==` on amounts.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// Above it (2^53 - 1) JavaScript's numbers are no longer exact, so such a number may have been
/// rounded before it came here.
const JSON_INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// An amount in minor units. It has no `PartialEq` on purpose: amounts are compared with
/// [`MinorUnits::compare`], and "paid" is asked with [`MinorUnits::is_fully_paid`].
#[derive(Debug, Clone, Copy, utoipa::ToSchema)]
#[schema(description = "An amount in minor units, as text: JSON numbers lose large integers.",
    value_type = String, pattern = "^-?[0-9]+$", example = "1500000")]
pub struct MinorUnits(i64);

impl MinorUnits {
    /// From a column.
    #[must_use]
    pub const fn new(minor_units: i64) -> Self {
        Self(minor_units)
    }

    /// For a column.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The most that a request may name: what SQL Server's `money` holds, so that it could be
    /// written back. Sums of a hundred of them still fit.
    pub const MAX: Self = Self(92_233_720_368_547_758);

    /// From a request: a string of digits, or a whole number that every client's JSON keeps
    /// exactly. Never a fraction, never an exponent.
    ///
    /// # Errors
    /// Why it is none, as the end of a sentence about the field.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let units = match value {
            Value::String(digits) => digits_only(digits).and_then(|digits| digits.parse().ok()),
            Value::Number(number) => {
                number.as_i64().filter(|units| units.abs() <= JSON_INTEGER_MAX)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let units = units.map(Self).ok_or_else(|| {
            "must be whole minor units as a string of digits, such as \"1500000\"".to_owned()
        })?;
        if units.compare(Self(0)) == Ordering::Less {
            return Err("must not be negative".to_owned());
        }
        if units.compare(Self::MAX) == Ordering::Greater {
            return Err(format!("must be {} at most", Self::MAX.0));
        }
        Ok(units)
    }

    /// The sum, unless it is more than [`MinorUnits::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0).map(Self)?;
        (sum.compare(Self::MAX) != Ordering::Greater).then_some(sum)
    }

    /// What is left when `other` is taken away; nothing when that is more.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        let left = self.0.saturating_sub(other.0);
        Self(if left > 0 { left } else { 0 })
    }

    /// The order of two amounts of one currency.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        self.0.cmp(&other.0)
    }

    /// Whether `paid` covers this total.
    #[must_use]
    pub fn is_fully_paid(self, paid: Self) -> bool {
        paid.compare(self) != Ordering::Less
    }
}

/// The text when it is digits, perhaps after a minus, and nothing that only Rust's parser takes.
fn digits_only(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

impl From<MinorUnits> for Value {
    fn from(units: MinorUnits) -> Self {
        units.0.into()
    }
}

/// As a string of digits: JSON numbers lose integers above 2^53 in most clients.
impl Serialize for MinorUnits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl sqlx::Type<sqlx::Postgres> for MinorUnits {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        <i64 as sqlx::Type<sqlx::Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for MinorUnits {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        <i64 as sqlx::Decode<'r, sqlx::Postgres>>::decode(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overpaid_total_is_paid() {
        let total = MinorUnits::new(100);
        assert!(total.is_fully_paid(MinorUnits::new(100)));
        assert!(total.is_fully_paid(MinorUnits::new(101)));
        assert!(!total.is_fully_paid(MinorUnits::new(99)));
    }

    #[test]
    fn a_request_names_whole_minor_units() {
        let read = |json: &str| {
            let value: Value = serde_json::from_str(json).expect("JSON");
            MinorUnits::from_json(&value).map(MinorUnits::get)
        };
        for (json, units) in [
            ("0", 0),
            ("\"0\"", 0),
            ("1500000", 1_500_000),
            ("\"007\"", 7),
            ("9007199254740991", 9_007_199_254_740_991),
            ("\"9007199254740993\"", 9_007_199_254_740_993),
            ("\"92233720368547758\"", 92_233_720_368_547_758),
        ] {
            assert_eq!(read(json), Ok(units), "{json}");
        }
        for json in [
            "1.0",
            "1e3",
            "\"1.5\"",
            "\"+1\"",
            "\" 1\"",
            "\"\"",
            "\"-\"",
            "\"1e3\"",
            "\"٣\"",
            "true",
            "null",
            "[]",
            "{}",
            "-1",
            "\"-1\"",
            "9007199254740992",
            "\"92233720368547759\"",
            "\"99999999999999999999\"",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn sums_never_wrap() {
        let one = MinorUnits::new(1);
        assert!(MinorUnits::MAX.checked_add(one).is_none());
        assert!(MinorUnits::new(i64::MAX).checked_add(one).is_none());
        assert_eq!(one.checked_add(one).map(MinorUnits::get), Some(2));
        assert_eq!(one.saturating_sub(MinorUnits::MAX).get(), 0);
    }

    #[test]
    fn large_amounts_survive_json() {
        let json = serde_json::to_string(&MinorUnits::new(i64::MAX)).expect("json");
        assert_eq!(json, "\"9223372036854775807\"");
    }
}
