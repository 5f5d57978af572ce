//! Whole tables over TDS into Postgres, with everything that can go wrong on the way.

#[cfg(test)]
mod copying;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod kindness;
#[cfg(test)]
#[path = "../../legacy/tests/other.rs"]
mod other;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reselect;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod trouble;
