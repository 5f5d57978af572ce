//! The API on a real Postgres.
#[cfg(test)]
mod client;
mod errors;
mod facade;
mod lab;
mod pages;
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
mod visibility;
mod writes;
