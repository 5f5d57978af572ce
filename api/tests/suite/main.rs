//! The API on a real Postgres.
mod attachments;
#[cfg(test)]
mod client;
#[cfg(test)]
mod contract;
mod errors;
mod facade;
mod lab;
mod pages;
mod roles;
mod server;
mod storm;
mod switch;
mod visibility;
mod writes;
