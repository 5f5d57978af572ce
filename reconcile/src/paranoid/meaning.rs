//! Whether two texts mean the same. Pure, slow and plain; knows nothing of the encoder.

use std::collections::BTreeMap;

use chrono::{MappedLocalTime, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Which blanks are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trim {
    None,
    End,
    Both,
}

/// Days and times that mean something else: legacy text → `null`, `infinity`, `-infinity`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sentinels(pub(crate) BTreeMap<String, String>);

/// What a column is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Meaning {
    Bool,
    /// A number, the target's point so many digits to the right of the legacy side's.
    Number {
        shift: usize,
    },
    Float,
    Text {
        trim: Trim,
        empty_is_null: bool,
        strip_nul: bool,
    },
    Uuid,
    Hex,
    Color,
    Word {
        values: BTreeMap<String, String>,
        unknown: Option<String>,
    },
    Type {
        values: BTreeMap<String, String>,
    },
    Date(Sentinels),
    Wall(Sentinels),
    Instant(Sentinels),
    Zoned {
        zone: Tz,
        sentinels: Sentinels,
    },
    Const(String),
    /// The target's text is the legacy key behind the id.
    Ref {
        empty_is_null: bool,
    },
}

/// What is to be said of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Same,
    Other,
    /// The rules do not say (such as a wall time that never was).
    Nothing,
}

impl From<bool> for Said {
    fn from(same: bool) -> Self {
        if same { Self::Same } else { Self::Other }
    }
}

/// What a legacy text has to be in the target: a value, or NULL.
enum Wanted {
    Null,
    Value(Said),
}

impl Meaning {
    /// A default as the target shows it.
    pub(crate) fn default_text(&self, default: String) -> String {
        match (self, default.as_str()) {
            (Self::Bool, "0") => "false".to_owned(),
            (Self::Bool, "1") => "true".to_owned(),
            // It goes through the column's own conversion.
            (Self::Word { values, .. }, key) => values.get(key).cloned().unwrap_or(default),
            _ => default,
        }
    }

    /// Compares the legacy texts with the target's; `null` is what a legacy NULL stands for.
    pub(crate) fn compare(
        &self,
        legacy: &[Option<&str>],
        target: Option<&str>,
        (null, types): (Option<&str>, &BTreeMap<i64, String>),
    ) -> Said {
        if let Self::Const(value) = self {
            return (target == Some(value)).into();
        }
        if let Self::Ref { empty_is_null } = self {
            return reference(legacy, target, *empty_is_null);
        }
        let Some(legacy) = legacy.first().copied().flatten() else {
            return self.stands_for_null(null, target);
        };
        match (self.want(legacy, target.unwrap_or_default(), types), target) {
            (Wanted::Null, _) => self.stands_for_null(null, target),
            (Wanted::Value(Said::Nothing), _) => Said::Nothing,
            (Wanted::Value(_), None) => Said::Other,
            (Wanted::Value(said), Some(_)) => said,
        }
    }

    fn stands_for_null(&self, null: Option<&str>, target: Option<&str>) -> Said {
        match (null, target) {
            (None, target) => target.is_none().into(),
            (Some(null), Some(target)) if matches!(self, Self::Number { .. } | Self::Float) => {
                // A default of an amount goes through its conversion, as a legacy value does.
                match self.want(null, target, &BTreeMap::new()) {
                    Wanted::Value(said) => said,
                    Wanted::Null => Said::Nothing,
                }
            }
            (Some(null), target) => (target == Some(null)).into(),
        }
    }

    fn want(&self, legacy: &str, target: &str, types: &BTreeMap<i64, String>) -> Wanted {
        let value = |same: bool| Wanted::Value(same.into());
        match self {
            Self::Bool => value(matches!((legacy, target), ("0", "false") | ("1", "true"))),
            Self::Number { shift } => match (number(legacy, *shift), number(target, 0)) {
                (Some(legacy), Some(target)) => value(legacy == target),
                _ => Wanted::Value(Said::Nothing),
            },
            Self::Float => match (legacy.parse::<f64>(), target.parse::<f64>()) {
                // A `real` has fewer digits.
                (Ok(left), Ok(right)) => value(
                    left.to_bits() == right.to_bits()
                        || (left == 0.0 && right == 0.0)
                        || legacy
                            .parse::<f32>()
                            .is_ok_and(|real| f64::from(real).to_bits() == right.to_bits()),
                ),
                _ => Wanted::Value(Said::Nothing),
            },
            Self::Text { trim, empty_is_null, strip_nul } => {
                let text = if *strip_nul { legacy.replace('\0', "") } else { legacy.to_owned() };
                let text = match trim {
                    Trim::None => text.as_str(),
                    Trim::End => text.trim_end_matches(' '),
                    Trim::Both => text.trim_matches(' '),
                };
                // A number or a GUID is written without capitals.
                let same = text == target || is_same_guid(text, target);
                if *empty_is_null && text.is_empty() { Wanted::Null } else { value(same) }
            }
            Self::Uuid => value(legacy.trim_matches(['{', '}', ' ']).eq_ignore_ascii_case(target)),
            Self::Hex => {
                let target = target.strip_prefix("\\x").unwrap_or(target);
                value(legacy.eq_ignore_ascii_case(target))
            }
            Self::Color => match legacy.parse::<i64>() {
                Ok(argb) => value(format!("#{:08x}", argb & 0xFFFF_FFFF) == target),
                Err(_) => Wanted::Value(Said::Nothing),
            },
            Self::Word { values, unknown } => word(values, unknown.as_deref(), legacy, target),
            Self::Type { values } => {
                let name = legacy.parse().ok().and_then(|number| types.get(&number));
                let name = name.map(|name| values.get(name).unwrap_or(name));
                name.map_or(Wanted::Value(Said::Nothing), |name| value(name == target))
            }
            Self::Date(sentinels) => {
                sentinels.or(legacy, target, || (legacy.get(..10) == Some(target)).into())
            }
            Self::Wall(sentinels) => sentinels.or(legacy, target, || {
                same_instant(legacy, target.strip_suffix("+00").unwrap_or(target))
            }),
            Self::Instant(sentinels) => sentinels.or(legacy, target, || {
                let legacy = legacy.strip_suffix('Z').unwrap_or(legacy);
                same_instant(legacy, target.strip_suffix("+00").unwrap_or(target))
            }),
            Self::Zoned { zone, sentinels } => {
                sentinels.or(legacy, target, || on_the_wall(*zone, legacy, target))
            }
            Self::Const(_) | Self::Ref { .. } => Wanted::Value(Said::Nothing),
        }
    }
}

impl Sentinels {
    fn or(&self, legacy: &str, target: &str, otherwise: impl FnOnce() -> Said) -> Wanted {
        let day = legacy.get(..10).unwrap_or(legacy);
        match self.0.get(legacy).or_else(|| self.0.get(day)).map(String::as_str) {
            None => Wanted::Value(otherwise()),
            Some("null") => Wanted::Null,
            Some(other) => Wanted::Value((target == other).into()),
        }
    }
}

fn word(
    values: &BTreeMap<String, String>,
    unknown: Option<&str>,
    legacy: &str,
    target: &str,
) -> Wanted {
    // Texts are found as a collation compares them, which is not known here.
    let is_key = |key: &&String| key.trim_end().to_lowercase() == legacy.trim_end().to_lowercase();
    let found = values.keys().find(is_key).and_then(|key| values.get(key));
    match found.map(String::as_str).or(unknown) {
        Some(word) => Wanted::Value((word == target).into()),
        None => Wanted::Value(Said::Nothing),
    }
}

fn is_same_guid(left: &str, right: &str) -> bool {
    left.len() == 36 && left.eq_ignore_ascii_case(right) && uuid::Uuid::parse_str(left).is_ok()
}

/// A plain decimal, its point moved to the right, without what does not change its value.
fn number(text: &str, shift: usize) -> Option<(bool, String, String)> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let fraction = format!("{fraction:0<shift$}");
    let (moved, rest) = fraction.split_at(shift);
    let whole = format!("{whole}{moved}").trim_start_matches('0').to_owned();
    let rest = rest.trim_end_matches('0').to_owned();
    let is_zero = whole.is_empty() && rest.is_empty();
    Some((negative && !is_zero, whole, rest))
}

/// To the microsecond, which is all that Postgres holds.
pub(crate) fn moment(text: &str) -> Option<NaiveDateTime> {
    let (day, time) = text.split_once(['T', 't', ' '])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let text = format!("{day} {time}.{fraction}");
    NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok()
}

fn same_instant(legacy: &str, target: &str) -> Said {
    match (moment(legacy), moment(target)) {
        (Some(legacy), Some(target)) => (legacy == target).into(),
        _ => Said::Nothing,
    }
}

/// An instant taken back to the wall clock of a zone.
fn on_the_wall(zone: Tz, legacy: &str, target: &str) -> Said {
    let target = target.strip_suffix("+00").and_then(moment);
    let (Some(legacy), Some(target)) = (moment(legacy), target) else { return Said::Nothing };
    if matches!(zone.from_local_datetime(&legacy), MappedLocalTime::None) {
        return Said::Nothing;
    }
    (zone.from_utc_datetime(&target).naive_local() == legacy).into()
}

/// `target` is the key behind the id, its parts with a line end between.
fn reference(legacy: &[Option<&str>], target: Option<&str>, empty_is_null: bool) -> Said {
    let is_nothing = |part: &Option<&str>| match part {
        None => true,
        // XAF writes zeros where it means nobody.
        Some(text) if *text == NOBODY => true,
        Some(text) => empty_is_null && text.trim().is_empty(),
    };
    if legacy.iter().any(is_nothing) {
        return target.is_none().into();
    }
    let Some(target) = target else { return Said::Other };
    let plain = |text: &str| {
        let text = text.trim_end().to_lowercase();
        // A number may have zeros that say nothing; a time may leave out what is zero.
        match (number(&text, 0), moment(&text)) {
            (Some(number), _) => format!("{number:?}"),
            (None, Some(moment)) => moment.to_string(),
            (None, None) => text,
        }
    };
    let parts: Vec<&str> = target.split('\n').collect();
    if parts.len() != legacy.len() {
        return Said::Nothing;
    }
    let mut pairs = legacy.iter().flatten().zip(parts);
    pairs.all(|(legacy, target)| plain(legacy) == plain(target)).into()
}

#[cfg(test)]
mod tests;
