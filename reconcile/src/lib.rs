//! The exact verdict on two moving databases.
//!
//! The promise: a row is called different only when it is, and an entity is called equal only
//! when every row of it is, although both sides are written to while they are compared.
//!
//! How: ask the legacy server for its captured LSN S; read every legacy row and map it as the
//! consumer does (law 5); write a marker into the legacy database and wait until the stream has
//! brought it to Postgres (then everything that the scan can have seen is here); read every
//! target row. Both sides fold the hashes of their rows into buckets by id, so no common sort
//! order is needed and memory stays constant. Equal buckets are proven. Rows of the others are
//! read again by key with a fresh S and a fresh marker, and compared byte by byte. A row that
//! disagrees is *different* when its target position is not newer than S, and *in flight*
//! otherwise; those go to the next pass until they are decided or patience runs out.
//!
//! `digest`, `decide` and `protocol` are pure and proven against a simulated stream; the other
//! files do what they say.

mod again;
mod changes;
mod composed;
mod conclude;
mod decide;
mod digest;
mod error;
mod findings;
mod first;
mod ids;
mod keep;
mod legacy_scan;
mod link;
pub mod paranoid;
mod passes;
mod protocol;
mod quick;
mod ranges;
mod repair;
mod report;
mod rowhash;
mod run;
mod sample;
mod settings;
mod stands;
mod store;
mod subject;
mod target_scan;

pub use decide::DifferenceKind;
pub use error::Error;
pub use first::Resumed;
pub use repair::{Repair, Repaired, Terms, repair};
pub use report::{
    Around, Broken, Count, Difference, DomainReport, EntityReport, Evidence, Exit, Independent,
    LeftOut, Link, Report, ReportHash, RowCounts, Tier, TrendPoint, ValuePair, Verdict, canonical,
    chain, verify,
};
pub use run::{Compared, compare, run};
pub use settings::{Event, Selection, Settings, Source, Start, Watch};
