//! The API on a real Postgres.
#[cfg(test)]
mod client;
#[cfg(test)]
mod contract;
mod errors;
mod facade;
mod fuzz;
mod lab;
mod operations;
mod pages;
mod roles;
mod server;
mod storm;
mod switch;
mod visibility;
#[cfg(test)]
mod wire;
mod writes;
