//! The API on a real Postgres.
#[cfg(test)]
mod client;
#[cfg(test)]
mod contract;
mod errors;
mod every_write;
mod facade;
mod lab;
#[cfg(test)]
mod money;
#[cfg(test)]
mod once;
mod pages;
mod roles;
mod server;
mod storm;
mod switch;
mod table;
mod visibility;
mod writes;
