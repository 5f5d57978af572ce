//! An assessment of Spacehub's demo database, over real TDS.

mod advice;
mod demo;
mod garbage;
mod oracle;
mod report;
mod setup;
