//! What a legacy XPO database is made of, the hazards in it, and first drafts of its mapping.
//!
//! [`kind::classify`] tells from the catalogue alone what XPO made each table for;
//! [`assessment::Assessment`] is what a reading of the data adds. Both are plain data, saved as
//! JSON, so that a draft can be made far from the legacy server.

pub mod assessment;
pub mod kind;
pub mod scaffold;
