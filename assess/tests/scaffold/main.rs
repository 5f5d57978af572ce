//! Drafts of whole schemas: they compile, read well, and hold on a real Postgres.

mod compile;
mod hostile;
mod postgres;
mod snapshots;
mod world;
