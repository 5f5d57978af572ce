//! Rows read from a table, outside their entity's filter, of which Postgres has never heard.
//!
//! A row outside the filter is a delete, so that one that moved out goes. A copy of a table of
//! which the filter takes little would mint a key and leave a tombstone for every other row, and
//! would keep all other batches out meanwhile. Where nobody has minted the row's key, no row, part,
//! parked change or quarantine entry of it can be here, and there is nothing to remove.
//!
//! The same can't be said of the stream: a copy that has read the row before may be about to bring
//! it, and only a tombstone keeps it out. A copy needs none: an older change that comes after it is
//! followed by the one that moved the row out, because the copy has seen that one's work.

use std::collections::HashSet;

use mapping::{key::CanonicalKey, plan::EntityId, row::Row};
use sqlx::PgConnection;

use crate::{Error, Target, work::Work};

type Entry = (EntityId, CanonicalKey);

/// A batch of [`Work::parts`], and a row of it.
type Place = (usize, usize);

impl Target {
    /// Takes such rows out of the batch; they are counted in [`Work::outside`].
    pub(crate) async fn take_out(
        &self,
        connection: &mut PgConnection,
        work: &mut Work,
    ) -> Result<(), Error> {
        let mut wanted: Vec<Entry> = Vec::new();
        let mut places: Vec<Place> = Vec::new();
        for (index, batch) in work.parts.iter().enumerate() {
            // A leaf waits for its root, even for one that says that it is gone.
            if self.entity(batch.entity)?.parts.len() > 1 {
                continue;
            }
            for (row, of) in batch.rows.iter().enumerate().filter(|(_, row)| is_outside(row)) {
                wanted.push((batch.entity, of.key.clone()));
                places.push((index, row));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let known = self.look_up_by(connection, &wanted).await?;
        let others = others(work);
        let unknown: HashSet<Place> = places
            .into_iter()
            .zip(&wanted)
            .zip(&known)
            .filter(|((_, entry), id)| id.is_none() && !others.contains(*entry))
            .map(|((place, _), _)| place)
            .collect();
        self.remove(work, &unknown);
        work.demands = self.demands(&work.parts, &work.batch.quarantine)?;
        Ok(())
    }

    /// Counts each source row once: what was second to another row stays so.
    fn remove(&self, work: &mut Work, unknown: &HashSet<Place>) {
        let Work { parts, seconds, outside, .. } = work;
        let mut still_second = HashSet::new();
        for (index, batch) in parts.iter_mut().enumerate() {
            let table = self.table_of(batch.entity, batch.part);
            let (mut row, mut kept) = (0, 0);
            batch.rows.retain(|_| {
                let place = (index, row);
                let is_second = seconds.contains(&place);
                let stays = !unknown.contains(&place);
                row += 1;
                if stays && is_second {
                    still_second.insert((index, kept));
                }
                kept += usize::from(stays);
                if let (false, false, Some(table)) = (stays, is_second, table) {
                    *outside.entry(table).or_default() += 1;
                }
                stays
            });
        }
        work.seconds = still_second;
    }
}

fn is_outside(row: &Row) -> bool {
    row.filtered && row.position.is_read()
}

/// Keys that the batch mints all the same.
fn others(work: &Work) -> HashSet<Entry> {
    let rows = work.parts.iter().flat_map(|batch| {
        let rows = batch.rows.iter().filter(|row| !is_outside(row));
        rows.map(|row| (batch.entity, row.key.clone()))
    });
    rows.chain(work.keyed.iter().cloned()).collect()
}
