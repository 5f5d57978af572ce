//! Postgres: keys, the one way in, positions, quarantine, domain states.
//!
//! [`Target::apply`] is the only thing that writes migrated tables before cutover (law 1). One
//! call is one transaction: the rows, the counts, the quarantine and the checkpoint that
//! accounts for them (law 2).

pub mod batch;
pub mod error;

pub use batch::{Applied, Batch, Checkpoint, Counts, QuarantineEntry};
pub use error::Error;
