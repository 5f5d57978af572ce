//! What the decoded value should be, Debezium's known deviations included.

use std::collections::BTreeMap;

use cdc_consumer::Modes;
use mapping::catalog::SqlType;
use serde::Deserialize;

use super::Cell;

/// One column of the row that the event is about.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Expected {
    #[serde(rename = "type")]
    pub(crate) sql_type: String,
    pub(crate) sql: Option<String>,
    #[serde(default)]
    pub(crate) default: Option<String>,
}

/// The connector's settings, as the golden line tells them.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Settings(BTreeMap<String, String>);

/// How a value compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Equal,
    /// LEGACY-FACTS D 5: an update or delete does not carry the LOB.
    Unchanged,
    /// D 6: the time mode has a coarser unit than the column.
    Cut,
    /// D 1: a datetime2 that nanoseconds can't hold is NULL.
    OutOfRange,
    /// D 2: an offset time before 1970 is a second late, or of another calendar.
    OffsetBefore1970,
    /// D 7: the ten days that the Gregorian calendar left out.
    OldCalendar,
    /// D 4: NULL came as the column's default.
    Default,
    /// A double does not tell the decimal: refused.
    Inexact,
    /// The connector hashed or cut the text on purpose.
    Masked,
    Wrong,
}

impl Settings {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn modes(&self) -> Modes {
        let mut modes = Modes::default();
        let set = |name: &str| self.0.get(name).map(String::as_str);
        if let Some(mode) = set("decimal.handling.mode") {
            modes.decimal = mode.parse().unwrap();
        }
        if let Some(mode) = set("time.precision.mode") {
            modes.time = mode.parse().unwrap();
        }
        if let Some(mode) = set("binary.handling.mode") {
            modes.binary = mode.parse().unwrap();
        }
        modes
    }

    pub(crate) fn changes_columns(&self) -> bool {
        self.0.contains_key("field.name.adjustment.mode")
            || self.0.contains_key("column.exclude.list")
    }

    fn masks(&self) -> bool {
        self.0
            .keys()
            .any(|key| key.starts_with("column.mask") || key.starts_with("column.truncate"))
    }
}

pub(crate) fn judge(
    expect: &Expected,
    sql_type: &SqlType,
    cell: &Cell,
    op: &str,
    which: &str,
    settings: &Settings,
) -> Verdict {
    if let Some(fault) = &cell.fault {
        let double = settings.get("decimal.handling.mode") == "double";
        return if double && fault.starts_with("decimal.inexact") {
            Verdict::Inexact
        } else {
            Verdict::Wrong
        };
    }
    if cell.unchanged {
        let may = sql_type.is_lob() && (op == "u" || op == "d");
        return if may { Verdict::Unchanged } else { Verdict::Wrong };
    }
    let Some(sql) = &expect.sql else {
        return match &cell.value {
            None => Verdict::Equal,
            Some(_) if expect.default.is_some() => Verdict::Default,
            Some(_) => Verdict::Wrong,
        };
    };
    let Some(value) = &cell.value else {
        let nanoseconds = matches!(sql_type, SqlType::DateTime2 { scale: 7 });
        let far = sql.as_str() < "1677-09-21 00:12:43.1452242"
            || sql.as_str() > "2262-04-11 23:47:16.8547758";
        return if nanoseconds && far { Verdict::OutOfRange } else { Verdict::Wrong };
    };
    let wanted = canonical_of(sql, sql_type);
    if same(value, &wanted, sql_type) {
        return Verdict::Equal;
    }
    let _ = which;
    deviation(value, &wanted, sql_type, settings)
}

fn same(value: &str, wanted: &str, sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Float => value.parse::<f64>().ok() == wanted.parse().ok(),
        SqlType::Real => value.parse::<f32>().ok() == wanted.parse().ok(),
        SqlType::Char { .. } | SqlType::NChar { .. } => {
            value.trim_end_matches(' ') == wanted.trim_end_matches(' ')
        }
        // The stand-in for the server pads binary(n).
        SqlType::Binary { .. } => value.trim_end_matches('0') == wanted.trim_end_matches('0'),
        _ => value == wanted,
    }
}

fn deviation(value: &str, wanted: &str, sql_type: &SqlType, settings: &Settings) -> Verdict {
    let temporal = matches!(
        sql_type,
        SqlType::Time { .. } | SqlType::DateTime2 { .. } | SqlType::DateTimeOffset { .. }
    );
    if matches!(sql_type, SqlType::DateTimeOffset { .. }) && wanted < "1970" {
        return Verdict::OffsetBefore1970;
    }
    if temporal && wanted.starts_with("1582-10-1") {
        return Verdict::OldCalendar;
    }
    let digits = match settings.get("time.precision.mode") {
        "connect" => 3,
        "microseconds" | "adaptive_time_microseconds" => 6,
        _ => 7,
    };
    if temporal && cut(wanted, digits) == value {
        return Verdict::Cut;
    }
    let text = matches!(sql_type, SqlType::NVarChar { .. } | SqlType::VarChar { .. });
    if text && settings.masks() {
        return Verdict::Masked;
    }
    Verdict::Wrong
}

/// The fraction cut to so many digits, with zeros in their place.
fn cut(text: &str, digits: usize) -> String {
    let Some((head, fraction)) = text.split_once('.') else { return text.into() };
    let kept: String = fraction.chars().take(digits).collect();
    format!("{head}.{kept:0<width$}", width = fraction.len())
}

/// The canonical text of the literal, written here a second time on purpose.
fn canonical_of(sql: &str, sql_type: &SqlType) -> String {
    let padded = |text: &str, scale: u8| {
        let scale = usize::from(scale);
        let (head, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        if scale == 0 { head.to_owned() } else { format!("{head}.{fraction:0<scale$}") }
    };
    let stamp = |text: &str, scale: u8| padded(&text.replacen(' ', "T", 1), scale);
    match sql_type {
        SqlType::UniqueIdentifier => sql.to_lowercase(),
        SqlType::Time { scale } => padded(sql, *scale),
        SqlType::DateTime => stamp(sql, 3),
        SqlType::SmallDateTime => stamp(sql, 0),
        SqlType::DateTime2 { scale } => stamp(sql, *scale),
        SqlType::DateTimeOffset { scale } => {
            let (local, offset) = sql.rsplit_once(' ').unwrap();
            format!("{}{offset}", stamp(local, *scale))
        }
        SqlType::Decimal { scale, .. } => padded(sql, *scale),
        SqlType::Money | SqlType::SmallMoney => padded(sql, 4),
        _ => sql.to_owned(),
    }
}

/// Equal but for zeros at the end of a fraction.
pub(crate) fn same_but_for_precision(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let (head, zone) = match text.find(['+', 'Z']) {
            Some(at) if text.contains('T') => text.split_at(at),
            _ => (text, ""),
        };
        let head = if head.contains('.') {
            head.trim_end_matches('0').trim_end_matches('.')
        } else {
            head
        };
        format!("{head}{zone}")
    };
    bare(one) == bare(other) || (one.len() > 19 && zoned(one) == zoned(other))
}

/// A text with its fraction's trailing zeros dropped, whatever the zone's sign.
fn zoned(text: &str) -> String {
    let Some((head, zone)) = text.split_at_checked(text.len() - 6) else { return text.into() };
    if head.contains('.') {
        format!("{}{zone}", head.trim_end_matches('0').trim_end_matches('.'))
    } else {
        text.into()
    }
}
