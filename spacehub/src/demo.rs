//! A legacy database to try everything on: the same for the same seed, of any size.
//!
//! It looks as a long-lived XAF application's does: Cyrillic names, composite keys whose
//! children spell them otherwise, datetimes in steps of 1/300 s, money in floats, big texts
//! and files, soft deletes with their references cleared, and references to what is gone.
//! Nearly all rows migrate. A few do not, on purpose: [`Demo::planted`] names each with the
//! rule that must find it, so that a demo can explain its quarantine and a test can compare.
//!
//! Rows are functions of (seed, table, number). [`writer`] changes the rows afterwards.

mod attachments;
mod contracts;
mod dice;
mod invoices;
mod leftovers;
mod parties;
mod payments;
mod plant;
mod properties;
mod spaces;
mod types;
mod users;
mod value;
mod words;
mod world;
pub mod writer;

use std::collections::BTreeMap;

use sandbox::legacy::{Database, Error, Values};

pub use plant::{PlantedDefect, PlantedOrphan};
pub use world::Sizes;
pub(crate) use world::World;

/// What was put into the database.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The seed.
    pub seed: u64,
    /// How many rows of each kind.
    pub sizes: Sizes,
    /// Rows by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// The rows that must end in quarantine.
    pub planted: Vec<PlantedDefect>,
    /// The rows that refer to nothing: they migrate, and the gates list them.
    pub orphans: Vec<PlantedOrphan>,
}

impl Demo {
    /// Rows in all tables.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// An empty Spacehub23, as its DDL makes it.
///
/// # Errors
/// What the sandbox finds wrong in the DDL.
pub fn empty_database() -> Result<Database, Error> {
    Database::from_ddl(crate::DATABASE, crate::COLLATION, crate::legacy_ddl())
}

/// Fills an empty Spacehub23 with about so many rows in all (a few thousand at least), unseen by
/// CDC.
///
/// # Errors
/// A row that the database refuses.
pub fn fill(database: &Database, rows: u64, seed: u64) -> Result<Demo, Error> {
    let world = World::new(Sizes::for_rows(rows), seed);
    let mut load = Load { database, rows: BTreeMap::new() };
    types::load(&mut load)?;
    parties::load(&world, &mut load)?;
    properties::load(&world, &mut load)?;
    spaces::load(&world, &mut load)?;
    contracts::load(&world, &mut load)?;
    invoices::load(&world, &mut load)?;
    payments::load(&world, &mut load)?;
    users::load(&world, &mut load)?;
    attachments::load(&world, &mut load)?;
    leftovers::load(&world, &mut load)?;
    let planted = plant::plant(&mut load)?;
    Ok(Demo { seed, sizes: world.sizes, rows: load.rows, planted, orphans: plant::orphans() })
}

/// Loads and counts.
pub(crate) struct Load<'a> {
    database: &'a Database,
    rows: BTreeMap<&'static str, u64>,
}

impl Load<'_> {
    pub(crate) fn table(
        &mut self,
        table: &'static str,
        rows: impl IntoIterator<Item = Values>,
    ) -> Result<(), Error> {
        let count = self.database.load(table, rows)?;
        *self.rows.entry(table).or_default() += count;
        Ok(())
    }
}
