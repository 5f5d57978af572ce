//! What stops a run.

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The selection names nothing.
    #[error("`{name}` is neither an entity nor a domain of the mapping")]
    UnknownName {
        /// What was asked for.
        name: String,
    },
    /// The legacy server or the connection to it failed.
    #[error("{doing}")]
    Legacy {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<legacy::Error>,
    },
    /// Postgres or the connection to it failed.
    #[error("{doing}")]
    Target {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<target::Error>,
    },
    /// A row of the target has another shape than the mapping says.
    #[error("the rows of {table} do not have the shape that the mapping gives them: {detail}")]
    Shape {
        /// The target table.
        table: String,
        /// What is wrong.
        detail: String,
    },
    /// A task of the run ended by itself.
    #[error("a part of the run ended early: {what}")]
    Task {
        /// Which.
        what: String,
    },
    /// The report can't be written as JSON.
    #[error("the report could not be encoded")]
    Encode(#[source] serde_json::Error),
    /// Somebody stopped the run.
    #[error("the run was stopped")]
    Cancelled,
}

impl Error {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownName { .. } => "list the names with `ficus mapping list`",
            Self::Legacy { .. } => {
                "check `legacy.url` and that its login may read the table, then run again"
            }
            Self::Target { .. } => {
                "check `target.url` and that `ficus migrate` has been run, then run again"
            }
            Self::Shape { .. } => {
                "compare the table's columns with the mapping file (`ficus mapping check`)"
            }
            Self::Task { .. } => "run again; if it happens twice, report it with the log",
            Self::Encode(_) => "report this with the log; the comparison itself was not stored",
            Self::Cancelled => {
                "run again when you are ready; with --resume a full run goes on where it was"
            }
        }
    }

    pub(crate) fn legacy(doing: impl Into<String>) -> impl FnOnce(legacy::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Legacy { doing, source: Box::new(source) }
    }

    pub(crate) fn target(doing: impl Into<String>) -> impl FnOnce(target::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Target { doing, source: Box::new(source) }
    }
}
