//! What a legacy value would meet on the road, asked before there is a mapping.
//!
//! An assessment has to say what the engine itself will do with the data: which spellings
//! become one key, which number is exact, which wall time was never. So it asks the same code,
//! by the few questions that are here.

use std::sync::Arc;

use crate::{
    catalog::Table,
    convert, decimal,
    file::closest,
    key::{CanonicalKey, KeyKind, KeyPart, canonical},
    value::LegacyValue,
    zone::{Gap, NoInstant, Overlap, Zone},
};

/// Columns of a table as a canonical key takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumns {
    parts: Vec<KeyPart>,
}

impl KeyColumns {
    /// These columns of a table, in this order; `None` when there is none, or one that the
    /// table does not have or whose type can't be in a key. Their values are first taken from
    /// the places 0, 1, 2, …
    #[must_use]
    pub fn of(table: &Table, collation: &str, columns: &[String]) -> Option<Self> {
        let part = |(source, name): (usize, &String)| {
            let column = table.column(name)?;
            let collation = column.collation.as_deref().unwrap_or(collation);
            Some(KeyPart { source, kind: KeyKind::of(&column.sql_type, collation)? })
        };
        let parts: Option<Vec<KeyPart>> = columns.iter().enumerate().map(part).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| Self { parts })
    }

    /// The same comparison, of values in other places of a row: a reference's columns, compared
    /// as the columns that they refer to are. `None` when their numbers differ.
    #[must_use]
    pub fn at(&self, places: &[usize]) -> Option<Self> {
        if places.len() != self.parts.len() {
            return None;
        }
        let parts = self.parts.iter().zip(places);
        let parts = parts.map(|(part, &source)| KeyPart { source, ..*part }).collect();
        Some(Self { parts })
    }

    /// Whether columns of these types can refer to a key of those.
    #[must_use]
    pub fn accepts(&self, from: &Self) -> bool {
        self.parts.len() == from.parts.len()
            && self.parts.iter().zip(&from.parts).all(|(key, from)| key.kind.accepts(from.kind))
    }

    /// Whether two different spellings can be one key: one of the columns is a text.
    #[must_use]
    pub fn has_spellings(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.kind, KeyKind::Text(_)))
    }

    /// The canonical key of a row.
    ///
    /// # Errors
    /// The rule that is in its way: `key.null`, `key.surrogate`, `key.long` or `key.type`.
    pub fn canonical(&self, row: &[LegacyValue<'_>]) -> Result<CanonicalKey, &'static str> {
        canonical(&self.parts, row).map_err(|fault| fault.rule)
    }
}

/// Digits after the point that a number needs, trailing zeros aside: of a float, those of the
/// shortest decimal that reads back as the same float. `None` for other values, and for a
/// number that no decimal holds. `single`: the column is a `real`.
#[must_use]
pub fn fraction_digits(value: &LegacyValue<'_>, single: bool) -> Option<u8> {
    match value {
        LegacyValue::Int(_) => Some(0),
        LegacyValue::Decimal(number) => Some(decimal::normalise(*number).scale),
        LegacyValue::Float(number) => {
            decimal::from_float(*number, single).map(|number| decimal::normalise(number).scale)
        }
        _ => None,
    }
}

/// Whether XAF's file content has a reading of the length that its `size` says (trap 19).
#[must_use]
pub fn is_file(content: &LegacyValue<'_>, size: &LegacyValue<'_>) -> bool {
    convert::inflate(content, size, &mut Vec::new()).is_ok()
}

/// What a wall clock showed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Once, as nearly always.
    Once,
    /// Never: the hour that summer time skipped.
    Never,
    /// Twice: the hour before the clock was set back.
    Twice,
}

/// The wall clock of a time zone.
#[derive(Debug, Clone)]
pub struct WallClock {
    name: &'static str,
    zone: Arc<Zone>,
}

impl WallClock {
    /// By the zone's name in the IANA database.
    ///
    /// # Errors
    /// The name that comes nearest, when there is no such zone.
    pub fn named(name: &str) -> Result<Self, Option<&'static str>> {
        let zone: chrono_tz::Tz = name
            .parse()
            .map_err(|_| closest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())))?;
        Ok(Self { name: zone.name(), zone: Zone::shared(zone) })
    }

    /// The zone's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How often the clock showed a wall time, in ticks of 100 ns since 1970-01-01 00:00.
    #[must_use]
    pub fn shown(&self, ticks: i64) -> Shown {
        let second = ticks.div_euclid(crate::value::TICKS_PER_SECOND);
        match self.zone.instant(second, Gap::Reject, Overlap::Reject) {
            Ok(_) => Shown::Once,
            Err(NoInstant::Gap) => Shown::Never,
            Err(NoInstant::Overlap) => Shown::Twice,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::{
        catalog::{Column, LegacyTable},
        value::Decimal,
    };

    fn table(columns: &[(&str, &str)]) -> Table {
        let column = |(name, sql_type): &(&str, &str)| Column {
            name: (*name).to_owned(),
            sql_type: sql_type.parse().expect("a type"),
            nullable: true,
            collation: None,
            computed: false,
            identity: false,
        };
        let columns = columns.iter().map(column).collect();
        Table::new(LegacyTable::new("dbo", "T"), columns, Vec::new())
    }

    fn text(text: &'static str) -> LegacyValue<'static> {
        LegacyValue::Text(Cow::Borrowed(text))
    }

    #[test]
    fn a_reference_is_compared_as_its_parent_is() {
        let table = table(&[("A", "nvarchar(4)"), ("B", "int"), ("C", "nvarchar(max)")]);
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let key = KeyColumns::of(&table, "Cyrillic_General_CI_AS", &names(&["A", "B"]));
        let key = key.expect("a key");
        let parent = key.canonical(&[text("Аб "), LegacyValue::Int(7)]);
        let child = key.at(&[2, 0]).expect("two places");
        let row = [LegacyValue::Int(7), LegacyValue::Null, text("АБ")];
        assert_eq!(child.canonical(&row), parent);
        assert_eq!(key.at(&[0]), None);
        assert!(key.accepts(&child) && key.has_spellings());
        let swapped = KeyColumns::of(&table, "", &names(&["B", "A"])).expect("a key");
        assert!(!key.accepts(&swapped));
        assert_eq!(key.canonical(&[LegacyValue::Null]), Err("key.null"));
        for none in [&["C"][..], &["X"], &[]] {
            assert_eq!(KeyColumns::of(&table, "", &names(none)), None, "{none:?}");
        }
    }

    #[test]
    fn digits_are_counted_without_a_float() {
        let decimal = |unscaled, scale| LegacyValue::Decimal(Decimal { unscaled, scale });
        for (value, digits) in [
            (LegacyValue::Int(5), Some(0)),
            (decimal(1_234_500, 4), Some(2)),
            (decimal(1_234_550, 4), Some(3)),
            (decimal(0, 10), Some(0)),
            (LegacyValue::Float(99.995), Some(3)),
            (LegacyValue::Float(0.1 + 0.2), Some(17)),
            (LegacyValue::Float(1e300), None),
            (text("1.5"), None),
        ] {
            assert_eq!(fraction_digits(&value, false), digits, "{value}");
        }
        assert_eq!(fraction_digits(&LegacyValue::Float(f64::from(1.1_f32)), true), Some(1));
    }

    #[test]
    fn a_clock_knows_the_hours_that_were_not() {
        let clock = WallClock::named("Asia/Ulaanbaatar").expect("a zone");
        let hour = 3600 * crate::value::TICKS_PER_SECOND;
        // 2016-03-26 02:30, 2016-09-23 23:30.
        for (hours, shown) in [(405_266, Shown::Never), (409_631, Shown::Twice), (0, Shown::Once)] {
            assert_eq!(clock.shown(hours * hour + hour / 2), shown, "{hours}");
        }
        assert_eq!(clock.name(), "Asia/Ulaanbaatar");
        let near = WallClock::named("asia/ulaanbatar").map(|clock| clock.name());
        assert_eq!(near, Err(Some("Asia/Ulaanbaatar")));
    }

    #[test]
    fn a_file_has_the_length_that_it_says() {
        let content = LegacyValue::Bytes(Cow::Borrowed(b"plain"));
        assert!(is_file(&content, &LegacyValue::Int(5)));
        assert!(!is_file(&content, &LegacyValue::Int(6)));
        assert!(!is_file(&content, &LegacyValue::Null));
    }
}
