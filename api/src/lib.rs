//! The HTTP side: domains under row level security, and the facade before the legacy system.
//!
//! One address from the first day. A request whose domain is cut over is served from Postgres,
//! in one transaction that carries the caller's identity for row level security; every other
//! request is passed to the legacy application, streaming both ways.

pub mod cursor;
pub mod database;
pub mod domains;
pub mod error;
pub mod facade;
pub mod health;
pub mod identity;
pub mod language;
pub mod limits;
pub(crate) mod metrics;
pub mod money;
pub mod openapi;
pub mod page;
pub mod reference;
pub mod routes;
pub mod server;
pub mod sessions;

pub use error::{Code, Error};
pub use server::{Settings, Startup, bind};
