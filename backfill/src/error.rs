//! What can go wrong in a backfill.

use mapping::{catalog::LegacyTable, plan::TablePlan};

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Transport or capacity: again from the last committed key, after a pause.
    Retry,
    /// Another process owns the chunk now: leave it, take the next one.
    Leave,
    /// The table is given up, the others go on.
    GiveUpTable,
    /// The run ends.
    Stop,
}

/// A failure of a backfill.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that is neither a domain nor an entity.
    #[error("there is no domain or entity `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A part is copied of one table, and the entity has several.
    #[error("entity `{entity}` is made of several tables")]
    SeveralTables {
        /// The entity.
        entity: String,
        /// Its tables.
        tables: Vec<String>,
    },
    /// A line that is no key of the table.
    #[error("line {line} of the list of keys: {reason}")]
    KeyLine {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
        /// What a key of the table looks like.
        hint: String,
    },
    /// The operator's query can't be asked.
    #[error("backfill.busy_query failed")]
    BusyQuery {
        /// The cause.
        #[source]
        source: Box<legacy::Error>,
    },
    /// The legacy side failed before any table was begun.
    #[error("the legacy server can't be read")]
    Legacy(#[source] Box<legacy::Error>),
    /// The target failed before any table was begun.
    #[error("the backfill's state can't be kept in the target")]
    Target(#[source] Box<target::Error>),
    /// Reading a table failed.
    #[error("reading {table} failed")]
    Read {
        /// The table.
        table: LegacyTable,
        /// The cause.
        #[source]
        source: Box<legacy::Error>,
    },
    /// Writing a table's rows failed.
    #[error("writing the rows of {table} failed")]
    Write {
        /// The table.
        table: LegacyTable,
        /// The cause.
        #[source]
        source: Box<target::Error>,
    },
    /// So many rows in a row can't be mapped that it is not the rows.
    #[error("{rows} rows of {table} in a row can't be mapped ({why})")]
    Flood {
        /// The table.
        table: LegacyTable,
        /// Rows in a row.
        rows: u64,
        /// Rule and column.
        why: String,
    },
    /// The same thing failed again and again.
    #[error("{table} made no progress in {attempts} attempts")]
    Exhausted {
        /// The table.
        table: LegacyTable,
        /// Attempts.
        attempts: u32,
        /// The last failure.
        #[source]
        source: Box<Error>,
    },
    /// A stored bound or key is not one.
    #[error("chunk {chunk} of {table} has a key that can't be read")]
    StoredKey {
        /// The table.
        table: LegacyTable,
        /// The chunk's id.
        chunk: i64,
    },
    /// A task ended without a word: a defect of ours.
    #[error("a reader ended unexpectedly")]
    Task,
}

impl From<legacy::Error> for Error {
    fn from(source: legacy::Error) -> Self {
        Self::Legacy(Box::new(source))
    }
}

impl From<target::Error> for Error {
    fn from(source: target::Error) -> Self {
        Self::Target(Box::new(source))
    }
}

impl Error {
    /// For `map_err`, while a table is read.
    pub(crate) fn reading(table: &TablePlan) -> impl Fn(legacy::Error) -> Self + Copy {
        move |source| Self::Read { table: table.table.clone(), source: Box::new(source) }
    }

    /// For `map_err`, while a table's rows are written.
    pub(crate) fn writing(table: &TablePlan) -> impl Fn(target::Error) -> Self + Copy {
        move |source| Self::Write { table: table.table.clone(), source: Box::new(source) }
    }

    /// What follows from it.
    pub(crate) fn disposition(&self) -> Disposition {
        match self {
            Self::Legacy(source) => match source.disposition() {
                legacy::Disposition::Retry => Disposition::Retry,
                legacy::Disposition::Stop => Disposition::Stop,
            },
            Self::Read { source, .. } => read(source),
            Self::Target(source) | Self::Write { source, .. } => write(source),
            Self::StoredKey { .. } | Self::Flood { .. } => Disposition::GiveUpTable,
            Self::Unknown { .. }
            | Self::SeveralTables { .. }
            | Self::KeyLine { .. }
            | Self::BusyQuery { .. }
            | Self::Exhausted { .. }
            | Self::Task => Disposition::Stop,
        }
    }

    /// Whether smaller batches may get through where this one did not.
    pub(crate) fn wants_smaller_batches(&self) -> bool {
        match self {
            Self::Target(source) | Self::Write { source, .. } => {
                source.disposition() == target::Disposition::RetrySmaller
            }
            Self::Unknown { .. }
            | Self::SeveralTables { .. }
            | Self::KeyLine { .. }
            | Self::BusyQuery { .. }
            | Self::Legacy(_)
            | Self::Read { .. }
            | Self::Exhausted { .. }
            | Self::Flood { .. }
            | Self::StoredKey { .. }
            | Self::Task => false,
        }
    }

    /// Whether fewer rows at a time may be answered in time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Read { source, .. } if matches!(**source, legacy::Error::Timeout { .. }))
    }

    /// Whether rows of the answer are not there, and nobody knows which.
    pub(crate) fn is_incomplete(&self) -> bool {
        matches!(self, Self::Read { source, .. } if matches!(**source, legacy::Error::Incomplete { .. }))
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { known, .. } => format!("known are: {}", known.join(", ")),
            Self::SeveralTables { tables, .. } => {
                format!("name the table instead: {}", tables.join(", "))
            }
            Self::KeyLine { hint, .. } => hint.clone(),
            Self::BusyQuery { source } => {
                format!("{}; try the query on the server, under the engine's login", source.hint())
            }
            Self::Legacy(source) | Self::Read { source, .. } => source.hint().to_owned(),
            Self::Target(source) | Self::Write { source, .. } => source.hint().to_owned(),
            Self::Exhausted { source, .. } => {
                format!("{}; what is copied stays: run `ficus backfill` again", source.hint())
            }
            Self::Flood { .. } => {
                "the table is not what the mapping takes it for: read the catalogue again \
                and run `ficus mapping check`; if the rows are bad all the same, raise \
                backfill.quarantine_in_a_row_max"
                    .to_owned()
            }
            Self::StoredKey { .. } => {
                "the key's columns have changed since: run `ficus backfill --restart`".to_owned()
            }
            Self::Task => {
                "a defect of the engine: please report it; run `ficus backfill` again".to_owned()
            }
        }
    }
}

/// A table that can't be read is given up; a server that can't be used ends the run.
fn read(error: &legacy::Error) -> Disposition {
    use legacy::Error as E;
    match error {
        E::Permission { .. }
        | E::Missing { .. }
        | E::Server { .. }
        | E::Protocol { .. }
        | E::Answer { .. }
        | E::NoKey { .. }
        | E::KeyType { .. }
        | E::KeyShape { .. } => Disposition::GiveUpTable,
        other => match other.disposition() {
            legacy::Disposition::Retry => Disposition::Retry,
            legacy::Disposition::Stop => Disposition::Stop,
        },
    }
}

fn write(error: &target::Error) -> Disposition {
    use target::{Error as E, error::Disposition as D};
    match error {
        E::Flood { .. } => Disposition::GiveUpTable,
        other => match other.disposition() {
            D::Retry | D::RetrySmaller | D::RetrySlowly => Disposition::Retry,
            D::Reclaim => Disposition::Leave,
            D::Quarantine | D::Stop => Disposition::Stop,
        },
    }
}

/// An error with its causes, for logs and events.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
