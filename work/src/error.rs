//! What stops a worker, and what stops a command about its events.

use uuid::Uuid;

/// A failure that is not an event's own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres failed or refused.
    #[error("{doing}")]
    Postgres {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// A setting can't be used.
    #[error("`{setting}`: {why}")]
    Settings {
        /// Its name.
        setting: String,
        /// Why, without a secret's value.
        why: String,
    },
    /// There is no such event.
    #[error("there is no event {0} in the outbox")]
    NotFound(Uuid),
    /// The event can't be replayed or discarded as it is.
    #[error("event {id} is {state}: {why}")]
    State {
        /// The event.
        id: Uuid,
        /// Its state.
        state: String,
        /// Why that does not fit.
        why: &'static str,
    },
}

impl Error {
    pub(crate) fn postgres(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Postgres { doing, source }
    }

    pub(crate) fn setting(setting: &str, why: impl Into<String>) -> Self {
        Self::Settings { setting: setting.to_owned(), why: why.into() }
    }

    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Postgres { source, .. } => {
                let code = source.as_database_error().and_then(|error| error.code());
                match code.as_deref() {
                    Some("42P01" | "42703" | "3F000") => "run `ficus migrate` first",
                    Some("42501") => "give target.work_url a login that is a member of ficus_work",
                    _ => "check that Postgres answers; events stay in the outbox until then",
                }
            }
            Self::Settings { .. } => "docs/work.md has the settings with examples",
            Self::NotFound(_) => "`ficus work list --state any` shows what is there",
            Self::State { .. } => "`ficus work show ID` tells what happened to it",
        }
    }
}
