//! Rows read from the tables themselves.

use std::sync::{Arc, atomic::Ordering};

use mapping::{
    catalog::{LegacyTable, Table},
    position::Lsn,
};

use super::{
    pipeline::{Pipeline, now_ns},
    sender::Break,
};
use crate::{
    debezium::{Error, Marker, Reading, Record},
    legacy::Values,
};

impl Pipeline {
    /// Reads tables and publishes their rows. The LSN is asked before the read, so the rows
    /// show at least all changes up to it.
    pub(super) fn snapshot(&mut self, names: &[String]) -> Result<u64, Error> {
        let catalog = self.database.catalog();
        let mut rows_count = 0;
        for (index, name) in names.iter().enumerate() {
            let unknown = || Error::UnknownTable(name.clone());
            let (schema, bare) = name.split_once('.').unwrap_or(("dbo", name));
            let table = catalog.table(&LegacyTable::new(schema, bare)).ok_or_else(unknown)?;
            let table = Arc::new(table.clone());
            let lsn = self.database.log().captured_lsn();
            let rows = self.database.rows(name).map_err(|_| unknown())?;
            let is_last_table = index + 1 == names.len();
            self.sender.outbox.open();
            for (number, row) in rows.iter().enumerate() {
                let marker = match (number, number + 1 == rows.len()) {
                    (_, true) if is_last_table => Marker::Last,
                    (_, true) => Marker::LastInDataCollection,
                    (0, _) if index == 0 => Marker::First,
                    (0, _) => Marker::FirstInDataCollection,
                    _ => Marker::True,
                };
                match self.send_row(&table, row, lsn, marker) {
                    Ok(()) => rows_count += 1,
                    Err(Break::Failed(cause)) => return Err(cause),
                    Err(Break::Asked) => {
                        self.sender.abandon();
                        return Err(Error::Stopped);
                    }
                }
            }
            self.sender.outbox.close(Vec::new(), None);
        }
        Ok(rows_count)
    }

    fn send_row(
        &mut self,
        table: &Arc<Table>,
        row: &Values,
        lsn: Lsn,
        marker: Marker,
    ) -> Result<(), Break> {
        let now = now_ns();
        let reading = Reading { lsn, streamed: None, at_ns: now };
        let sender = &mut self.sender;
        let mut sent = Ok(());
        let emit = &mut |record: Record<'_>| sent = sender.send(&record);
        self.encoder.read(table, row, (&reading, marker), now, emit)?;
        self.sender.progress.events.fetch_add(1, Ordering::Relaxed);
        sent
    }
}
