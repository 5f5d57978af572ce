//! Legacy values to Postgres's texts.

use std::io::{self, Read};

use chrono::{DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::{Asia::Ulaanbaatar, Tz};
use mapping::value::{LegacyValue, TICKS_PER_SECOND};

/// A text, NULL, or the rule that the value breaks.
pub(super) type Converted = Result<Option<String>, &'static str>;

type Legacy = LegacyValue<'static>;

fn plain(value: &Legacy) -> Converted {
    match value {
        LegacyValue::Text(text) if text.contains('\0') => Err("text.nul"),
        LegacyValue::Text(text) => Ok(Some(text.to_string())),
        LegacyValue::BrokenText(_) => Err("text.surrogate"),
        _ => Ok(None),
    }
}

/// To the letter.
pub(super) fn exact(value: &Legacy) -> Converted {
    plain(value)
}

/// Without blanks at the end.
pub(super) fn end_trimmed(value: &Legacy) -> Converted {
    Ok(plain(value)?.map(|text| text.trim_end_matches(' ').to_owned()))
}

/// Without blanks at both ends.
pub(super) fn trimmed(value: &Legacy) -> Converted {
    Ok(plain(value)?.map(|text| text.trim_matches(' ').to_owned()))
}

/// Without blanks; NULL when nothing is left.
pub(super) fn filled(value: &Legacy) -> Converted {
    Ok(trimmed(value)?.filter(|text| !text.is_empty()))
}

/// NULL when empty.
pub(super) fn not_empty(value: &Legacy) -> Converted {
    Ok(plain(value)?.filter(|text| !text.is_empty()))
}

/// U+0000 taken out.
pub(super) fn nul_stripped(value: &Legacy) -> Converted {
    match value {
        LegacyValue::Text(text) => Ok(Some(text.replace('\0', ""))),
        other => plain(other),
    }
}

/// Half a surrogate pair shown as U+FFFD.
pub(super) fn surrogate_replaced(value: &Legacy) -> Converted {
    match value {
        LegacyValue::BrokenText(text) => Ok(Some(text.to_string())),
        other => plain(other),
    }
}

pub(super) fn integer(value: &Legacy) -> Converted {
    Ok(match value {
        LegacyValue::Int(number) => Some(number.to_string()),
        _ => None,
    })
}

pub(super) fn integer_or_zero(value: &Legacy) -> Converted {
    Ok(integer(value)?.or_else(|| Some("0".into())))
}

pub(super) fn float(value: &Legacy) -> Converted {
    Ok(match value {
        LegacyValue::Float(number) => Some(number.to_string()),
        _ => None,
    })
}

pub(super) fn flag(value: &Legacy) -> Converted {
    Ok(Some((*value == LegacyValue::Bool(true)).to_string()))
}

/// Mungo.
pub(super) fn money(value: &Legacy) -> Converted {
    const INEXACT: &str = "money.inexact";
    match value {
        LegacyValue::Decimal(amount) if amount.unscaled % 100 == 0 => {
            Ok(Some((amount.unscaled / 100).to_string()))
        }
        LegacyValue::Decimal(_) => Err(INEXACT),
        LegacyValue::Float(amount) => {
            // Rust prints the shortest decimal form, never with an exponent.
            let text = amount.to_string();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            if fraction.len() > 2 {
                return Err(INEXACT);
            }
            let digits = format!("{whole}{fraction:0<2}");
            let mungo: i64 = digits.parse().map_err(|_| INEXACT)?;
            Ok(Some(mungo.to_string()))
        }
        _ => Ok(None),
    }
}

/// `numeric(28,10)` as it stands.
pub(super) fn decimal10(value: &Legacy) -> Converted {
    const SCALE: i128 = 10_000_000_000;
    Ok(match value {
        LegacyValue::Decimal(number) => {
            let sign = if number.unscaled < 0 { "-" } else { "" };
            let digits = number.unscaled.abs();
            Some(format!("{sign}{}.{:010}", digits / SCALE, digits % SCALE))
        }
        _ => None,
    })
}

/// One of the enum's names, counted from zero; NULL is `null`.
pub(super) fn one_of(
    names: &'static [&'static str],
    null: &'static str,
) -> impl Fn(&Legacy) -> Converted {
    move |value| match value {
        LegacyValue::Int(number) => {
            let name = usize::try_from(*number).ok().and_then(|number| names.get(number));
            name.map(|name| Some((*name).to_owned())).ok_or("enum.unknown")
        }
        _ => Ok(Some(null.to_owned())),
    }
}

/// `#aarrggbb`.
pub(super) fn color(value: &Legacy) -> Converted {
    Ok(match value {
        LegacyValue::Int(argb) => Some(format!("#{:08x}", argb & 0xffff_ffff)),
        _ => None,
    })
}

/// Whole seconds.
pub(super) fn seconds(value: &Legacy) -> Converted {
    match value {
        LegacyValue::Float(seconds) if seconds.fract() == 0.0 => Ok(Some(seconds.to_string())),
        LegacyValue::Float(_) => Err("seconds.inexact"),
        _ => Ok(None),
    }
}

pub(super) fn bytes(value: &Legacy) -> Converted {
    Ok(match value {
        LegacyValue::Bytes(content) => Some(hex(content)),
        _ => None,
    })
}

pub(super) fn hex(content: &[u8]) -> String {
    let mut text = String::with_capacity(2 + content.len() * 2);
    text.push_str("\\x");
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
    for byte in content {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// A file's content, whichever of its readings has the length.
pub(super) fn file(content: &Legacy, size: &Legacy) -> Converted {
    let (LegacyValue::Bytes(content), LegacyValue::Int(size)) = (content, size) else {
        return Ok(None);
    };
    let size = usize::try_from(*size).map_err(|_| "file.size")?;
    let read = |mut reader: Box<dyn Read + '_>| -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        Ok(all)
    };
    let readings = [
        read(Box::new(flate2::read::GzDecoder::new(&**content))),
        read(Box::new(flate2::read::ZlibDecoder::new(&**content))),
        Ok(content.to_vec()),
        read(Box::new(flate2::read::DeflateDecoder::new(&**content))),
    ];
    let fits = readings.into_iter().flatten().find(|reading| reading.len() == size);
    fits.map(|reading| Some(hex(&reading))).ok_or("file.length")
}

fn wall(value: &Legacy) -> Option<NaiveDateTime> {
    let LegacyValue::Timestamp(ticks) = value else { return None };
    let second = ticks.div_euclid(TICKS_PER_SECOND);
    let nanos = u32::try_from(ticks.rem_euclid(TICKS_PER_SECOND) * 100).unwrap_or(0);
    DateTime::from_timestamp(second, nanos).map(|time| time.naive_utc())
}

fn is_day(time: NaiveDateTime, year: i32, month: u32, day: u32) -> bool {
    NaiveDate::from_ymd_opt(year, month, day) == Some(time.date())
}

/// What the hour that summer time skipped becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    Reject,
    Later,
}

/// Office time to UTC. The first days of the calendar are NULL.
pub(super) fn instant(gap: Gap) -> impl Fn(&Legacy) -> Converted {
    move |value| match wall(value) {
        None => Ok(None),
        Some(time) if is_day(time, 1753, 1, 1) || is_day(time, 1900, 1, 1) => Ok(None),
        Some(time) => utc(time, gap).map(Some),
    }
}

/// Office time to UTC; only 1753 is NULL.
pub(super) fn rate_instant(value: &Legacy) -> Converted {
    match wall(value) {
        None => Ok(None),
        Some(time) if is_day(time, 1753, 1, 1) => Ok(None),
        Some(time) => utc(time, Gap::Later).map(Some),
    }
}

/// As [`rate_instant`], and the last day of the calendar is for ever.
pub(super) fn lockout(value: &Legacy) -> Converted {
    match wall(value) {
        Some(time) if is_day(time, 9999, 12, 31) => Ok(Some("infinity".into())),
        _ => rate_instant(value),
    }
}

fn utc(time: NaiveDateTime, gap: Gap) -> Result<String, &'static str> {
    let zone: Tz = Ulaanbaatar;
    let instant = match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(instant) => instant.with_timezone(&Utc),
        // The second time, in standard time.
        MappedLocalTime::Ambiguous(_, second) => second.with_timezone(&Utc),
        MappedLocalTime::None if gap == Gap::Reject => return Err("zone.gap"),
        MappedLocalTime::None => {
            // As if the clock had not been put forward: the hour before has the old offset.
            let hour = TimeDelta::hours(1);
            let before = zone.from_local_datetime(&(time - hour)).latest().ok_or("zone.gap")?;
            before.with_timezone(&Utc) + hour
        }
    };
    let text = instant.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
    let text = text.trim_end_matches('0').trim_end_matches('.');
    Ok(format!("{text}+00"))
}

/// A day; the time of a datetime must be midnight. The calendar's ends are NULL.
pub(super) fn day(value: &Legacy) -> Converted {
    match wall(value) {
        Some(time) if is_day(time, 1753, 1, 1) || is_day(time, 9999, 12, 31) => Ok(None),
        Some(time) if time.time() != chrono::NaiveTime::MIN => Err("date.time"),
        Some(time) => Ok(Some(time.date().to_string())),
        None => Ok(None),
    }
}

/// A day whose time means nothing.
pub(super) fn day_of(value: &Legacy) -> Converted {
    Ok(match wall(value) {
        Some(time) if is_day(time, 1753, 1, 1) || is_day(time, 1900, 1, 1) => None,
        Some(time) => Some(time.date().to_string()),
        None => None,
    })
}

/// `date`.
pub(super) fn date(value: &Legacy) -> Converted {
    Ok(match value {
        LegacyValue::Date(days) => NaiveDate::from_epoch_days(*days).map(|date| date.to_string()),
        _ => None,
    })
}
