//! One transaction: changes in place under the writer's lock, with an undo list.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use mapping::{position::Lsn, value::LegacyValue};

use super::{
    Change, Committed, Error, MARKER_TABLE, Operation, Row, Values,
    state::{Inner, State},
    store::{Record, Store},
    table::Layout,
};

/// What [`super::Database::transaction`] hands to its closure. Dropped without a commit, it
/// rolls back.
pub struct Transaction<'a> {
    database: &'a Inner,
    state: &'a mut State,
    begin_ms: i64,
    changes: Vec<Change>,
    undo: Vec<(usize, Undo)>,
}

enum Undo {
    Insert(Record),
    Replace(Record),
    Delete(Record),
}

impl<'a> Transaction<'a> {
    pub(crate) fn begin(database: &'a Inner, state: &'a mut State) -> Self {
        Self { database, state, begin_ms: now_ms(), changes: Vec::new(), undo: Vec::new() }
    }

    /// Adds a row: values in table column order.
    ///
    /// # Errors
    /// A value that does not fit, or a duplicate key.
    pub fn insert(&mut self, table: &str, values: Values) -> Result<(), Error> {
        let (index, layout) = self.database.table(table)?;
        let record = layout.record(&values, self.database.next_serial())?;
        let duplicate = || Error::DuplicateKey { table: layout.name().to_string() };
        self.store(index)?.insert(record.clone()).map_err(|_| duplicate())?;
        self.undo.push((index, Undo::Insert(record.clone())));
        let change = self.change(layout, None, Some(record));
        self.log(index, change);
        Ok(())
    }

    /// Changes the row with this primary key (values in the key's own order). `false` when it
    /// is not there. A change that changes nothing is not logged.
    ///
    /// # Errors
    /// A value that does not fit, or a new key that is there already.
    pub fn update(
        &mut self,
        table: &str,
        key: &[LegacyValue<'_>],
        change: impl FnOnce(&mut Values),
    ) -> Result<bool, Error> {
        let (index, layout) = self.database.table(table)?;
        let Some(old) = self.find(index, layout, key)? else { return Ok(false) };
        let mut values = layout.values(old.row());
        change(&mut values);
        let new = layout.record(&values, 0)?;
        let columns_changed = changed(layout, &old, &new);
        if columns_changed.is_empty() {
            return Ok(true);
        }
        let same_key = old.key() == new.key();
        if same_key {
            self.store(index)?.replace(new.clone());
            self.undo.push((index, Undo::Replace(old.clone())));
        } else {
            let duplicate = || Error::DuplicateKey { table: layout.name().to_string() };
            self.store(index)?.insert(new.clone()).map_err(|_| duplicate())?;
            self.undo.push((index, Undo::Insert(new.clone())));
            self.store(index)?.remove(old.key());
            self.undo.push((index, Undo::Delete(old.clone())));
        }
        if columns_changed.iter().any(|column| layout.unique.contains(column)) {
            self.log_split(index, (old, new), same_key, columns_changed);
        } else {
            let mut change = self.change(layout, Some(old), Some(new));
            change.columns_changed = columns_changed;
            self.log(index, change);
        }
        Ok(true)
    }

    /// Deletes the row with this primary key. `false` when it is not there.
    ///
    /// # Errors
    /// An unknown table, or values that can't be its key.
    pub fn delete(&mut self, table: &str, key: &[LegacyValue<'_>]) -> Result<bool, Error> {
        let (index, layout) = self.database.table(table)?;
        let Some(old) = self.find(index, layout, key)? else { return Ok(false) };
        self.store(index)?.remove(old.key());
        self.undo.push((index, Undo::Delete(old.clone())));
        let change = self.change(layout, Some(old), None);
        self.log(index, change);
        Ok(true)
    }

    /// The row with this primary key, as this transaction sees it.
    ///
    /// # Errors
    /// An unknown table, or values that can't be its key.
    pub fn row(&self, table: &str, key: &[LegacyValue<'_>]) -> Result<Option<Row>, Error> {
        let (index, layout) = self.database.table(table)?;
        let found = self.find(index, layout, key)?;
        Ok(found.map(|record| Row::new(Arc::clone(layout), record)))
    }

    /// Makes it last. Without captured changes the last commit's LSN stands.
    pub(crate) fn commit(mut self) -> Lsn {
        self.undo.clear();
        let changes = std::mem::take(&mut self.changes);
        let log = &mut self.state.log;
        if changes.is_empty() {
            return log.committed();
        }
        let lsn = log.next_lsn();
        for change in &changes {
            if let Some(row) = &change.after
                && change.table.table.name == MARKER_TABLE
                && let LegacyValue::Guid(token) = row.value(0)
            {
                log.add_marker(token, lsn);
            }
        }
        let commit_ms = now_ms();
        log.append(Committed { lsn, begin_ms: self.begin_ms, commit_ms, changes });
        lsn
    }

    fn store(&mut self, index: usize) -> Result<&mut Store, Error> {
        let unknown = || Error::UnknownTable(index.to_string());
        self.state.stores.get_mut(index).ok_or_else(unknown)
    }

    fn find(
        &self,
        index: usize,
        layout: &Layout,
        key: &[LegacyValue<'_>],
    ) -> Result<Option<Record>, Error> {
        let Some(key) = layout.key(key)? else { return Ok(None) };
        Ok(self.state.stores.get(index).and_then(|store| store.get(&key)).cloned())
    }

    fn change(
        &mut self,
        layout: &Arc<Layout>,
        before: Option<Record>,
        after: Option<Record>,
    ) -> Change {
        let operation = match (&before, &after) {
            (None, _) => Operation::Insert,
            (_, None) => Operation::Delete,
            _ => Operation::Update,
        };
        let row = |record: Option<Record>| Some(Row::new(Arc::clone(layout), record?));
        Change {
            table: Arc::clone(&layout.table),
            operation,
            before: row(before),
            after: row(after),
            change_lsn: self.state.log.next_lsn(),
            event_serial_no: if operation == Operation::Update { 2 } else { 1 },
            deferred: false,
            columns_changed: (0..layout.columns.len()).collect(),
        }
    }

    fn log(&mut self, index: usize, change: Change) {
        if self.state.log.instance(index).is_some() {
            self.changes.push(change);
        }
    }

    /// An update as a delete and an insert.
    fn log_split(
        &mut self,
        index: usize,
        (old, new): (Record, Record),
        deferred: bool,
        columns_changed: Vec<usize>,
    ) {
        let Some(layout) = self.database.layouts.get(index) else { return };
        let mut delete = self.change(layout, Some(old), None);
        let mut insert = self.change(layout, None, Some(new));
        insert.change_lsn = delete.change_lsn;
        insert.event_serial_no = 2;
        for half in [&mut delete, &mut insert] {
            half.deferred = deferred;
            half.columns_changed.clone_from(&columns_changed);
        }
        self.log(index, delete);
        self.log(index, insert);
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        while let Some((index, undo)) = self.undo.pop() {
            let Some(store) = self.state.stores.get_mut(index) else { continue };
            match undo {
                Undo::Insert(record) => drop(store.remove(record.key())),
                Undo::Replace(record) => drop(store.replace(record)),
                Undo::Delete(record) => drop(store.insert(record)),
            }
        }
    }
}

fn changed(layout: &Layout, old: &Record, new: &Record) -> Vec<usize> {
    let pairs = layout.fields(old.row()).zip(layout.fields(new.row())).enumerate();
    pairs.filter(|(_, (old, new))| old.raw != new.raw).map(|(index, _)| index).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
