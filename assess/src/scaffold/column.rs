//! One column by its type: what is made of it, and what is not sure about that.

use mapping::catalog::{Column, SqlType, Table};

use super::{
    Room,
    draft::{ColumnDraft, Made},
    notes::Note,
    number, text, time,
    words::words,
};

/// A legacy column, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'c> {
    pub(super) table: &'c Table,
    pub(super) part: usize,
    pub(super) column: &'c Column,
}

impl Cell<'_> {
    pub(super) fn is_key(&self) -> bool {
        self.table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(&self.column.name))
    }

    /// Whether the legacy side keeps its values unique, alone or with others.
    pub(super) fn is_unique(&self) -> bool {
        let unique = self.table.unique_indexes.iter().flat_map(|index| &index.columns);
        self.is_key() || unique.into_iter().any(|name| name.eq_ignore_ascii_case(&self.column.name))
    }
}

/// Why a column is left out, and what is asked about that.
pub(super) fn refusal(room: &Room<'_>, cell: Cell<'_>) -> Option<(String, Option<String>)> {
    let column = cell.column;
    if column.computed {
        let reason = "computed: change events say NULL for it, and Postgres can compute it";
        return Some((reason.into(), None));
    }
    match &column.sql_type {
        SqlType::RowVersion => {
            let reason = "a rowversion changes with every write and means nothing elsewhere";
            return Some((reason.into(), None));
        }
        SqlType::Other(name) => {
            let reason = format!("ficus does not read {name}");
            return Some((reason, Some("does it move by another way?".into())));
        }
        _ => {}
    }
    let dead = room.facts.dead(cell.table, column).filter(|_| !cell.is_key());
    dead.map(|reason| {
        (reason, Some("dead when it was assessed: does nothing write it any more?".into()))
    })
}

/// A draft of a column, without its name.
pub(super) fn draft<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    if let Some(file) = xpo_file(cell) {
        return file;
    }
    match &cell.column.sql_type {
        SqlType::Bit => plain(cell, Made::Bool { default: cell.column.nullable }),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => {
            number::integer(room, cell)
        }
        SqlType::Decimal { precision, scale } => number::decimal(room, cell, *precision, *scale),
        SqlType::Money | SqlType::SmallMoney => number::money(room, cell),
        SqlType::Real | SqlType::Float => number::float(room, cell),
        SqlType::Date => time::date(room, cell),
        SqlType::Time { scale } => time::time(cell, *scale),
        SqlType::DateTime | SqlType::SmallDateTime => time::instant(room, cell, false),
        SqlType::DateTime2 { scale } => time::instant(room, cell, *scale > 6),
        SqlType::DateTimeOffset { scale } => time::offset(cell, *scale),
        SqlType::Char { .. }
        | SqlType::NChar { .. }
        | SqlType::VarChar { .. }
        | SqlType::NVarChar { .. }
        | SqlType::Text
        | SqlType::NText
        | SqlType::Xml => text::text(room, cell),
        SqlType::UniqueIdentifier => uuid(cell),
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion
        | SqlType::Other(_) => binary(room, cell),
    }
}

pub(super) fn plain<'c>(cell: Cell<'c>, made: Made) -> ColumnDraft<'c> {
    ColumnDraft::new(String::new(), cell.part, cell.column, made)
}

/// What is asked about a GUID that no constraint explains.
pub(super) fn unexplained() -> Note {
    Note::question("a uniqueidentifier that nothing explains: a reference without a constraint?")
}

fn uuid(cell: Cell<'_>) -> ColumnDraft<'_> {
    let mut draft = plain(cell, Made::Uuid);
    if !cell.is_key() {
        draft.notes.push(unexplained());
    }
    draft
}

/// Bytes of an object that somebody may want elsewhere than in a row.
const LARGE_BYTES: u64 = 1 << 20;

fn binary<'c>(room: &Room<'c>, cell: Cell<'c>) -> ColumnDraft<'c> {
    let mut draft = plain(cell, Made::Bytea);
    let largest = room.facts.column(cell.table, cell.column).and_then(|facts| facts.length_max);
    if let Some(largest) = largest.filter(|largest| *largest > LARGE_BYTES) {
        draft.ask(format!("up to {largest} bytes: in the row, or lob = \"object-store\"?"));
    } else if cell.column.sql_type.is_lob() {
        draft.remark("A LOB in the row: an update event does not carry it unless it changed.");
    }
    draft
}

/// XAF's FileData: compressed bytes, and their length before.
fn xpo_file(cell: Cell<'_>) -> Option<ColumnDraft<'_>> {
    let size = cell.table.column("size")?;
    let is_length = matches!(size.sql_type, SqlType::Int | SqlType::BigInt);
    let is_content = cell.column.name.eq_ignore_ascii_case("Content")
        && matches!(cell.column.sql_type, SqlType::VarBinary { length: None } | SqlType::Image);
    if !is_length || !is_content || cell.table.column("FileName").is_none() {
        return None;
    }
    let mut draft = plain(cell, Made::XpoFile);
    draft.sources.push(size);
    draft.remark(
        "As it is or inflated, whichever has the length that `size` says (XAF's \
         CompressionConverter); a file of neither length is quarantined.",
    );
    Some(draft)
}

/// Whether one of a column's words is in a list.
pub(super) fn has_word(column: &Column, list: &[&str]) -> bool {
    words(&column.name).iter().any(|word| list.contains(&word.as_str()))
}

/// Whether a column's last word is in a list.
pub(super) fn ends_in(column: &Column, list: &[&str]) -> bool {
    words(&column.name).last().is_some_and(|word| list.contains(&word.as_str()))
}
