//! The consumer from outside: golden messages, batches, histories, and the real loop.
//!
//! `cfg(test)` tells the linter that helpers of tests are tests too.

#[cfg(test)]
mod assignment;
#[cfg(test)]
mod batcher;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod history;
#[cfg(test)]
mod model;
#[cfg(test)]
mod others;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod types;
