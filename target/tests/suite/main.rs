//! The one way in on a real Postgres.

#[cfg(test)]
mod apply;
#[cfg(test)]
mod archive;
#[cfg(test)]
mod contention;
#[cfg(test)]
mod defer;
#[cfg(test)]
mod deleted_parents;
#[cfg(test)]
mod domains;
#[cfg(test)]
mod encoding;
#[cfg(test)]
mod fencing;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod history;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod late;
#[cfg(test)]
mod look;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod objects;
mod pace;
#[cfg(test)]
mod parking;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod races;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod sequences;
#[cfg(test)]
mod settling;
#[cfg(test)]
mod traps;
#[cfg(test)]
mod unique;
#[cfg(test)]
mod unknown_commit;
#[cfg(test)]
mod zones;
