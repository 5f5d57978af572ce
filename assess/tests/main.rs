//! An assessment of Spacehub's demo database, over real TDS.

mod demo;
mod setup;
