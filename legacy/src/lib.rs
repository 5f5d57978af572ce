//! SQL Server over TDS: catalogue, ranges of rows, log positions.
//!
//! The only crate that names tiberius. Every statement that it sends is built in
//! [`statement`] and listed in `docs/statements.md`; the sandbox answers exactly those.

pub mod error;
pub mod session;
pub mod statement;

pub use error::Error;
pub use session::{Encryption, Session, Settings};
