//! Everything that is sent, over TDS, to the sandbox's legacy server.

#[cfg(test)]
mod catalog;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod other;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod setup;
