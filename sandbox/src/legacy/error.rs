//! What the simulated server can refuse.

/// A refusal, with SQL Server's number for it in [`Error::number`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The DDL text has something that the reader does not know.
    #[error("DDL line {line}: {problem}")]
    Ddl {
        /// Line in the text, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The collation is not one of those that are simulated.
    #[error("collation `{0}` is not simulated")]
    UnknownCollation(String),
    /// No such table.
    #[error("invalid object name '{0}'")]
    UnknownTable(String),
    /// No such column.
    #[error("invalid column name '{0}'")]
    UnknownColumn(String),
    /// The value does not fit the column.
    #[error("value does not fit column {table}.{column}: {problem}")]
    BadValue {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Why.
        problem: &'static str,
        /// SQL Server's number.
        number: u32,
    },
    /// A row with another number of values than the table has columns, or a key with another
    /// number of values than the primary key.
    #[error("{given} values for {table}, which takes {expected}")]
    WrongWidth {
        /// The table.
        table: String,
        /// How many it takes.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// The key is there already.
    #[error("violation of PRIMARY KEY constraint in object '{table}', cannot insert duplicate key")]
    DuplicateKey {
        /// The table.
        table: String,
    },
    /// The log no longer reaches back to there.
    #[error("the change log was cut after {after}: it begins at {begins}")]
    LogTrimmed {
        /// What was asked for.
        after: mapping::position::Lsn,
        /// Where the log begins.
        begins: mapping::position::Lsn,
    },
    /// The capture job's thread could not be started.
    #[error("no thread for the capture job")]
    NoThread,
    /// The caller's own reason to roll back.
    #[error("rolled back: {0}")]
    Aborted(String),
}

impl Error {
    /// SQL Server's error number.
    #[must_use]
    pub fn number(&self) -> u32 {
        match self {
            Self::Ddl { .. } => 102,
            Self::UnknownCollation(_) => 448,
            Self::UnknownTable(_) => 208,
            Self::UnknownColumn(_) => 207,
            Self::BadValue { number, .. } => *number,
            Self::WrongWidth { .. } => 213,
            Self::DuplicateKey { .. } => 2627,
            Self::LogTrimmed { .. } => 313,
            Self::NoThread => 701,
            Self::Aborted(_) => 50000,
        }
    }
}
