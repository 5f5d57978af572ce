//! The faults of the stream: the real binary, an event list, and whatever may go wrong between
//! them. What comes out is compared with the list's own last state.
//!
//! Tests that need a real Kafka are listed as ignored where there is none, and say how to have it.

#[cfg(test)]
mod broker;
#[cfg(test)]
mod event;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod kafka;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod mapping_files;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod process;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod world;

#[cfg(test)]
fn main() -> std::process::ExitCode {
    suite::run()
}
