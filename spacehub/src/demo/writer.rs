//! Users at work: a writer that keeps changing the legacy database, one transaction at a time.
//!
//! Everything that a change stream finds hard is among its deeds: transactions over several
//! tables, big columns that an update leaves alone, deferred updates of unique columns, changed
//! keys, rows that come in halves, soft deletes and undeletes, link rows that come and go, and
//! a few rows that everybody wants. It writes no invalid row unless told to, and then reports it.

mod billing;
mod contracts;
mod hand;
mod parties;
mod people;
mod places;
mod state;

use std::{collections::BTreeMap, time::Duration};

use sandbox::legacy::{Database, Error};
use tokio_util::sync::CancellationToken;

use self::{
    hand::{Columns, Hand},
    state::State,
};
use super::{
    Demo, PlantedDefect,
    value::{self, text},
};

/// What a writer did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Committed transactions.
    pub transactions: u64,
    /// Rows inserted.
    pub inserts: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Transactions by what they were.
    pub deeds: BTreeMap<&'static str, u64>,
    /// Rows that were written wrong on purpose.
    pub planted: Vec<PlantedDefect>,
}

/// A writer over a database that [`super::fill`] filled.
pub struct Writer {
    database: Database,
    columns: Columns,
    state: State,
    counts: Counts,
}

type Deed = fn(&mut State, &mut Hand<'_, '_>) -> Result<(), Error>;

/// How often, name, deed.
const DEEDS: &[(u64, &str, Deed)] = &[
    (16, "change contract", contracts::change),
    (4, "rewrite contract terms", contracts::rewrite_terms),
    (8, "new contract with items", contracts::create),
    (2, "delete contract with items", contracts::delete),
    (2, "change key of contract", contracts::rekey),
    (8, "change contract item", contracts::change_item),
    (4, "new contract item", contracts::create_item),
    (2, "delete contract item", contracts::delete_item),
    (10, "new invoice with lines", billing::create_invoice),
    (12, "pay invoice", billing::pay),
    (3, "renumber invoice", billing::renumber),
    (3, "soft-delete invoice", billing::delete_invoice),
    (3, "undelete invoice", billing::undelete_invoice),
    (2, "soft-delete payment", billing::delete_payment),
    (2, "undelete payment", billing::undelete_payment),
    (2, "delete allocation", billing::delete_allocation),
    (3, "new party, root first", parties::create_root_first),
    (2, "new party, leaf first", parties::create_leaf_first),
    (2, "new party in two transactions", parties::create_in_halves),
    (5, "change party", parties::change_root),
    (4, "change leaf of party", parties::change_leaf),
    (1, "register party anew", parties::register_anew),
    (2, "soft-delete tenant", parties::delete),
    (2, "undelete tenant", parties::undelete),
    (1, "purge tenant", parties::purge),
    (3, "change property", places::change_property),
    (2, "replace photo", places::replace_photo),
    (2, "replace owner of property", places::replace_link),
    (1, "change link in place", places::change_link),
    (4, "change space", places::change_space),
    (6, "change hot space", places::change_hot_space),
    (2, "new rate", places::create_rate),
    (2, "change rate", places::change_rate),
    (1, "delete rate", places::delete_rate),
    (4, "failed sign-in", people::fail_sign_in),
    (1, "change password", people::change_password),
    (2, "change roles of user", people::change_roles),
    (2, "attach file", people::attach),
    (1, "replace file", people::replace_file),
];

impl Writer {
    /// A writer that always does the same for the same seed.
    #[must_use]
    pub fn new(database: &Database, demo: &Demo, seed: u64) -> Self {
        Self {
            database: database.clone(),
            columns: Columns::of(&database.catalog()),
            state: State::new(demo, seed),
            counts: Counts::default(),
        }
    }

    /// Once in so many transactions an invoice is written that can't migrate; never, by default.
    #[must_use]
    pub fn planting_once_in(mut self, transactions: u64) -> Self {
        self.state.plant_once_in = transactions;
        self
    }

    /// One transaction.
    ///
    /// # Errors
    /// A change that the database refuses.
    pub fn step(&mut self) -> Result<(), Error> {
        let (name, deed) = self.choose();
        self.commit(name, deed)
    }

    /// What has been done so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Writes what was left half done (leaves of new parties), and returns the counts.
    ///
    /// # Errors
    /// A change that the database refuses.
    pub fn finish(mut self) -> Result<Counts, Error> {
        while self.state.has_waiting_leaf() {
            self.commit("second half of a new party", parties::finish_halves)?;
        }
        Ok(self.counts)
    }

    /// Writes about so many transactions a second until it is told to stop, then finishes.
    ///
    /// # Errors
    /// A change that the database refuses.
    pub async fn run(mut self, per_second: u32, stop: CancellationToken) -> Result<Counts, Error> {
        const TICK: Duration = Duration::from_millis(5);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let begun = tokio::time::Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.finish(),
                _ = ticks.tick() => {}
            }
            let due = begun.elapsed().as_millis() * u128::from(per_second) / 1000;
            // Not more than a burst at once: a machine that slept does not catch up.
            let mut burst = per_second.div_ceil(20).max(1);
            while u128::from(self.counts.transactions) < due && burst > 0 {
                self.step()?;
                burst -= 1;
            }
        }
    }

    fn choose(&mut self) -> (&'static str, Deed) {
        if self.state.plant_once_in > 0 && self.state.dice.once_in(self.state.plant_once_in) {
            return ("plant a wrong invoice", billing::plant);
        }
        let all: u64 = DEEDS.iter().map(|(often, ..)| often).sum();
        let mut at = self.state.dice.below(all);
        for (often, name, deed) in DEEDS {
            match at.checked_sub(*often) {
                None => return (name, *deed),
                Some(rest) => at = rest,
            }
        }
        ("change contract", contracts::change)
    }

    fn commit(&mut self, name: &'static str, deed: Deed) -> Result<(), Error> {
        let Self { database, columns, state, counts } = self;
        database.transaction(|transaction| {
            let mut hand = Hand::new(transaction, columns, counts);
            deed(state, &mut hand)
        })?;
        counts.transactions += 1;
        *counts.deeds.entry(name).or_default() += 1;
        Ok(())
    }
}

/// Puts the wrong rows of domain contracts right, so that newer good images take the place of
/// what is in quarantine. Returns which.
///
/// # Errors
/// A change that the database refuses.
pub fn repair_contracts(database: &Database, demo: &Demo) -> Result<Vec<PlantedDefect>, Error> {
    let of_contracts =
        |planted: &&PlantedDefect| matches!(planted.table, "Contract" | "ContractItem");
    let wrong: Vec<PlantedDefect> = demo.planted.iter().filter(of_contracts).cloned().collect();
    let columns = Columns::of(&database.catalog());
    let mut counts = Counts::default();
    for planted in &wrong {
        database.transaction(|transaction| {
            let mut hand = Hand::new(transaction, &columns, &mut counts);
            hand.update(planted.table, &planted.key, |row| {
                match planted.column {
                    "Status" => row.set("Status", value::int(1)),
                    "SignedOn" => {
                        row.set("SignedOn", value::moment(value::day(2016, 3, 28), 36_000));
                    }
                    _ => row.set("Amount", value::money(12_300)),
                }
                if planted.table == "Contract" {
                    // With its big column touched the change event carries the whole row.
                    row.set("Terms", text("Зассан гэрээ."));
                    row.count_up();
                }
            })?;
            Ok(())
        })?;
    }
    Ok(wrong)
}
