//! A file's tables.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Mistakes, Place, Said,
    accept::{self, AcceptSaid},
    column::{self, ColumnSaid},
    filter::{self, Condition},
    lookup::{self, LookupSaid},
    options::{Level, Options, entries, place, type_of},
    sequence::{self, SequenceSaid},
    unique::{self, UniqueSaid},
};
use crate::plan::SoftDelete;

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct FileSaid {
    pub(crate) entities: Vec<EntitySaid>,
    /// Table and reason.
    pub(crate) ignores: Vec<(Said<String>, String)>,
    pub(crate) object_types: Option<Said<String>>,
    pub(crate) lookups: Vec<LookupSaid>,
    pub(crate) sequences: Vec<SequenceSaid>,
}

/// What an `[[entity]]` says.
#[derive(Debug)]
pub(crate) struct EntitySaid {
    pub(crate) domain: String,
    pub(crate) name: Said<String>,
    /// The target table where it is not the entity's name.
    pub(crate) table: Option<Said<String>>,
    /// The legacy tables, root first.
    pub(crate) parts: Vec<Said<String>>,
    pub(crate) types: Vec<Said<String>>,
    pub(crate) key: Option<Vec<Said<String>>>,
    pub(crate) id_time: Option<Said<String>>,
    pub(crate) soft_delete: Option<SoftDelete>,
    pub(crate) version: Option<Said<String>>,
    /// The rows that it takes; all of them when empty.
    pub(crate) filter: Vec<Condition>,
    pub(crate) columns: Vec<ColumnSaid>,
    /// Legacy columns of lines that could not be understood: mapped, but nobody knows how.
    pub(crate) unclear: Vec<Said<String>>,
    /// Legacy column and reason.
    pub(crate) leave_out: Vec<(Said<String>, String)>,
    pub(crate) unique: Vec<UniqueSaid>,
    pub(crate) accept: Vec<AcceptSaid>,
}

/// Reads one file, mistakes and all.
pub(crate) fn read(file: usize, text: &str, m: &mut Mistakes<'_>) -> FileSaid {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let byte = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().next().unwrap_or("is no TOML").to_owned();
        m.add(
            Place { file, byte },
            message,
            "correct the TOML; the file's other mistakes show then",
        );
    }
    if !errors.is_empty() {
        m.break_off(file);
    }
    let top = Place { file, byte: 0 };
    let mut options = Options::new(Level::File, document.get_ref(), top, "a mapping file");
    let domain = options.text("domain", m);
    let object_types = options.text("object_types", m);
    let entities = tables(&mut options, "entity", m);
    let ignores = tables(&mut options, "ignore", m);
    let lookups = lookup::tables(&mut options, m);
    let sequences = tables(&mut options, "sequence", m);
    options.finish(m);

    if domain.is_none() && !entities.is_empty() {
        m.add(
            top,
            "the file has entities and no domain",
            "write domain = \"contracts\" at its top",
        );
    }
    let domain = domain.map_or_else(String::new, |domain| domain.value);
    FileSaid {
        entities: entities.into_iter().filter_map(|t| entity(file, t, &domain, m)).collect(),
        ignores: ignores.into_iter().filter_map(|t| ignore(file, t, m)).collect(),
        object_types,
        lookups,
        sequences: sequences.into_iter().filter_map(|t| sequence::read(t, m)).collect(),
    }
}

/// The tables of `[[key]]`.
pub(super) fn tables<'t, 'i>(
    options: &mut Options<'t, 'i>,
    key: &'static str,
    m: &mut Mistakes<'_>,
) -> Vec<(Place, &'t DeTable<'i>)> {
    let file = options.at.file;
    let Some(value) = options.get(key) else { return Vec::new() };
    let mut found = Vec::new();
    let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![value],
    };
    for item in items {
        let at = place(file, item);
        match (item.get_ref(), value.get_ref()) {
            (DeValue::Table(table), DeValue::Array(_)) => found.push((at, table)),
            _ => m.add(at, format!("`{key}` is not a list of tables"), format!("write [[{key}]]")),
        }
    }
    found
}

fn ignore(
    file: usize,
    (at, table): (Place, &DeTable<'_>),
    m: &mut Mistakes<'_>,
) -> Option<(Said<String>, String)> {
    let mut options = Options::new(Level::Ignore, table, at, "an [[ignore]]");
    let name = options.text("table", m);
    let reason = options.text("reason", m);
    options.finish(m);
    let at = Place { file, byte: at.byte };
    match (name, reason) {
        (Some(name), Some(reason)) if !reason.value.trim().is_empty() => Some((name, reason.value)),
        (None, _) => {
            m.add(at, "an [[ignore]] names no table", "write table = \"dbo.ModuleInfo\"");
            None
        }
        (Some(name), _) => {
            m.add(at, format!("`{name}` is ignored without a reason"), "write reason = \"…\"");
            Some((name, String::new()))
        }
    }
}

fn entity(
    file: usize,
    (at, table): (Place, &DeTable<'_>),
    domain: &str,
    m: &mut Mistakes<'_>,
) -> Option<EntitySaid> {
    let mut options = Options::new(Level::Entity, table, at, "an [[entity]]");
    let name = options.text("name", m);
    if let Some(name) = &name {
        options.is(format!("entity `{name}`"));
    }
    let target = options.text("table", m);
    let from = options.text("from", m);
    let parts = options.texts("parts", m);
    let types = options.texts("type", m).unwrap_or_default();
    let key = options.texts("key", m);
    let id_time = options.text("id_time", m);
    let soft_delete = options.choice("soft_delete", &SOFT_DELETES, m);
    let version = options.text("version", m);
    let filter = filter::conditions(&mut options, m);
    let mut columns = Vec::new();
    let mut unclear = Vec::new();
    for (name, value) in options.entries("columns", m) {
        match value.get_ref() {
            DeValue::Table(table) => match column::read(name, table, m) {
                Ok(column) => columns.push(column),
                Err(from) => unclear.extend(from),
            },
            other => m.add(
                place(file, value),
                format!("column `{name}` is {}", type_of(other)),
                "write { from = \"LegacyColumn\", as = \"text\" }",
            ),
        }
    }
    let mut leave_out = Vec::new();
    for (name, value) in options.entries("leave_out", m) {
        left_out(name, value, m, &mut leave_out);
    }
    let unique = unique::read(&mut options, m);
    let accept = accept::read(options.entries("accept", m), m);
    options.finish(m);
    let parts = match (from, parts) {
        (Some(from), None) => vec![from],
        (None, Some(parts)) if !parts.is_empty() => parts,
        (Some(from), Some(_)) => {
            m.add(from.at, "an entity has both `from` and `parts`", "keep one of them");
            vec![from]
        }
        (None, _) => {
            m.add(at, "an entity comes from no table", "write from = \"dbo.Contract\"");
            Vec::new()
        }
    };
    let Some(name) = name else {
        m.add(at, "an entity has no name", "write name = \"contracts\"");
        return None;
    };
    Some(EntitySaid {
        domain: domain.to_owned(),
        name,
        table: target,
        parts,
        types,
        key,
        id_time,
        soft_delete,
        version,
        filter,
        columns,
        unclear,
        leave_out,
        unique,
        accept,
    })
}

const SOFT_DELETES: [(&str, SoftDelete); 4] = [
    ("none", SoftDelete::None),
    ("delete", SoftDelete::Delete),
    ("deleted_at", SoftDelete::DeletedAt),
    ("archive", SoftDelete::Archive),
];

/// A column with a reason, or (`Owner.Photo = "…"` without quotes) a table of them.
fn left_out(
    name: Said<String>,
    value: &Spanned<DeValue<'_>>,
    m: &mut Mistakes<'_>,
    found: &mut Vec<(Said<String>, String)>,
) {
    match value.get_ref() {
        DeValue::String(reason) if !reason.trim().is_empty() => {
            found.push((name, reason.to_string()));
        }
        DeValue::Table(table) => {
            for (inner, value) in entries(table, name.at.file) {
                let joined = Said::new(format!("{}.{}", name.value, inner.value), inner.at);
                left_out(joined, value, m, found);
            }
        }
        _ => {
            m.add(name.at, format!("`{name}` is left out without a reason"), "say why, in quotes");
            found.push((name, String::new()));
        }
    }
}
