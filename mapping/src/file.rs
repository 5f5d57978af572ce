//! The mapping language: what a file may say, and every mistake in it with its place.
//!
//! A file is read as a tree with spans, not through derived deserialisers: those stop at the
//! first mistake, and a migration engineer wants all of them. What could be understood is
//! compiled further; what could not is a [`Mistake`], and a mistake in one line never hides
//! one in another.
//!
//! At the top: `domain`, `[[entity]]`, `[[ignore]]` (`table`, `reason`), `[[sequence]]`, `object_types`.
//! A sequence: **`name`** (in Postgres), **`from`** = `"entity.column"`, one or a list of them; for texts
//! `pattern`, one regular expression or a list, each for the whole value and with one group for the number
//! (without: the value is the number), and `except` for values without one; `above`, `step`.
//! An entity: `name`, `table`, `from` or `parts`, `type`, `key`, `id_time`, `soft_delete`
//! (`none`, `delete`, `deleted_at`, `archive`), `version`, `[entity.columns]`, `[entity.leave_out]`.
//!
//! | a column made `as` | is made from | and may say |
//! | --- | --- | --- |
//! | `bool`, `int2`, `int4`, `int8` | bit, integers; ints also from whole decimals and floats | |
//! | `float8` | float, real, int | |
//! | `numeric` | decimal, money, float (shortest form), integers, text | **`scale`**, `precision`, `round` = `half-even`, `half-up` |
//! | `money` | the same | **`currency`**, **`digits`**, `round` |
//! | `text` | text, xml, integers, uniqueidentifier | `trim` = `end`, `both`; `empty` = `null`; `nul` = `strip`; `surrogate` = `replace` |
//! | `date` | date, datetime | `time` = `drop`; `sentinels` |
//! | `time`, `timestamp` | time; datetime | `precision` = `truncate`; `sentinels` (timestamp) |
//! | `timestamptz` | datetime with **`zone`**, datetimeoffset without | `gap` = `later`; `overlap` = `daylight`, `reject`; `precision`; `sentinels` |
//! | `enum` | integers, bit, text | **`values`**, `null`, `unknown` |
//! | `type` | `ObjectType` | `values` (without: the type's name) |
//! | `ref` | the key columns of **`to`** | `orphans` = `null`, `allow`; `empty` = `null` |
//! | `xpo-file` | content and length | |
//! | `const` | nothing | **`value`** |
//! | `uuid`, `bytea`, `color`, `seconds` | uniqueidentifier or text; binary; int; float or int | |
//!
//! Every column may say `default`, `not_null`, `sensitive`, `compare` = `skip: reason`, and `lob`:
//! `inline`; `object-store` (as text, bytea, xpo-file: the column is a text, the content's address);
//! `skip: reason` (not read, not written, not compared).

mod column;
mod lob;
mod options;
mod read;
mod sequence;
#[cfg(test)]
mod tests;
mod time;

use std::fmt;

pub(crate) use column::{ColumnSaid, Kind};
pub(crate) use lob::Lob;
pub(crate) use options::closest;
pub(crate) use read::{EntitySaid, FileSaid, read};
pub(crate) use sequence::SequenceSaid;

/// One mapping file, already read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFile {
    /// Its path as mistakes print it.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

/// Something wrong in a mapping file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct Mistake {
    /// [`MappingFile::name`].
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, one lower-case clause.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// A place in a file: the file's index and a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) byte: usize,
}

/// A word of a file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) at: Place,
}

impl<T> Said<T> {
    pub(crate) fn new(value: T, at: Place) -> Self {
        Self { value, at }
    }
}

impl<T: fmt::Display> fmt::Display for Said<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A TOML value that stands for a column's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// All mistakes so far.
pub(crate) struct Mistakes<'a> {
    files: &'a [MappingFile],
    found: Vec<Mistake>,
    /// Files with syntax errors: what follows from those is not worth telling.
    broken: Vec<usize>,
}

impl<'a> Mistakes<'a> {
    pub(crate) fn new(files: &'a [MappingFile]) -> Self {
        Self { files, found: Vec::new(), broken: Vec::new() }
    }

    /// Notes a mistake.
    pub(crate) fn add(&mut self, at: Place, message: impl Into<String>, help: impl Into<String>) {
        if self.broken.contains(&at.file) {
            return;
        }
        let Some(file) = self.files.get(at.file) else { return };
        let before = file.text.get(..at.byte).unwrap_or(&file.text);
        let line_begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.found.push(Mistake {
            file: file.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before.chars().count() - before.get(..line_begin).unwrap_or("").chars().count()
                + 1,
            message: message.into(),
            help: help.into(),
        });
    }

    /// Notes that a file is no TOML: only its syntax errors are told from now on.
    pub(crate) fn break_off(&mut self, file: usize) {
        self.broken.push(file);
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of files and places.
    pub(crate) fn into_sorted(self) -> Vec<Mistake> {
        let mut found = self.found;
        let file_order = |mistake: &Mistake| self.files.iter().position(|f| f.name == mistake.file);
        found.sort_by_cached_key(|m| (file_order(m), m.line, m.column, m.message.clone()));
        found.dedup();
        found
    }
}
