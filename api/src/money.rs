//! Money: an integer of minor units (mungo for MNT). No floats, no `==` on amounts.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};

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
    fn large_amounts_survive_json() {
        let json = serde_json::to_string(&MinorUnits::new(i64::MAX)).expect("json");
        assert_eq!(json, "\"9223372036854775807\"");
    }
}
