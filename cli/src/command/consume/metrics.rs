//! `ficus consume --metrics`: what the consumer says of itself, for Prometheus.
//!
//! Counters are of this process since its start, so that several processes add up; the gauges of
//! tables and of the quarantine come from Postgres and are the same whomever one asks. All names
//! are in docs/metrics.md.

mod server;
mod text;

pub(super) use self::{
    server::serve,
    text::{Picture, render},
};
