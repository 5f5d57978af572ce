//! The API on a real Postgres.
#[cfg(test)]
mod client;
#[cfg(test)]
mod contract;
mod errors;
mod facade;
mod lab;
mod pages;
#[cfg(test)]
mod redis;
mod roles;
mod server;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod sessions_codes;
#[cfg(test)]
mod sessions_devices;
#[cfg(test)]
mod sessions_limits;
#[cfg(test)]
mod sessions_passwords;
#[cfg(test)]
mod sessions_refresh;
mod storm;
mod switch;
mod visibility;
mod writes;
