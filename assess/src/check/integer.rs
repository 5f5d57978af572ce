//! Integers of few values: enums, it seems.

use std::collections::BTreeMap;

use mapping::value::LegacyValue;

use super::{Check, Told};
use crate::{
    advice,
    assessment::EXAMPLES_MAX,
    code,
    names::is_counted,
    row::{Row, Tally},
    subject::{Read, Subject},
};

/// An enum has no more values than this.
const VALUES_MAX: usize = 32;
/// No larger number either, flags included.
const VALUE_MAX: u64 = 65_536;
/// A value is somebody's mistake rather than the enum's when it is rarer than this share.
const RARE: u64 = 100;

/// Of one column.
pub(super) struct Integer<'a> {
    read: Read<'a>,
    nulls: Tally,
    /// Values with their counts and the first row's key; `None` when there are too many.
    values: Option<BTreeMap<i64, (u64, Option<String>)>>,
}

impl<'a> Integer<'a> {
    /// `None` for a column that numbers something: a key, a reference, XPO's own.
    pub(super) fn of(subject: &Subject<'_>, read: Read<'a>) -> Option<Self> {
        let name = &read.column.name;
        let is_other =
            subject.is_key(name) || subject.is_reference(name) || Subject::is_service(name);
        (!is_other).then(|| Self { read, nulls: Tally::default(), values: Some(BTreeMap::new()) })
    }
}

impl Check for Integer<'_> {
    fn look(&mut self, row: &Row<'_>) {
        let value = match row.value(self.read.place) {
            LegacyValue::Int(value) => *value,
            LegacyValue::Null => return self.nulls.add(row),
            _ => return,
        };
        let Some(values) = &mut self.values else { return };
        values.entry(value).or_insert_with(|| (0, row.key_text())).0 += 1;
        if values.len() > VALUES_MAX {
            self.values = None;
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let (name, nulls) = (self.read.column.name.as_str(), self.nulls.count);
        let values = self.values.unwrap_or_default();
        let filled = told.filled(self.read.at);
        if let Some(facts) = told.facts(self.read.at) {
            facts.values = values.iter().map(|(value, (count, _))| (*value, *count)).collect();
        }
        if is_enum(name, &values, filled) {
            let tally = Tally { count: filled, examples: rare(&values, filled) };
            told.rows(
                code::ENUM_VALUES,
                &[name],
                tally,
                message(&values, nulls),
                line(name, &values, nulls),
            );
        } else if filled > 0 {
            let advice = advice::line(name, "int4", &[("default", "0")]);
            let message = "NULL, which XPO reads as 0 unless the property may be null";
            told.rows(code::NULL_INT, &[name], self.nulls, message, advice);
        }
    }
}

type Values = BTreeMap<i64, (u64, Option<String>)>;

/// Several values, each met three times on average, and a name that does not say otherwise.
fn is_enum(name: &str, values: &Values, filled: u64) -> bool {
    let distinct = u64::try_from(values.len()).unwrap_or(u64::MAX);
    distinct >= 2
        && filled >= distinct.saturating_mul(3)
        && values.keys().all(|value| value.unsigned_abs() <= VALUE_MAX)
        && !is_counted(name)
}

/// Keys of rows with the rarest values: where a number is that the enum never had.
fn rare(values: &Values, filled: u64) -> Vec<String> {
    let mut rare: Vec<(u64, &str)> = values
        .values()
        .filter(|(count, _)| count.saturating_mul(RARE) < filled)
        .filter_map(|(count, key)| Some((*count, key.as_deref()?)))
        .collect();
    rare.sort_unstable();
    rare.into_iter().take(EXAMPLES_MAX).map(|(_, key)| key.to_owned()).collect()
}

fn message(values: &Values, nulls: u64) -> String {
    let shown: Vec<String> =
        values.iter().map(|(value, (count, _))| format!("{value} ({count})")).collect();
    let null = if nulls > 0 { format!(", NULL ({nulls})") } else { String::new() };
    format!(
        "{} values: {}{null}; an enum, it seems: name them as the class does",
        values.len(),
        shown.join(", ")
    )
}

fn line(name: &str, values: &Values, nulls: u64) -> String {
    let named = |value: &i64| {
        let sign = if *value < 0 { "minus_" } else { "" };
        advice::quote(&format!("value_{sign}{}", value.unsigned_abs()))
    };
    let table = advice::inline(values.keys().map(|value| (value.to_string(), named(value))));
    // XPO reads NULL as the enum's zero.
    let zero = values.contains_key(&0).then(|| named(&0));
    let mut options = vec![("values", table.as_str())];
    if let Some(zero) = zero.as_deref().filter(|_| nulls > 0) {
        options.push(("null", zero));
    }
    advice::line(name, "enum", &options)
}
