//! The mapping language, canonical keys and the one encoding of a row.
//!
//! A [`plan::Plan`] is compiled once from mapping files and the legacy
//! [`catalog::Catalog`]; from then on [`plan::TablePlan::map`] turns one legacy row
//! (a slice of [`value::LegacyValue`]) into Postgres binary fields inside a
//! [`row::RowBatch`]. Backfill, change events and reconcile all go through that one
//! function, so there is one encoding and no "almost equal".
//!
//! Nothing here knows a clock, a file, a socket or an executor: everything that
//! varies is an argument.

pub mod catalog;
pub mod check;
mod compile;
mod convert;
mod decimal;
pub mod encode;
pub mod file;
pub mod finding;
pub mod key;
pub mod name;
pub mod plan;
pub mod position;
pub mod probe;
pub mod row;
pub mod sequence;
pub mod value;
pub mod write_back;
mod zone;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod page;
#[cfg(test)]
mod traps;
