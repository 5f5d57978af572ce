//! What a connection remembers.

use mapping::value::LegacyValue;
use sqlparser::ast::Statement;

use super::{Outcome, SqlError};
use crate::legacy::{Database, Values, state::Snapshot};

/// Isolation levels. The weaker ones read as READ COMMITTED here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Each statement sees what was committed when it began.
    ReadCommitted,
    /// Each statement of a transaction sees what was committed at its first read.
    Snapshot,
}

/// A connection's state.
#[derive(Debug)]
pub(crate) struct Session {
    database: Database,
    isolation: Isolation,
    open: Option<Open>,
    /// `SET NOCOUNT ON`.
    pub(crate) nocount: bool,
    /// Rows of the last statement: `ROWCOUNT_BIG()`.
    pub(crate) last_count: u64,
}

/// An open transaction.
#[derive(Debug, Default)]
struct Open {
    snapshot: Option<Snapshot>,
    /// Marker rows, written at the commit.
    markers: Vec<Values>,
}

impl Session {
    pub(crate) fn new(database: Database) -> Self {
        let isolation = Isolation::ReadCommitted;
        Self { database, isolation, open: None, nocount: false, last_count: 0 }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// What a statement sees.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        match &mut self.open {
            Some(open) if self.isolation == Isolation::Snapshot => {
                open.snapshot.get_or_insert_with(|| self.database.snapshot()).clone()
            }
            _ => self.database.snapshot(),
        }
    }

    pub(crate) fn begin(&mut self, isolation: Option<Isolation>) {
        self.isolation = isolation.unwrap_or(self.isolation);
        self.open.get_or_insert_default();
    }

    pub(crate) fn commit(&mut self) -> Result<(), SqlError> {
        let open = self.open.take().unwrap_or_default();
        self.write(open.markers)
    }

    pub(crate) fn roll_back(&mut self) {
        self.open = None;
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Adds a marker row, at the commit where a transaction is open.
    pub(crate) fn insert_marker(&mut self, row: Vec<LegacyValue<'static>>) -> Result<(), SqlError> {
        match &mut self.open {
            Some(open) => open.markers.push(row),
            None => self.write(vec![row])?,
        }
        Ok(())
    }

    fn write(&self, markers: Vec<Values>) -> Result<(), SqlError> {
        if markers.is_empty() {
            return Ok(());
        }
        self.database.transaction(|transaction| {
            markers
                .into_iter()
                .try_for_each(|row| transaction.insert(crate::legacy::MARKER_TABLE, row))
        })?;
        Ok(())
    }

    /// `SET …`.
    pub(crate) fn set(&mut self, statement: &Statement) -> Result<Outcome, SqlError> {
        let text = statement.to_string();
        let words: Vec<String> = text.split_whitespace().map(str::to_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["SET", "NOCOUNT", state @ ("ON" | "OFF")] => self.nocount = *state == "ON",
            ["SET", "XACT_ABORT", "ON" | "OFF"] => {}
            ["SET", "LOCK_TIMEOUT", number] if number.parse::<i32>().is_ok() => {}
            ["SET", "TRANSACTION", "ISOLATION", "LEVEL", "SNAPSHOT"] => {
                self.isolation = Isolation::Snapshot;
            }
            ["SET", "TRANSACTION", "ISOLATION", "LEVEL", "READ", "COMMITTED"] => {
                self.isolation = Isolation::ReadCommitted;
            }
            _ => return Err(SqlError::syntax(&text)),
        }
        Ok(Outcome::Done)
    }
}
