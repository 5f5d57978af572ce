//! The API on a real Postgres.
mod attachments;
#[cfg(test)]
mod client;
#[cfg(test)]
mod contract;
mod errors;
mod every_write;
mod facade;
mod fuzz;
mod lab;
#[cfg(test)]
mod money;
#[cfg(test)]
mod once;
mod operations;
mod pages;
mod redis;
mod roles;
mod server;
mod sessions;
mod sessions_codes;
mod sessions_devices;
mod sessions_limits;
mod sessions_passwords;
mod sessions_refresh;
mod storm;
mod switch;
mod table;
mod visibility;
#[cfg(test)]
mod wire;
mod writes;
