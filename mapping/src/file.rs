//! The mapping language: what a file may say, and every mistake in it with its place.
//!
//! A file is read as a tree with spans, not through derived deserialisers: those stop at the
//! first mistake, and a migration engineer wants all of them. What could be understood is
//! compiled further; what could not is a [`Mistake`], and a mistake in one line never hides
//! one in another.
//!
//! What may be said stands in `docs/mapping.md`, of which every example is compiled by a test,
//! and in [`json_schema`], which is made by asking this reader.

mod accept;
mod column;
mod compose;
mod filter;
mod flags;
mod lob;
mod lookup;
mod options;
mod places;
mod read;
mod schema;
mod sequence;
#[cfg(test)]
mod tests;
mod time;
mod unique;
pub(crate) mod words;

use std::fmt;

use options::{Asked, Level};

pub(crate) use column::{ColumnSaid, Kind, RefSaid};
pub(crate) use filter::{CONDITION_KEYS, Condition as ConditionSaid};
pub(crate) use lob::Lob;
pub(crate) use lookup::{LookedUp, LookupSaid};
pub use options::closest;
pub use places::{Accepted, Places, Spot};
pub(crate) use read::{EntitySaid, FileSaid, read};
#[cfg(test)]
pub(crate) use schema::check;
pub use schema::json_schema;
pub(crate) use sequence::SequenceSaid;
pub(crate) use unique::UniqueSaid;

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

impl Place {
    /// Line and column of the place in its file's text, both from 1.
    fn line_and_column(self, text: &str) -> (usize, usize) {
        let before = text.get(..self.byte).unwrap_or(text);
        let line_begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let letters = before.get(line_begin..).unwrap_or_default().chars().count();
        (before.matches('\n').count() + 1, letters + 1)
    }
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

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Bool(value) => value.fmt(f),
        }
    }
}

/// All mistakes so far.
pub(crate) struct Mistakes<'a> {
    files: &'a [MappingFile],
    found: Vec<Mistake>,
    /// Files with syntax errors: what follows from those is not worth telling.
    broken: Vec<usize>,
    /// What was asked of each table, when somebody wants to know: the schema.
    heard: Option<Vec<(Level, Asked)>>,
}

impl<'a> Mistakes<'a> {
    pub(crate) fn new(files: &'a [MappingFile]) -> Self {
        Self { files, found: Vec::new(), broken: Vec::new(), heard: None }
    }

    fn hear(&mut self, level: Level, asked: Asked) {
        if let Some(heard) = &mut self.heard {
            heard.push((level, asked));
        }
    }

    /// Notes a mistake.
    pub(crate) fn add(&mut self, at: Place, message: impl Into<String>, help: impl Into<String>) {
        if self.broken.contains(&at.file) {
            return;
        }
        let Some(file) = self.files.get(at.file) else { return };
        let (line, column) = at.line_and_column(&file.text);
        self.found.push(Mistake {
            file: file.name.clone(),
            line,
            column,
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
