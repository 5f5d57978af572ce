//! A small legacy SQL Server, simulated: typed tables in memory, transactions with LSNs, and a
//! change log as CDC would fill it. [`crate::tds`] speaks for it on the wire.
//!
//! It is a development tool. What it shares with SQL Server is written in the modules that do
//! it: stored values (`codec`), key order (`order`), text (`collation`), visibility (`store`),
//! capture (`log`). One writer runs at a time, so there are no deadlocks but injected ones.
//! Keys, types, lengths and NOT NULL are enforced; unique indexes and foreign keys are not.
//! What it does not know it refuses with SQL Server's own error number; it never guesses.

mod codec;
mod collation;
mod ddl;
mod error;
mod log;
mod order;
mod row;
mod script;
pub(crate) mod sql;
mod state;
mod store;
mod table;
mod time;
mod transaction;

use std::{
    sync::{Arc, Weak, mpsc},
    time::Duration,
};

use mapping::{catalog::Catalog, position::Lsn, value::LegacyValue};

use self::state::{Inner, Snapshot};
pub(crate) use self::{
    codec::{decimal_length, decode},
    collation::Collation,
    state::MARKER_TABLE,
};
pub use self::{
    error::Error,
    log::{Change, Committed, Log, Operation},
    row::Row,
    transaction::Transaction,
};

/// A row's values in table column order.
pub type Values = Vec<LegacyValue<'static>>;

/// The database. Clones are handles to the same one; every method may be called from any thread.
///
/// Tables are named `dbo.Contract` or `Contract`, without regard to case.
#[derive(Debug, Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

impl Database {
    /// Makes empty tables from DDL text. Every table is captured by CDC as `dbo_<Table>`;
    /// `dbo.ficus_marker(token, at)` is added.
    ///
    /// # Errors
    /// [`Error::Ddl`] with the line of what can't be read, or an unknown collation or type.
    pub fn from_ddl(name: &str, collation: &str, ddl: &str) -> Result<Self, Error> {
        let (poke, poked) = mpsc::sync_channel(1);
        let inner = Arc::new(Inner::new(name, collation, ddl::read(ddl)?, poke)?);
        let weak = Arc::downgrade(&inner);
        std::thread::Builder::new()
            .name("legacy-capture".to_owned())
            .spawn(move || capture_job(&weak, &poked))
            .map_err(|_| Error::NoThread)?;
        Ok(Self { inner })
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The catalogue, as `legacy` would read it.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        self.inner.catalog()
    }

    /// Adds rows in bulk, unseen by CDC. Returns their number. All or nothing.
    ///
    /// # Errors
    /// A value that does not fit its column, NULL where it is not allowed, or a duplicate key.
    pub fn load(&self, table: &str, rows: impl IntoIterator<Item = Values>) -> Result<u64, Error> {
        let (index, layout) = self.inner.table(table)?;
        let mut records = Vec::new();
        for row in rows {
            records.push(layout.record(&row, self.inner.next_serial())?);
        }
        records.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        let twice = || Error::DuplicateKey { table: layout.name().to_string() };
        if records.array_windows().any(|[a, b]| a.key() == b.key()) {
            return Err(twice());
        }
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let mut state = self.inner.write();
        let Some(store) = state.stores.get_mut(index) else { return Ok(0) };
        if records.iter().any(|record| store.get(record.key()).is_some()) {
            return Err(twice());
        }
        if store.count() == 0 {
            *store = store::Store::from_sorted(records);
        } else {
            for record in records {
                store.insert(record).map_err(|_| twice())?;
            }
        }
        Ok(count)
    }

    /// Runs one transaction: atomic, and one at a time. Its commit LSN is returned; without
    /// captured changes, that of the last commit. When `work` returns an error (or panics)
    /// nothing has happened; [`Error::Aborted`] is for the caller's own reasons. `work` has the
    /// only writer's lock: it reads through its transaction, and would wait for itself for ever
    /// if it called the database.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn transaction(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<(), Error>,
    ) -> Result<Lsn, Error> {
        let mut state = self.inner.write();
        let mut transaction = Transaction::begin(&self.inner, &mut state);
        work(&mut transaction)?;
        let lsn = transaction.commit();
        let captured = state.log.captured();
        drop(state);
        self.inner.announce(captured);
        Ok(lsn)
    }

    /// All rows of a table in key order.
    ///
    /// # Errors
    /// An unknown table.
    pub fn rows(&self, table: &str) -> Result<Vec<Values>, Error> {
        let (index, layout) = self.inner.table(table)?;
        let snapshot = self.inner.snapshot();
        let rows = snapshot.stores.get(index).into_iter().flat_map(store::Store::iter);
        Ok(rows.map(|record| layout.values(record.row())).collect())
    }

    /// One row by its primary key (values in the key's own order).
    ///
    /// # Errors
    /// An unknown table, or values that can't be its key.
    pub fn row(&self, table: &str, key: &[LegacyValue<'_>]) -> Result<Option<Values>, Error> {
        let (index, layout) = self.inner.table(table)?;
        let Some(key) = layout.key(key)? else { return Ok(None) };
        let state = self.inner.read();
        let record = state.stores.get(index).and_then(|store| store.get(&key));
        Ok(record.map(|record| layout.values(record.row())))
    }

    /// Number of rows.
    ///
    /// # Errors
    /// An unknown table.
    pub fn row_count(&self, table: &str) -> Result<u64, Error> {
        let (index, _) = self.inner.table(table)?;
        Ok(self.inner.read().stores.get(index).map_or(0, store::Store::count))
    }

    /// The change log.
    #[must_use]
    pub fn log(&self) -> Log {
        Log::new(Arc::clone(&self.inner))
    }

    /// How long after its commit a transaction is captured; zero (the default) captures at the
    /// commit itself, [`Duration::MAX`] stops the capture job.
    pub fn set_capture_lag(&self, lag: Duration) {
        self.inner.write().log.lag = lag;
        self.inner.poke();
    }

    /// Whether CDC is on for a table. It is on for all at first.
    ///
    /// # Errors
    /// An unknown table.
    pub fn set_captured(&self, table: &str, captured: bool) -> Result<(), Error> {
        let (index, _) = self.inner.table(table)?;
        self.inner.write().log.set_captured(index, captured);
        Ok(())
    }

    /// Whether CDC is on for the database. It is on at first.
    pub fn set_cdc_enabled(&self, enabled: bool) {
        self.inner.write().log.enabled = enabled;
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.inner.snapshot()
    }
}

/// Moves the captured LSN forward as the lag allows; ends with the database.
fn capture_job(inner: &Weak<Inner>, poked: &mpsc::Receiver<()>) {
    let mut wait = None;
    loop {
        let woken = match wait {
            None => poked.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(due) => poked.recv_timeout(due),
        };
        if woken == Err(mpsc::RecvTimeoutError::Disconnected) {
            return;
        }
        let Some(inner) = inner.upgrade() else { return };
        wait = inner.capture();
    }
}

#[cfg(test)]
mod tests;
