//! Drafts of whole schemas: they compile, read well, and hold on a real Postgres.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test ends by a panic")]

mod compile;
mod hostile;
mod postgres;
mod snapshots;
mod world;
