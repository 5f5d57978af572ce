//! Whole tables over TDS into Postgres, with everything that can go wrong on the way.

#[cfg(test)]
mod copying;
#[cfg(test)]
mod reselect;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod trouble;
