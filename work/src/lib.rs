//! The workers: side effects that a request wrote into the outbox happen here, after its
//! transaction, at least once.
//!
//! One event is one row of the product's table `outbox`. A worker takes it for a while (a lease:
//! the row becomes due again at `available_at`, whatever becomes of the worker), gives it to the
//! handler of its topic outside of any transaction, and writes down how it went. Killed anywhere in
//! between, the event is taken again under the same id, which every receiver is told and can
//! recognize. Events of one aggregate (`payload.id`) go one after the other, in the order in
//! which they were written.
//!
//! This room knows no product: handlers ([`Handler`]) and cron jobs ([`Job`]) are passed in. Its own
//! are [`Gateway`] (SMS, push) and [`Webhook`].
//!
//! Reading order: [`event`], `outbox` (the statements), [`run`] (the loop), `backoff`; then [`http`],
//! [`gateway`], [`webhook`]; [`cron`]; [`look`] (for people) and [`metrics`].

mod backoff;
pub mod cron;
pub mod error;
pub mod event;
pub mod gateway;
pub mod http;
pub mod look;
pub mod metrics;
mod outbox;
pub mod route;
pub mod run;
mod sweep;
mod template;
pub mod webhook;

pub use cron::{Job, Schedule};
pub use error::Error;
pub use event::{Event, Failure, Handler, Handling};
pub use gateway::Gateway;
pub use metrics::Metrics;
pub use route::{Limits, Route, Routes};
pub use run::{Settings, Worker};
pub use webhook::Webhook;

/// The channel on which the outbox tells that it has something.
pub const CHANNEL: &str = "ficus_outbox";

#[cfg(test)]
mod tests;
