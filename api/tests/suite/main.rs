//! The API on a real Postgres.
mod attachments;
mod bad_input;
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
#[cfg(test)]
mod redis;
mod roles;
mod s3;
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
mod table;
mod visibility;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod wire;
mod writes;
