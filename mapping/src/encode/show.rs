//! Binary fields as text, for reports.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};

use super::{EPOCH_DAYS, EPOCH_MICROSECONDS};
use crate::plan::PgType;

const TEXT_CHARS_MAX: usize = 200;

/// A binary field as Postgres would print it (zone UTC, long texts cut), for reports. The
/// caller masks what is sensitive. Bytes that are no value of the type are shown in hex.
#[must_use]
pub fn display(pg_type: PgType, bytes: &[u8]) -> String {
    show(pg_type, bytes).unwrap_or_else(|| hex(bytes))
}

fn show(pg_type: PgType, bytes: &[u8]) -> Option<String> {
    Some(match pg_type {
        PgType::Bool => match bytes {
            [0] => "f".into(),
            [1] => "t".into(),
            _ => return None,
        },
        PgType::Int2 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        PgType::Int4 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        PgType::Int8 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        PgType::Float8 => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        PgType::Numeric { .. } => numeric(bytes)?,
        PgType::Text => cut(std::str::from_utf8(bytes).ok()?),
        PgType::TextArray => cut(&texts(bytes)?),
        PgType::Bytea => hex(bytes),
        PgType::Uuid => uuid::Uuid::from_slice(bytes).ok()?.to_string(),
        PgType::Date => date(i32::from_be_bytes(bytes.try_into().ok()?))?,
        PgType::Time => time(i64::from_be_bytes(bytes.try_into().ok()?))?,
        PgType::Timestamp => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "")?,
        PgType::Timestamptz => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "+00")?,
    })
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `{a,"b c"}`: quoted where Postgres quotes.
fn texts(bytes: &[u8]) -> Option<String> {
    let (head, mut rest) = bytes.split_first_chunk::<12>()?;
    let dimensions = i32::from_be_bytes(*head.first_chunk()?);
    if dimensions == 0 {
        return rest.is_empty().then(|| "{}".to_owned());
    }
    let (dimension, elements) = rest.split_first_chunk::<8>()?;
    let count = usize::try_from(i32::from_be_bytes(*dimension.first_chunk()?)).ok()?;
    rest = elements;
    let mut shown = Vec::new();
    for element in crate::row::fields(rest) {
        shown.push(match element {
            Some(text) => quoted(std::str::from_utf8(text).ok()?),
            None => "NULL".to_owned(),
        });
    }
    (dimensions == 1 && shown.len() == count).then(|| format!("{{{}}}", shown.join(",")))
}

fn quoted(text: &str) -> String {
    let plain = |letter: char| !"{},\"\\ \t\n\r\u{b}\u{c}".contains(letter);
    if !text.is_empty() && text.chars().all(plain) && !text.eq_ignore_ascii_case("null") {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn hex(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(TEXT_CHARS_MAX / 2);
    let digits: String = shown.map(|byte| format!("{byte:02x}")).collect();
    let rest = if bytes.len() > TEXT_CHARS_MAX / 2 { "…" } else { "" };
    format!("\\x{digits}{rest}")
}

fn date(days: i32) -> Option<String> {
    match days {
        i32::MAX => Some("infinity".into()),
        i32::MIN => Some("-infinity".into()),
        days => {
            let day = NaiveDate::from_epoch_days(days.checked_add(EPOCH_DAYS)?)?;
            Some(day.to_string())
        }
    }
}

fn time(microseconds: i64) -> Option<String> {
    if microseconds == 86_400_000_000 {
        return Some("24:00:00".into());
    }
    let (time, days) = NaiveTime::MIN.overflowing_add_signed(TimeDelta::microseconds(microseconds));
    (days == 0).then(|| time.format("%H:%M:%S%.f").to_string())
}

fn timestamp(microseconds: i64, zone: &str) -> Option<String> {
    match microseconds {
        i64::MAX => Some("infinity".into()),
        i64::MIN => Some("-infinity".into()),
        microseconds => {
            let since_1970 = microseconds.checked_add(EPOCH_MICROSECONDS)?;
            let instant = DateTime::from_timestamp_micros(since_1970)?;
            Some(format!("{}{zone}", instant.format("%Y-%m-%d %H:%M:%S%.f")))
        }
    }
}

fn numeric(bytes: &[u8]) -> Option<String> {
    let (head, groups) = bytes.split_first_chunk::<8>()?;
    let [n0, n1, w0, w1, s0, s1, d0, d1] = *head;
    let count = usize::try_from(i16::from_be_bytes([n0, n1])).ok()?;
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let scale = usize::from(u16::from_be_bytes([d0, d1]));
    if groups.len() != count.checked_mul(2)? {
        return None;
    }
    let sign = match u16::from_be_bytes([s0, s1]) {
        0x0000 => "",
        0x4000 => "-",
        _ => return Some("NaN".into()),
    };
    let group = |position: i32| -> u16 {
        let index = usize::try_from(weight - position).ok().map(|index| index * 2);
        let pair = index.and_then(|index| groups.get(index..)?.first_chunk::<2>().copied());
        u16::from_be_bytes(pair.unwrap_or_default())
    };
    let mut whole = String::new();
    for position in (0..=weight.clamp(0, 40)).rev() {
        whole.push_str(&format!("{:04}", group(position)));
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let mut fraction = String::new();
    let mut position = -1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(position)));
        position -= 1;
    }
    fraction.truncate(scale);
    let point = if scale == 0 { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}
