//! One column: from what the file says to a converter that fits the catalogue.

use super::{
    Outline, TableBook,
    cover::{self, Cell},
    lob, lookup,
    null::on_null,
    reference,
    table::PASSWORD,
    types,
};
use crate::{
    catalog::{Column, SqlType},
    convert::{Concat, Flags, Make, RefRule, width},
    encode,
    file::{ColumnSaid, Kind, Literal, LookedUp, Mistakes, Said},
    plan::{Compare, Field, PgType, Reference, TargetColumn},
};

/// A column made.
pub(super) struct Made {
    pub(super) part: usize,
    pub(super) cells: Vec<Cell>,
    pub(super) target: TargetColumn,
    pub(super) field: Field,
    pub(super) reference: Option<Reference>,
}

/// A legacy column that a line names.
pub(super) struct Source<'c> {
    pub(super) said: Said<String>,
    pub(super) column: &'c Column,
    /// Its place in the rows that are read.
    pub(super) place: usize,
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
    lob::check_reselect(said, &sources, m);
    let mut reference = None;
    let make = match &said.kind {
        Kind::Make(make) => single(said, make, &sources, m)?,
        Kind::Concat(rule) => concat(said, rule, &sources, m),
        Kind::Lookup(looked_up) => looked_up_in(said, looked_up, &sources, book, m)?,
        Kind::XpoFile => xpo_file(said, &sources, m)?,
        Kind::Const(value) => constant(said, value, &sources, m)?,
        Kind::Ref(to) => {
            let rule = reference::rule(said, &to.to, &sources, outlines, book, m)?;
            reference = reference::policies(said, to, rule.entity, outlines, m);
            Make::Ref(RefRule { empty_is_null: to.empty_is_null, ..rule })
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
        Kind::Ref(_) => sources.len().max(1),
        Kind::Concat(_) => sources.len().max(2),
        Kind::Make(_) | Kind::Lookup(_) => 1,
    };
    if sources.len() != wanted {
        let help = match wanted {
            0 => "drop `from`".into(),
            2 if matches!(said.kind, Kind::Concat(_)) => {
                "write from = [\"FirstName\", \"LastName\"], or as = \"text\" for one column".into()
            }
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
        Make::Flags(rule) => flags(said, *rule, source, m),
        other => other,
    })
}

/// The bits of the column's own width: a negative int has no others.
fn flags(said: &ColumnSaid, rule: Flags, source: &Source<'_>, m: &mut Mistakes<'_>) -> Make {
    let sql_type = &source.column.sql_type;
    let width = width(sql_type).unwrap_or_default();
    let named = rule.named.iter().fold(rule.ignored, |named, (bit, _)| named | bit);
    if named & !width != 0 {
        let beyond = named & !width;
        let message = format!("`{}` is {sql_type}, which has no bit {beyond}", source.said);
        m.add(said.made_as.at, message, "name bits that the column has");
    }
    Make::Flags(Box::new(Flags { width, ..rule }))
}

/// Columns that a change may not carry are refused: of the others' new values and this one's
/// unknown one nobody could make a whole, and the target would go on with an old one.
fn concat(said: &ColumnSaid, rule: &Concat, sources: &[Source<'_>], m: &mut Mistakes<'_>) -> Make {
    let places = sources.iter().map(|source| source.place).collect();
    let make = Make::Concat(Box::new(Concat { sources: places, ..rule.clone() }));
    for Source { said: from, column, .. } in sources {
        let sql_type = &column.sql_type;
        if let Some(help) = types::refusal(&make, sql_type) {
            let message =
                format!("`{from}` is {sql_type}, which can't be a part of `{}`", said.name);
            m.add(from.at, message, help);
        } else if sql_type.is_lob() {
            let message = format!(
                "`{from}` is {sql_type}: a change event has it only when it changed, so `{}` could not be made",
                said.name
            );
            m.add(
                from.at,
                message,
                "map the columns one by one, and put them together in Postgres",
            );
        }
    }
    make
}

fn looked_up_in(
    said: &ColumnSaid,
    looked_up: &LookedUp,
    sources: &[Source<'_>],
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Make> {
    let Source { said: from, column, .. } = sources.first()?;
    if let Some(help) = lookup::refusal(&column.sql_type) {
        let message = format!("`{from}` is {}, which can't be looked up", column.sql_type);
        m.add(said.made_as.at, message, help);
        return None;
    }
    lookup::make(looked_up, column, book, m)
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
