//! What can go wrong on the Postgres side, and what follows (RELIABILITY 2.3's table as code).

mod cause;
mod store;

pub use cause::Cause;
pub(crate) use cause::is_of_a_function;
pub use store::StoreCause;

/// A failure on the Postgres side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process owns the partition or the chunk now (law 2).
    #[error("{what} was taken over by another process")]
    Fenced {
        /// The partition or the chunk.
        what: String,
    },
    /// Postgres or the connection to it failed.
    #[error("{doing}")]
    Postgres {
        /// What was being done, with table and position.
        doing: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The object store does not take or give an object.
    #[error("{doing}")]
    Objects {
        /// What was being done, with the object's address.
        doing: String,
        /// The cause.
        #[source]
        source: StoreCause,
    },
    /// The settings can't be used.
    #[error("the setting {setting} is not usable: {why}")]
    Settings {
        /// Its name.
        setting: &'static str,
        /// Why, without its value.
        why: String,
    },
    /// A migration failed, or an applied one was changed.
    #[error("applying the migrations to the target")]
    Migrate {
        /// The cause, without values.
        #[source]
        source: Cause,
    },
    /// The target's tables are not what the mapping says.
    #[error("the target's tables differ from the mapping: {}", .disagreements.join("; "))]
    Schema {
        /// Each difference, as one clause.
        disagreements: Vec<String>,
    },
    /// So many rows of one table are refused that the mapping or the schema must be wrong.
    #[error("{refused} of {rows} rows of {table} were refused by the rule {rule}")]
    Flood {
        /// The target table.
        table: String,
        /// The legacy tables that they came from.
        sources: Vec<String>,
        /// The first rule that refused.
        rule: String,
        /// Rows refused.
        refused: usize,
        /// Rows tried.
        rows: usize,
    },
    /// Law 4 would be broken: what was read is not what is accounted for.
    #[error("{read} rows of {table} were read, but {accounted} are accounted for")]
    Miscounted {
        /// The legacy table.
        table: String,
        /// Rows read.
        read: u64,
        /// Applied, stale, folded, ignored and quarantined together.
        accounted: u64,
    },
    /// The domain can't be handed over yet.
    #[error("the domain {domain} has red gates: {}", .red.join(", "))]
    Gates {
        /// The domain.
        domain: String,
        /// The names of the red gates.
        red: Vec<String>,
    },
    /// The domain is in another state, or the step is not allowed.
    #[error("the domain {domain} can't go from {from} to {to}")]
    Transition {
        /// The domain.
        domain: String,
        /// Its state.
        from: String,
        /// The wanted state.
        to: String,
    },
    /// Postgres owns the domain: the legacy side has no say in its rows.
    #[error("the domain {domain} is cut over, so its rows are not repaired from the legacy side")]
    Owned {
        /// The domain.
        domain: String,
    },
    /// Something that was named does not exist.
    #[error("there is no {what}")]
    NotFound {
        /// What, with its name or number.
        what: String,
    },
    /// Bytes or numbers are not what this version of the engine writes.
    #[error("{what} is not readable")]
    Corrupt {
        /// What was read.
        what: String,
    },
}

/// SQLSTATEs that decide what is tried next.
pub(crate) const UNIQUE_VIOLATION: &str = "23505";
pub(crate) const FEATURE_NOT_SUPPORTED: &str = "0A000";

/// What the caller does about a failure. The one place that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Transport or capacity: the same work again after a pause, for ever, with an alarm.
    Retry,
    /// Others are in the way, or it takes too long: the same work again after a pause, in smaller
    /// batches where the caller can, which hold fewer locks for a shorter time.
    RetrySmaller,
    /// The environment: the lane is red, nothing is skipped, the same work again slowly.
    RetrySlowly,
    /// This row's data: [`crate::Target::apply`] has put it aside itself; met by others only
    /// through statements of their own.
    Quarantine,
    /// Somebody else owns the partition or chunk: drop it, or claim it again and start from
    /// what Postgres says.
    Reclaim,
    /// Somebody must decide: end with the sentence and its hint.
    Stop,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Fenced { .. } => Disposition::Reclaim,
            Self::Postgres { source, .. } | Self::Migrate { source } => source.disposition(),
            Self::Objects { source, .. } => source.disposition(),
            Self::Settings { .. }
            | Self::Schema { .. }
            | Self::Flood { .. }
            | Self::Miscounted { .. }
            | Self::Gates { .. }
            | Self::Transition { .. }
            | Self::Owned { .. }
            | Self::NotFound { .. }
            | Self::Corrupt { .. } => Disposition::Stop,
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Fenced { .. } => {
                "nothing to do: the other process goes on from what is committed"
            }
            Self::Postgres { source, .. } => source.hint(),
            Self::Objects { source, .. } => source.hint(),
            Self::Migrate { source } => match source.sqlstate.as_deref() {
                Some("42501") => {
                    "run `ficus migrate` with a login that may create roles, or have an \
                     administrator create ficus_owner, ficus_engine, ficus_api and ficus_reader \
                     and grant them to this login"
                }
                _ => source.hint(),
            },
            Self::Settings { .. } => "correct it in ficus.toml or in the environment",
            Self::Schema { .. } => {
                "run `ficus migrate`, or correct the mapping file or the product's migrations"
            }
            Self::Flood { .. } => {
                "correct the mapping or the target's constraint, then start again: nothing of \
                 this batch was written"
            }
            Self::Miscounted { .. } => {
                "this is a defect of the engine; nothing was written. Please report it with the log"
            }
            Self::Gates { .. } => "run `ficus domain plan` to see each gate and what it waits for",
            Self::Owned { .. } => {
                "take the domain back first (`ficus domain rollback`), if the legacy side is right"
            }
            Self::Transition { .. } => "run `ficus domain list` to see the state of each domain",
            Self::NotFound { .. } => "check the spelling against `ficus status`",
            Self::Corrupt { .. } => {
                "it was written by another version or changed by hand: read the row again with \
                 `ficus backfill`"
            }
        }
    }

    pub(crate) fn objects(doing: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Objects { doing: doing.into(), source: source.into() }
    }

    pub(crate) fn postgres(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Postgres { doing: doing.into(), source: source.into() }
    }

    /// The SQLSTATE, where Postgres answered with one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Postgres { source, .. } | Self::Migrate { source } => source.sqlstate.as_deref(),
            Self::Fenced { .. }
            | Self::Objects { .. }
            | Self::Settings { .. }
            | Self::Schema { .. }
            | Self::Flood { .. }
            | Self::Miscounted { .. }
            | Self::Gates { .. }
            | Self::Transition { .. }
            | Self::Owned { .. }
            | Self::NotFound { .. }
            | Self::Corrupt { .. } => None,
        }
    }

    /// Whether the connection (and with it, perhaps, the server) was lost.
    pub(crate) fn lost_connection(&self) -> bool {
        match self {
            Self::Postgres { source, .. } => source.lost_connection(),
            _ => false,
        }
    }
}
