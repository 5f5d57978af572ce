//! Look-ups: found by name, with keys as the column compares them.

use super::TableBook;
use crate::{
    catalog::{Column, SqlType},
    convert::{Lookup, Make},
    file::{ColumnSaid, EntitySaid, FileSaid, Kind, LookedUp, LookupSaid, Mistakes, closest},
    key::{KeyKind, encoded},
    value::LegacyValue,
};

/// The look-ups of all files; a column may use that of another file.
pub(super) fn collect(said: &[FileSaid], m: &mut Mistakes<'_>) -> Vec<LookupSaid> {
    let mut all: Vec<LookupSaid> = Vec::new();
    for lookup in said.iter().flat_map(|file| &file.lookups) {
        let name = &lookup.name;
        if all.iter().any(|known| known.name.value == name.value) {
            let help = "a look-up has one name and one place: every file can use it";
            m.add(name.at, format!("there are two look-ups `{name}`"), help);
            continue;
        }
        if !said.iter().flat_map(|file| &file.entities).any(|entity| uses(entity, &name.value)) {
            let help = format!("write as = \"lookup\", in = \"{name}\" for a column, or drop it");
            m.add(name.at, format!("no column uses the look-up `{name}`"), help);
        }
        all.push(lookup.clone());
    }
    all
}

fn uses(entity: &EntitySaid, name: &str) -> bool {
    let said =
        |column: &ColumnSaid| matches!(&column.kind, Kind::Lookup(it) if it.table.value == name);
    entity.columns.iter().any(said)
}

/// The look-up of a column; the column's type has been checked.
pub(super) fn make(
    said: &LookedUp,
    column: &Column,
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Make> {
    let name = &said.table;
    let Some(lookup) = book.lookups.iter().find(|known| known.name.value == name.value) else {
        let names = book.lookups.iter().map(|known| known.name.value.as_str());
        let help = closest(&name.value, names).map_or_else(
            || format!("write a table [lookup.{name}] with lines of \"496\" = \"MNT\""),
            |near| format!("did you mean `{near}`?"),
        );
        m.add(name.at, format!("there is no look-up `{name}`"), help);
        return None;
    };
    let collation = column.collation.as_deref().unwrap_or(&book.catalog.collation);
    let kind = KeyKind::of(&column.sql_type, collation)?;
    let mut texts: Vec<(Box<[u8]>, Box<str>)> = Vec::new();
    for (key, text) in &lookup.entries {
        let Some(bytes) = bytes(kind, &key.value) else {
            let sql_type = &column.sql_type;
            let message = format!("`{key}` is no number, and `{}` is {sql_type}", column.name);
            m.add(key.at, message, "write numbers, or look a text column up");
            continue;
        };
        if let Some((_, other)) = texts.iter().find(|(known, _)| *known == bytes) {
            let message = format!("`{key}` is there twice, as `{}` compares", column.name);
            m.add(key.at, message, format!("keep one of them: the other becomes `{other}`"));
        }
        texts.push((bytes, text.clone()));
    }
    texts.sort_unstable();
    let (unknown, name) = (said.unknown.clone(), name.value.as_str().into());
    Some(Make::Lookup(Box::new(Lookup { kind, texts, unknown, name })))
}

fn bytes(kind: KeyKind, key: &str) -> Option<Box<[u8]>> {
    let value = match kind {
        KeyKind::Int => LegacyValue::Int(key.trim().parse().ok()?),
        _ => LegacyValue::Text(key.into()),
    };
    encoded(kind, &value, |bytes| bytes.into()).ok()
}

/// What is looked up: integers and texts that can be compared.
pub(super) fn refusal(sql_type: &SqlType) -> Option<&'static str> {
    match sql_type {
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => None,
        SqlType::Char { .. }
        | SqlType::NChar { .. }
        | SqlType::VarChar { length: Some(_) }
        | SqlType::NVarChar { length: Some(_) } => None,
        _ => Some("it takes int, bigint, text that is not (max)"),
    }
}
