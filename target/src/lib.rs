//! Postgres: keys, the one way in, positions, quarantine, domain states.
//!
//! [`Target::apply`] is the only thing that writes migrated tables before cutover (law 1). One
//! call is one transaction: the rows, the counts, the quarantine and the checkpoint that
//! accounts for them (law 2).
//!
//! Reading order: [`batch`] (what goes in and comes out), `apply` (the transaction, step by
//! step), `fold` (many changes of one row become one), `lane` and `parts` (rows into tables),
//! `archive` (and out of them),
//! `keys` (ids); then the rest: [`partition`], [`chunk`], [`fence`], [`compare`], [`domain`],
//! [`follow`], [`topic`], [`quarantine`], [`report`], [`status`], [`look`]; [`schema`] stands beside: it needs
//! no plan's registration, and writes nothing.

mod apply;
mod archive;
mod aside;
pub mod batch;
mod checkpoint;
pub mod chunk;
pub mod compare;
pub mod connect;
mod copy;
pub mod defer;
pub mod digest;
pub mod domain;
pub mod drift;
pub mod error;
pub mod fence;
mod fold;
pub mod follow;
pub mod gap;
mod gate;
pub mod hold;
pub mod hook;
mod keys;
mod lane;
pub mod limit;
pub mod look;
mod migrate;
mod object_type;
mod objects;
mod outside;
mod park;
pub mod part;
pub mod partition;
mod parts;
mod poison;
mod prepare;
pub mod quarantine;
pub mod repair;
pub mod report;
pub mod reselect;
mod reserve;
pub mod retry;
pub mod schedule;
pub mod schema;
pub mod seal;
mod sequence;
mod settle;
mod silent;
mod statement;
pub mod status;
pub mod stream;
mod tally;
mod target;
pub mod topic;
pub mod unique;
mod work;
mod writer;
mod written;

pub use batch::{Applied, Batch, Checkpoint, Counts, QuarantineEntry};
pub use connect::{Role, Settings, connect, connect_lazy};
pub use error::{Cause, Disposition, Error};
pub use limit::BatchLimit;
pub use migrate::{FIRST_PRODUCT_VERSION, ProductMigration, migrate};
pub use objects::{Chunks, ObjectStore, Spool};
pub use prepare::Prepared;
pub use sequence::cutover::SetSequence;
pub use target::Target;

/// Connections to Postgres, for callers that do not name the driver.
pub use sqlx::PgPool as Pool;
