//! Debezium change events from Kafka into the one way in.
//!
//! The promise: whatever is delivered (twice, late, cut off, by two processes at once), the
//! target ends as the legacy database's log says, and every data event is counted once as
//! applied, stale, folded, ignored or quarantined.
//!
//! How: positions live in Postgres and move in the transaction that writes the rows
//! ([`target`]); Kafka's own committed offsets are telemetry. What is pure (decoding, batching,
//! offsets, drift) is apart from what is not ([`run()`]), so that the simulator runs the same
//! code.
//!
//! Reading order: [`run()`], [`settings`], [`decode`], [`batch`], [`canonical`], [`line`].

mod atomic;
pub mod batch;
mod breaker;
pub mod canonical;
pub mod decode;
pub mod error;
mod flood;
pub mod gap;
pub mod line;
pub mod memory;
pub mod retry;
pub mod run;
pub mod settings;
pub mod status;
pub mod tail;
pub mod topics;

pub use decode::Decoder;
pub use error::Error;
pub use gap::Capture;
pub use line::{Received, Types, decode_line, decode_received};
pub use run::run;
pub use settings::{Modes, Settings};
pub use status::{Progress, Report};
