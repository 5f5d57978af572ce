//! The only place that prints. Results go to standard output, everything about the run to
//! standard error.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

pub(crate) use show::thousands;

use crate::exit::Exit;

/// Set when the reader of standard output has gone.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// A result line.
pub(crate) fn line(text: impl AsRef<str>) {
    // A closed pipe (`ficus … | head`) is the reader's wish, not an error.
    if writeln!(std::io::stdout().lock(), "{}", text.as_ref()).is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Whether nobody reads standard output any more: a command that only prints can end.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// A line about the run. Nobody can be told that standard error is closed.
pub(crate) fn note(text: impl AsRef<str>) {
    drop(writeln!(std::io::stderr().lock(), "{}", text.as_ref()));
}

/// Writes a file that was asked for.
pub(crate) fn file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text)
        .map_err(|error| anyhow::anyhow!("can't write {}: {error}", path.display()))
}

/// Columns of the terminal; of standard output that goes elsewhere, as many as a page has.
pub(crate) fn width() -> usize {
    let size = console::Term::stdout().size_checked();
    size.map_or(100, |(_, columns)| usize::from(columns))
}

/// What clap answers instead of a command: a help text, the version, or what is wrong with the
/// command line. (Its own code for that, 2, is the code of an undecided verdict here.)
pub(crate) fn clap(answer: &clap::Error) -> Exit {
    drop(answer.print()); // a closed pipe, as above
    if answer.use_stderr() { Exit::Usage } else { Exit::Success }
}

/// The sentence of a failure: what, where, why, and the hint where there is one.
pub(crate) fn failure(error: &anyhow::Error) {
    let mut message = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Some drivers repeat their source's text in their own.
        if !last.is_empty() && last.contains(&text) {
            continue;
        }
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&text);
        last = text;
    }
    note(format!("ficus: {message}"));
    if let Some(hint) = hint(error) {
        note(format!("  {hint}"));
    }
}

/// What the user can do, from the first error in the chain that knows.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let of = |hint: &dyn std::fmt::Display| Some(hint.to_string());
        if let Some(error) = cause.downcast_ref::<target::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<legacy::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<backfill::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<work::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<assess::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<cdc_consumer::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<reconcile::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<sandbox::postgres::Error>() {
            return of(&error.hint());
        }
        if let Some(error) = cause.downcast_ref::<sandbox::kafka::Error>() {
            return of(&error.hint());
        }
        match cause.downcast_ref::<api::server::Startup>()? {
            api::server::Startup::Listen { .. } => {
                of(&"choose another address with --listen (port 0 takes a free one)")
            }
            api::server::Startup::States(_) => {
                of(&"run `ficus migrate`, if this database was not migrated yet")
            }
            _ => None,
        }
    })
}

/// Whether a person watches standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether standard error may be colored: a terminal, and no `NO_COLOR` (<https://no-color.org>).
pub(crate) fn is_colored() -> bool {
    is_watched() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A table of text, columns aligned; columns of numbers to the right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns: Vec<Column> = header
        .iter()
        .enumerate()
        .map(|(index, name)| Column::of(name, rows.iter().filter_map(|row| row.get(index))))
        .collect();
    let heading: Vec<String> = header.iter().map(ToString::to_string).collect();
    let mut text = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&columns).map(|(cell, column)| column.pad(cell)).collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text
}

struct Column {
    width: usize,
    is_number: bool,
}

impl Column {
    fn of<'a>(name: &str, cells: impl Iterator<Item = &'a String> + Clone) -> Self {
        let widest = cells.clone().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let digits = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || c == ',');
        let is_number = cells.clone().next().is_some() && { cells }.all(digits);
        Self { width: widest.max(name.chars().count()), is_number }
    }

    fn pad(&self, cell: &str) -> String {
        let width = self.width;
        if self.is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    }
}

/// So many a second.
pub(crate) fn rate(count: u64, elapsed: std::time::Duration) -> String {
    let milliseconds = elapsed.as_millis().max(1);
    let rate = u128::from(count) * 1000 / milliseconds;
    thousands(u64::try_from(rate).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["contracts", "12", "2 left"]), row(["ү", "1,234", "none"])];
        let expected =
            "  table       rows  why\n  contracts     12  2 left\n  ү          1,234  none\n";
        assert_eq!(table(&["table", "rows", "why"], &rows), expected);
    }
}
