//! SQL Server over TDS: catalogue, ranges of rows, log positions.
//!
//! The only crate that names tiberius. Every statement that it sends is built in
//! [`statement`] and listed in `docs/statements.md`; the sandbox answers exactly those.

mod capture;
mod catalog;
pub mod error;
mod marker;
pub mod pace;
pub mod payload;
mod read;
pub mod session;
pub mod statement;
mod url;
mod value;

pub use capture::{Capture, CaptureInstance};
pub use error::{Disposition, Error};
pub use read::TextRow;
pub use session::{
    CaptureState, Encryption, Isolation, KeyRange, LegacyRow, Limits, RangePart, RowSink, Session,
    Settings, TableScan, TableSize,
};
pub use statement::{Condition, Grants, Total, TotalKind};
