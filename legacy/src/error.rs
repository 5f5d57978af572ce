//! What can go wrong on the legacy side.

/// A failure of the legacy side, with what the user can do about it in [`Error::hint`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server can't be reached or refused the connection.
    #[error("no connection to the legacy server {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
