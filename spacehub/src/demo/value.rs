//! Short ways to write legacy values.

use std::borrow::Cow;

use chrono::NaiveDate;
use mapping::value::{Decimal, LegacyValue, TICKS_PER_SECOND};

use super::dice::Dice;

/// A value that owns itself.
pub(crate) type Value = LegacyValue<'static>;

/// NULL.
pub(crate) const NULL: Value = LegacyValue::Null;

const TICKS_PER_MS: i64 = TICKS_PER_SECOND / 1000;
const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;

pub(crate) fn text(value: impl Into<Cow<'static, str>>) -> Value {
    LegacyValue::Text(value.into())
}

pub(crate) fn int(value: i64) -> Value {
    LegacyValue::Int(value)
}

/// Counts and row numbers: they fit.
pub(crate) fn number(value: u64) -> Value {
    LegacyValue::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(crate) fn float(value: f64) -> Value {
    LegacyValue::Float(value)
}

pub(crate) fn flag(value: bool) -> Value {
    LegacyValue::Bool(value)
}

pub(crate) fn guid(value: uuid::Uuid) -> Value {
    LegacyValue::Guid(value)
}

pub(crate) fn bytes(value: Vec<u8>) -> Value {
    LegacyValue::Bytes(Cow::Owned(value))
}

/// `money` from mungo: four digits, of which the last two are zero.
pub(crate) fn money(mungo: i64) -> Value {
    ten_thousandths(mungo * 100)
}

/// `money` from its smallest unit.
pub(crate) fn ten_thousandths(unscaled: i64) -> Value {
    LegacyValue::Decimal(Decimal { unscaled: i128::from(unscaled), scale: 4 })
}

/// `decimal(28,10)`.
pub(crate) fn decimal10(unscaled: i128) -> Value {
    LegacyValue::Decimal(Decimal { unscaled, scale: 10 })
}

/// The double nearest to so many mungo as MNT; its shortest decimal form has at most two digits.
pub(crate) fn float_money(mungo: i64) -> Value {
    float(double(mungo) / 100.0)
}

/// An integer as a double; exact below 2^53.
pub(crate) fn double(value: i64) -> f64 {
    let magnitude = value.unsigned_abs();
    let high = u32::try_from(magnitude >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(magnitude & 0xffff_ffff).unwrap_or(u32::MAX);
    let positive = f64::from(high) * 4_294_967_296.0 + f64::from(low);
    if value < 0 { -positive } else { positive }
}

/// A day as days since 1970; day 0 when there is no such day.
pub(crate) fn day(year: i32, month: u32, day: u32) -> i64 {
    NaiveDate::from_ymd_opt(year, month, day).map_or(0, |date| i64::from(date.to_epoch_days()))
}

/// `date`.
pub(crate) fn date(days: i64) -> Value {
    LegacyValue::Date(i32::try_from(days).unwrap_or(0))
}

/// `datetime` at midnight.
pub(crate) fn midnight(days: i64) -> Value {
    LegacyValue::Timestamp(days * TICKS_PER_DAY)
}

/// `datetime` at a second of a day.
pub(crate) fn moment(days: i64, second: i64) -> Value {
    LegacyValue::Timestamp(days * TICKS_PER_DAY + second * TICKS_PER_SECOND)
}

/// `datetime` at one of its steps of 1/300 s, as SQL Server prints it: .000, .003, .007, .010 …
pub(crate) fn step(days: i64, second: i64, step: i64) -> Value {
    let within = match step % 3 {
        0 => 0,
        1 => 3,
        _ => 7,
    };
    let ms = step % 300 / 3 * 10 + within;
    LegacyValue::Timestamp(days * TICKS_PER_DAY + second * TICKS_PER_SECOND + ms * TICKS_PER_MS)
}

/// A random `datetime` of the day, in office hours.
pub(crate) fn office_hours(dice: &mut Dice, days: i64) -> Value {
    step(days, 8 * 3600 + dice.int(10 * 3600), dice.int(300))
}

/// A random day from 2008 to 2025.
pub(crate) fn any_day(dice: &mut Dice) -> i64 {
    day(2008, 1, 1) + dice.int(6570)
}

/// A text and sometimes NULL.
pub(crate) fn maybe(
    dice: &mut Dice,
    null_once_in: u64,
    value: impl FnOnce(&mut Dice) -> Value,
) -> Value {
    if dice.once_in(null_once_in) { NULL } else { value(dice) }
}
