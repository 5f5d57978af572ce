//! What an event has to say of a column, Debezium's known deviations included, each by its name.
//!
//! Nothing is "about right": a rule predicts the one value that the decoder must give, and a
//! value that no rule predicts fails. So a later version of the connector that behaves otherwise
//! is noticed, whether it got better or worse.

use mapping::catalog::SqlType;
use sha2::{Digest, Sha256};

use super::{
    file::{Expected, LONE_SURROGATE, Settings},
    literal,
};

/// Why a value is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// It is what the table holds.
    AsStored,
    /// The event does not tell a large value: NULL and the placeholder both mean "unknown".
    LargeValueUnknown,
    /// NULL of a column with a default comes as the default.
    NullAsDefault,
    /// A datetime2(7) that 64 bits of nanoseconds can't hold comes as NULL.
    BeyondNanoseconds,
    /// An offset time before 1970 with a fraction of a second comes one second late.
    OffsetSecondLate,
    /// An offset time of the first centuries comes by the Julian calendar.
    OffsetJulian,
    /// Days that the Gregorian calendar left out come ten days late.
    TenDaysLate,
    /// The time mode's unit is coarser than the column's: cut toward the past.
    TimeCut,
    /// A double can't tell the decimal: refused, never rounded.
    DoubleInexact,
    /// The connector hashed the text as it was told to.
    Hashed,
    /// The connector cut the text as it was told to.
    TextCut,
    /// The connector left the column out as it was told to.
    LeftOut,
    /// Half a surrogate pair: told as broken text, and what is around it kept.
    LoneSurrogate,
}

/// What the decoder must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Null,
    Value(String),
    Broken(String),
    Unchanged,
    /// A rule of the decoder that refuses it.
    Refused(&'static str),
    Absent,
}

/// Where a column stands.
pub(super) struct Place<'a> {
    pub(super) table: &'a str,
    pub(super) column: &'a str,
    pub(super) settings: &'a Settings,
    /// A row before or after an update, or a deleted one: CDC keeps no large value that was left
    /// alone.
    pub(super) partial: bool,
}

pub(super) fn predict(expect: &Expected, sql_type: &SqlType, place: &Place<'_>) -> (Rule, Outcome) {
    let Place { table, column, settings, partial } = *place;
    if settings.leaves_out(table, column) {
        return (Rule::LeftOut, Outcome::Absent);
    }
    if partial && sql_type.is_lob() && (expect.cdc_image_is_null || expect.sql.is_none()) {
        return (Rule::LargeValueUnknown, Outcome::Unchanged);
    }
    let Some(sql) = &expect.sql else {
        return match expect.default.as_deref().and_then(literal::of_default) {
            Some(default) => {
                (Rule::NullAsDefault, Outcome::Value(literal::canonical(&default, sql_type)))
            }
            None => (Rule::AsStored, Outcome::Null),
        };
    };
    let stored = literal::canonical(sql, sql_type);
    if sql.contains(LONE_SURROGATE) {
        let told = stored.replace(LONE_SURROGATE, "\u{FFFD}");
        return (Rule::LoneSurrogate, Outcome::Broken(told));
    }
    if settings.hashes(table, column) {
        return (Rule::Hashed, Outcome::Value(hashed(sql, sql_type)));
    }
    if settings.cuts_to_five(table, column) && sql.chars().count() > 5 {
        return (Rule::TextCut, Outcome::Value(sql.chars().take(5).collect()));
    }
    let (rule, outcome) = number_or_time(&stored, sql_type, settings);
    (rule, outcome.unwrap_or(Outcome::Value(stored)))
}

/// SHA-256 of salt and text in hex, as long as the column is wide.
fn hashed(text: &str, sql_type: &SqlType) -> String {
    let SqlType::NVarChar { length: Some(length) } = sql_type else {
        panic!("only a text of a known length is hashed in these sets");
    };
    let digest = Sha256::digest(format!("s1{text}").as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(usize::from(*length)).collect()
}

fn number_or_time(
    stored: &str,
    sql_type: &SqlType,
    settings: &Settings,
) -> (Rule, Option<Outcome>) {
    let nothing = (Rule::AsStored, None);
    match sql_type {
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => {
            let double = settings.get("decimal.handling.mode") == "double";
            if double && literal::significant_digits(stored) > 15 {
                return (Rule::DoubleInexact, Some(Outcome::Refused("decimal.inexact")));
            }
            nothing
        }
        SqlType::DateTimeOffset { scale } => offset_time(stored, *scale),
        SqlType::Time { .. } => cut(stored, stored, settings),
        SqlType::DateTime2 { scale } => wall_time(stored, *scale, settings),
        _ => nothing,
    }
}

fn offset_time(stored: &str, scale: u8) -> (Rule, Option<Outcome>) {
    let value = |rule, text| (rule, Some(Outcome::Value(text)));
    if let Some(shifted) = literal::julian_offset(stored, scale) {
        return value(Rule::OffsetJulian, shifted);
    }
    match literal::offset_second_late(stored, scale) {
        Some(late) => value(Rule::OffsetSecondLate, late),
        None => (Rule::AsStored, None),
    }
}

fn wall_time(stored: &str, scale: u8, settings: &Settings) -> (Rule, Option<Outcome>) {
    let mode = settings.get("time.precision.mode");
    let as_nanoseconds = !matches!(mode, "connect" | "microseconds" | "isostring");
    let late = literal::ten_days_late(stored, scale);
    if scale == 7 && as_nanoseconds && !literal::fits_nanoseconds(stored) {
        return (Rule::BeyondNanoseconds, Some(Outcome::Null));
    }
    match late {
        Some(late) => {
            let (_, cut) = cut(&late, &late, settings);
            (Rule::TenDaysLate, Some(cut.unwrap_or(Outcome::Value(late))))
        }
        None => cut(stored, stored, settings),
    }
}

/// The digits that the time mode's unit holds.
fn cut(text: &str, stored: &str, settings: &Settings) -> (Rule, Option<Outcome>) {
    let time_of_day = !text.contains('T');
    let digits = match settings.get("time.precision.mode") {
        "connect" => 3,
        "microseconds" => 6,
        "adaptive_time_microseconds" if time_of_day => 6,
        _ => 7,
    };
    let kept = literal::cut(text, digits);
    if kept == stored {
        (Rule::AsStored, None)
    } else {
        (Rule::TimeCut, Some(Outcome::Value(kept)))
    }
}
