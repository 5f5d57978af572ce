//! What a legacy XPO database is made of, the hazards in it, and first drafts of its mapping.
//!
//! [`kind::classify`] tells from the catalogue alone what XPO made each table for,
//! [`reference::find`] what refers to what and [`domain::propose`] what belongs together;
//! [`run()`] reads the data as well and finds the hazards in both. The outcome is an
//! [`assessment::Assessment`]: plain data, saved as JSON, so that a draft can be made far from
//! the legacy server; [`report`] prints it for people.

mod advice;
pub mod assessment;
mod book;
mod check;
pub mod code;
pub mod domain;
mod english;
mod error;
mod keys;
pub mod kind;
mod names;
mod order;
mod progress;
mod read;
pub mod reference;
pub mod report;
mod row;
mod run;
pub mod scaffold;
mod schema;
mod sheet;
mod subject;
mod survey;

pub use error::Error;
pub use progress::{Event, Progress, Silent};
pub use run::{Job, run};
