//! What can go wrong with an assessment as a whole. What is wrong with one table is a hazard of
//! that table.

use mapping::catalog::LegacyTable;

/// A failure, with what the user can do about it in [`Error::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table was named that is not there.
    #[error("the legacy database `{database}` has no table `{name}`")]
    Unknown {
        /// The database.
        database: String,
        /// What was named.
        name: String,
        /// The name that comes nearest.
        near: Option<LegacyTable>,
    },
    /// The legacy server.
    #[error(transparent)]
    Legacy(#[from] legacy::Error),
}

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { near: Some(near), .. } => format!("did you mean {near}?"),
            Self::Unknown { near: None, .. } => {
                "name tables as Contract or dbo.Contract; all are assessed when none is named"
                    .to_owned()
            }
            Self::Legacy(error) => error.hint().to_owned(),
        }
    }
}
