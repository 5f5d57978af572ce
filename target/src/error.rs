//! What can go wrong on the Postgres side, and what follows (RELIABILITY 2.3's table as code).

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
        source: sqlx::Error,
    },
}
