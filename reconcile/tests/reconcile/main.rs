//! Reconcile on the sandbox: a legacy server over TDS, Postgres, Spacehub's mapping and data.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly and say what it saw"
)]

mod archive;
mod defects;
mod filters;
mod follow;
mod lab;
mod moving;
mod mutants;
mod objects;
mod paranoid;
mod quick;
mod racing;
mod repair;
mod resume;
mod since;
mod tiers;
