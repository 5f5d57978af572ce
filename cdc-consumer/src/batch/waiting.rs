//! Rows whose type nobody knows yet. The event of the type itself is in another topic and may be
//! read later, or a backfill may have brought it meanwhile; so such a row is mapped once more when
//! its batch is closed, and only then it is rejected.

use super::copied::Copied;

/// A message that is mapped again.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) message: Copied,
    /// When it was met, by the clock of the first attempt.
    pub(super) now_us: i64,
}
