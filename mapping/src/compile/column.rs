//! One column: from what the file says to a converter that fits the catalogue.

use super::{
    Outline, TableBook,
    cover::{self, Cell},
    lob,
    null::on_null,
    table::PASSWORD,
    types,
};
use crate::{
    catalog::{Column, SqlType},
    convert::{Make, RefRule},
    encode,
    file::{ColumnSaid, Kind, Literal, Mistakes, Said, closest},
    key::{KeyKind, KeyPart},
    plan::{Compare, EntityId, Field, OrphanPolicy, PgType, TargetColumn},
};

/// A column made.
pub(super) struct Made {
    pub(super) part: usize,
    pub(super) cells: Vec<Cell>,
    pub(super) target: TargetColumn,
    pub(super) field: Field,
    pub(super) reference: Option<(EntityId, OrphanPolicy)>,
}

/// A legacy column that a line names.
struct Source<'c> {
    said: Said<String>,
    column: &'c Column,
    /// Its place in the rows that are read.
    place: usize,
}

pub(super) fn make(
    said: &ColumnSaid,
    outline: &Outline<'_>,
    outlines: &[Outline<'_>],
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Made> {
    let cells: Vec<Cell> =
        said.from.iter().filter_map(|from| cover::resolve(from, outline, book, m)).collect();
    if cells.len() < said.from.len() {
        return None;
    }
    let part = cells.first().map_or(0, |(part, _)| *part);
    if cells.iter().any(|(other, _)| *other != part) {
        let message = format!("column `{}` is made from two parts", said.name);
        m.add(
            said.name.at,
            message,
            "a change carries one part: take all columns from one of them",
        );
        return None;
    }
    let sources = sources(said, &cells, outline, book)?;
    check_sources(said, &sources, m)?;
    mask(said, &sources, outline, part, book, m);
    let mut reference = None;
    let make = match &said.kind {
        Kind::Make(make) => single(said, make, &sources, m)?,
        Kind::XpoFile => xpo_file(said, &sources, m)?,
        Kind::Const(value) => constant(said, value, &sources, m)?,
        Kind::Ref { to, orphans, empty_is_null } => {
            let rule = reference_rule(said, to, &sources, outlines, book, m)?;
            reference = Some((rule.entity, *orphans));
            Make::Ref(RefRule { empty_is_null: *empty_is_null, ..rule })
        }
    };
    let make = lob::place(make, said, m);
    let field = Field {
        null: on_null(said, &make, outline, m),
        source: sources.first().map(|source| source.place),
        make,
    };
    let names: Vec<&str> = sources.iter().map(|source| source.column.name.as_str()).collect();
    let target = TargetColumn {
        name: said.name.value.clone(),
        pg_type: field.make.pg_type(),
        from: (!names.is_empty()).then(|| names.join(", ")),
        compare: said.skip.clone().map_or(Compare::Exact, Compare::Skip),
        sensitive: said.sensitive,
    };
    Some(Made { part, cells, target, field, reference })
}

fn sources<'c>(
    said: &ColumnSaid,
    cells: &[Cell],
    outline: &Outline<'_>,
    book: &mut TableBook<'c>,
) -> Option<Vec<Source<'c>>> {
    let mut sources = Vec::new();
    for (from, (part, column)) in said.from.iter().zip(cells) {
        let draft = book.drafts.get_mut(*outline.tables.get(*part)?)?;
        let place = draft.source(*column);
        sources.push(Source {
            said: from.clone(),
            column: draft.table.columns.get(*column)?,
            place,
        });
    }
    Some(sources)
}

fn check_sources(said: &ColumnSaid, sources: &[Source<'_>], m: &mut Mistakes<'_>) -> Option<()> {
    for source in sources.iter().filter(|source| source.column.computed) {
        let message = format!("`{}` is computed, and change events say NULL for it", source.said);
        m.add(
            source.said.at,
            message,
            "leave it out, and compute it in Postgres or from its sources",
        );
    }
    let wanted = match &said.kind {
        Kind::Const(_) => 0,
        Kind::XpoFile => 2,
        Kind::Ref { .. } => sources.len().max(1),
        Kind::Make(_) => 1,
    };
    if sources.len() != wanted {
        let help = match wanted {
            0 => "drop `from`".into(),
            2 => "write from = [\"Content\", \"size\"]".into(),
            _ => format!("write from = \"…\" with {wanted} legacy column"),
        };
        let message = format!(
            "column `{}` (as {}) is made from {} columns",
            said.name,
            said.made_as,
            sources.len()
        );
        m.add(said.made_as.at, message, help);
        return None;
    }
    Some(())
}

/// Notes columns that are masked, and insists on it for password hashes (trap 20).
fn mask(
    said: &ColumnSaid,
    sources: &[Source<'_>],
    outline: &Outline<'_>,
    part: usize,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) {
    let draft = outline.tables.get(part).and_then(|table| book.drafts.get_mut(*table));
    let Some(draft) = draft else { return };
    for source in sources {
        let name = &source.column.name;
        if said.sensitive && !draft.sensitive.contains(name) {
            draft.sensitive.push(name.clone());
        }
        if name.eq_ignore_ascii_case(PASSWORD) && !said.sensitive {
            m.add(said.name.at, format!("`{name}` is not masked"), "write sensitive = true");
        }
    }
}

fn single(
    said: &ColumnSaid,
    make: &Make,
    sources: &[Source<'_>],
    m: &mut Mistakes<'_>,
) -> Option<Make> {
    let source = sources.first()?;
    if let Some(help) = types::refusal(make, &source.column.sql_type) {
        let message = format!(
            "`{}` is {}, which can't be made as {}",
            source.said, source.column.sql_type, said.made_as
        );
        m.add(said.made_as.at, message, help);
        return None;
    }
    let single = source.column.sql_type == SqlType::Real;
    Some(match make.clone() {
        Make::Float8 { .. } => Make::Float8 { single },
        Make::Numeric(rule) => Make::Numeric(crate::convert::NumberRule { single, ..rule }),
        Make::Money(rule) => Make::Money(crate::convert::NumberRule { single, ..rule }),
        other => other,
    })
}

fn xpo_file(said: &ColumnSaid, sources: &[Source<'_>], m: &mut Mistakes<'_>) -> Option<Make> {
    let [content, size] = sources else { return None };
    let make = Make::XpoFile { size: size.place };
    let integer = matches!(size.column.sql_type, SqlType::Int | SqlType::BigInt);
    if let Some(help) = types::refusal(&make, &content.column.sql_type) {
        let message = format!(
            "`{}` is {}, and a file's content is binary",
            content.said, content.column.sql_type
        );
        m.add(said.made_as.at, message, help);
    } else if !integer {
        let message =
            format!("`{}` is {}, and a file's length is an int", size.said, size.column.sql_type);
        m.add(said.made_as.at, message, "write from = [\"Content\", \"size\"]");
    }
    Some(make)
}

fn constant(
    said: &ColumnSaid,
    value: &Said<Literal>,
    sources: &[Source<'_>],
    m: &mut Mistakes<'_>,
) -> Option<Make> {
    debug_assert!(sources.is_empty(), "checked before");
    let mut field = Vec::new();
    let pg_type = match &value.value {
        Literal::Text(text) if !text.contains('\0') => {
            let written = encode::put_bytes(&mut field, text.as_bytes());
            debug_assert!(written, "a mapping file is smaller than a field");
            PgType::Text
        }
        Literal::Text(_) => {
            m.add(
                value.at,
                format!("the constant `{}` holds U+0000", said.name),
                "Postgres refuses it",
            );
            return None;
        }
        Literal::Int(number) => {
            encode::put_i64(&mut field, *number);
            PgType::Int8
        }
        Literal::Float(number) => {
            encode::put_f64(&mut field, *number);
            PgType::Float8
        }
        Literal::Bool(value) => {
            encode::put_bool(&mut field, *value);
            PgType::Bool
        }
    };
    Some(Make::Const { field: field.into(), pg_type })
}

fn reference_rule(
    said: &ColumnSaid,
    to: &Said<String>,
    sources: &[Source<'_>],
    outlines: &[Outline<'_>],
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<RefRule> {
    let Some(target) = outlines.iter().find(|outline| outline.said.name.value == to.value) else {
        let names = outlines.iter().map(|outline| outline.said.name.value.as_str());
        let help = closest(&to.value, names).map_or_else(
            || "name an entity of these files".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        m.add(to.at, format!("there is no entity `{to}`"), help);
        return None;
    };
    if target.key.is_empty() {
        // Its own mistake has been told.
        return None;
    }
    if target.key.len() != sources.len() {
        let message = format!(
            "the key of `{to}` has {} columns, and `{}` names {}",
            target.key.len(),
            said.name,
            sources.len()
        );
        m.add(to.at, message, "name the referring columns in the order of that key");
        return None;
    }
    let mut parts = Vec::new();
    for (source, kind) in sources.iter().zip(&target.key) {
        let collation = source.column.collation.as_deref().unwrap_or(&book.catalog.collation);
        let from = KeyKind::of(&source.column.sql_type, collation);
        if from.is_none_or(|from| !kind.accepts(from)) {
            let message = format!(
                "`{}` is {}, and the key of `{to}` has another type there",
                source.said, source.column.sql_type
            );
            m.add(source.said.at, message, "name the referring columns in the order of that key");
        }
        parts.push(KeyPart { source: source.place, kind: *kind });
    }
    Some(RefRule { entity: target.id, parts, empty_is_null: false })
}
