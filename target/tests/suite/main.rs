//! The one way in on a real Postgres.

#[cfg(test)]
mod apply;
#[cfg(test)]
mod domains;
#[cfg(test)]
mod encoding;
#[cfg(test)]
mod fencing;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod history;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod races;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod settling;
#[cfg(test)]
mod unknown_commit;
