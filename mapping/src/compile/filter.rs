//! Row filters: which columns can decide, and values as these columns compare them.

use chrono::{NaiveTime, Timelike};
use uuid::Uuid;

use super::{
    Outline, TableBook,
    cover::{self, Cell},
};
use crate::{
    catalog::{Column, SqlType},
    convert::{parse_day, parse_timestamp},
    decimal,
    file::{CONDITION_KEYS, ConditionSaid, Literal, Mistakes, Said, closest},
    key::{KeyKind, encoded},
    plan::{Condition, Filter, RowFilter},
    value::{Decimal, LegacyValue},
};

/// The entity's filter; `None` when it takes every row.
pub(super) fn make(
    outline: &Outline<'_>,
    used: &mut Vec<Cell>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Box<Filter>> {
    let mut conditions = Vec::new();
    let mut seen: Vec<Cell> = Vec::new();
    let mut shown = Vec::new();
    for said in &outline.said.filter {
        if is_no_key(&said.column, outline, book, m) {
            continue;
        }
        let Some(cell) = cover::resolve(&said.column, outline, book, m) else { continue };
        used.push(cell);
        if seen.contains(&cell) {
            let message = format!("there are two conditions on `{}`", said.column);
            m.add(said.column.at, message, "write one: is = [1, 2], null = true, for instance");
        }
        seen.push(cell);
        let draft = outline.tables.get(cell.0).and_then(|table| book.drafts.get_mut(*table));
        let Some(draft) = draft else { continue };
        let Some(column) = draft.table.columns.get(cell.1) else { continue };
        if cell.0 > 0 {
            let message = format!("`{}` is not a column of the root", said.column);
            let help = "filter by the root's columns: a part can't say whether the row is taken";
            m.add(said.column.at, message, help);
            continue;
        }
        let collation = column.collation.as_deref().unwrap_or(&book.catalog.collation);
        let Some(kind) = comparable(&said.column, column, collation, m) else { continue };
        let source = draft.source(cell.1);
        let values = values(said, column, kind, m);
        conditions.push(Condition { source, kind, values, negated: said.negated, null: said.null });
        shown.push(said.to_string());
    }
    if conditions.is_empty() {
        return None;
    }
    let root = outline.tables.first().and_then(|table| book.drafts.get_mut(*table));
    if let Some(draft) = root {
        let entity = outline.said.name.value.clone();
        draft.filters.push(RowFilter { entity, conditions: shown });
    }
    Some(Box::new(Filter(conditions)))
}

/// `Kind = { nto = 1 }` looks like the column `Kind.nto`: what precedes the last dot tells.
fn is_no_key(
    said: &Said<String>,
    outline: &Outline<'_>,
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> bool {
    let Some((column, key)) = said.value.rsplit_once('.') else { return false };
    let untold = &mut Mistakes::new(&[]);
    let column = Said::new(column.to_owned(), said.at);
    if cover::resolve(said, outline, book, untold).is_some()
        || cover::resolve(&column, outline, book, untold).is_none()
    {
        return false;
    }
    let help = match closest(key, CONDITION_KEYS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "it has `is`, `not` and `null`".to_owned(),
    };
    m.add(said.at, format!("the condition on `{column}` has no key `{key}`"), help);
    true
}

/// How the column compares, when it can decide.
fn comparable(
    said: &Said<String>,
    column: &Column,
    collation: &str,
    m: &mut Mistakes<'_>,
) -> Option<KeyKind> {
    let sql_type = &column.sql_type;
    let mut refuse = |why: &str, help: &str| {
        m.add(said.at, format!("`{said}` {why}, so it can't be filtered by"), help);
        None
    };
    if column.computed {
        return refuse(
            "is computed, and change events say NULL for it",
            "filter by the columns that it is computed from",
        );
    }
    if sql_type.is_lob() {
        let why = format!("is {sql_type}, which a change event has only when it changed");
        return refuse(&why, "filter by another column, or copy every row and filter in Postgres");
    }
    let kind = KeyKind::of(sql_type, collation);
    match (kind, sql_type) {
        // A `real` is one number over TDS and another one in an event.
        (_, SqlType::Real) | (None | Some(KeyKind::Bytes | KeyKind::TimestampOffset), _) => {
            let help = "filter by a bit, an integer, a decimal, money, a float, text, a GUID, a date or a time";
            refuse(&format!("is {sql_type}"), help)
        }
        (kind, _) => kind,
    }
}

/// The values' bytes, sorted.
fn values(
    said: &ConditionSaid,
    column: &Column,
    kind: KeyKind,
    m: &mut Mistakes<'_>,
) -> Vec<Box<[u8]>> {
    let mut all: Vec<Box<[u8]>> = Vec::new();
    for literal in &said.values {
        let value = value(&literal.value, kind);
        let bytes = value.and_then(|value| encoded(kind, &value, |bytes| bytes.into()).ok());
        let Some(bytes) = bytes else {
            let message =
                format!("`{}` is {}, and never `{literal}`", said.column, column.sql_type);
            m.add(literal.at, message, help(kind));
            continue;
        };
        if all.contains(&bytes) {
            let message = format!("`{literal}` is there twice, as `{}` compares", said.column);
            m.add(literal.at, message, "keep one of them");
        }
        all.push(bytes);
    }
    all.sort_unstable();
    all
}

/// A file's word as the column would hold it.
fn value(literal: &Literal, kind: KeyKind) -> Option<LegacyValue<'_>> {
    Some(match (kind, literal) {
        (KeyKind::Bool, Literal::Bool(value)) => LegacyValue::Bool(*value),
        (KeyKind::Bool, Literal::Int(number @ (0 | 1))) => LegacyValue::Bool(*number == 1),
        (KeyKind::Int | KeyKind::Decimal, Literal::Int(number)) => LegacyValue::Int(*number),
        (KeyKind::Decimal, Literal::Float(number)) => {
            LegacyValue::Decimal(decimal::from_float(*number, false)?)
        }
        (KeyKind::Decimal, Literal::Text(text)) => {
            let Decimal { unscaled, scale } = decimal::parse(text.as_bytes())?;
            LegacyValue::Decimal(Decimal { unscaled, scale })
        }
        (KeyKind::Float, Literal::Float(number)) => LegacyValue::Float(*number),
        (KeyKind::Float, Literal::Int(number)) => {
            LegacyValue::Float(f64::from(i32::try_from(*number).ok()?))
        }
        (KeyKind::Text(_), Literal::Text(text)) => LegacyValue::Text(text.into()),
        (KeyKind::Guid, Literal::Text(text)) => LegacyValue::Guid(Uuid::try_parse(text).ok()?),
        (KeyKind::Date, Literal::Text(text)) => LegacyValue::Date(parse_day(text)?),
        (KeyKind::Timestamp, Literal::Text(text)) => LegacyValue::Timestamp(parse_timestamp(text)?),
        (KeyKind::Time, Literal::Text(text)) => {
            let time: NaiveTime = text.parse().ok()?;
            let seconds = i64::from(time.num_seconds_from_midnight());
            LegacyValue::Time(seconds * 10_000_000 + i64::from(time.nanosecond() / 100))
        }
        _ => return None,
    })
}

fn help(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Bool => "write true or false",
        KeyKind::Int | KeyKind::Decimal | KeyKind::Float => "write a number, without quotes",
        KeyKind::Text(_) => "write a text, in quotes",
        KeyKind::Guid => "write a GUID, in quotes",
        KeyKind::Date | KeyKind::Timestamp => {
            "write \"2024-12-31\", or \"2024-12-31T23:59:59.997\" for a time of that day"
        }
        KeyKind::Time => "write \"23:59:59\"",
        KeyKind::TimestampOffset | KeyKind::Bytes => "filter by another column",
    }
}
