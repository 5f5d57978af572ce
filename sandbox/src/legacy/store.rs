//! A table's rows in key order, with snapshots that cost nothing.
//!
//! Rows live in chunks of a few hundred, chunks in one list; both are shared by reference count
//! and copied when they are written to while somebody still reads them. So a snapshot is one
//! pointer, it never changes under its reader, and a writer is never held up by one. This is
//! SQL Server with `READ_COMMITTED_SNAPSHOT` on: a statement sees what was committed when it
//! began; a SNAPSHOT transaction, what was committed at its first read.

use std::sync::Arc;

/// Chunks are cut in two above this number of rows.
const CHUNK_ROWS_MAX: usize = 256;

/// A stored row: its key and its fields in one piece of memory.
#[derive(Debug, Clone)]
pub(crate) struct Record(Arc<[u8]>);

impl Record {
    /// `None` when the key is longer than 64 KiB.
    pub(crate) fn new(key: &[u8], row: &[u8]) -> Option<Self> {
        let length = u16::try_from(key.len()).ok()?;
        Some(Self([&length.to_le_bytes(), key, row].concat().into()))
    }

    fn split(&self) -> (&[u8], &[u8]) {
        self.0
            .split_first_chunk()
            .and_then(|(length, rest)| {
                rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
            })
            .unwrap_or_default()
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.split().0
    }

    pub(crate) fn row(&self) -> &[u8] {
        self.split().1
    }
}

type Chunk = Arc<Vec<Record>>;

/// The rows of one table. A clone is a snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    /// None is empty; sorted by key, also across chunks.
    chunks: Arc<Vec<Chunk>>,
    count: u64,
}

/// A place between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    chunk: usize,
    row: usize,
}

impl Store {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of all rows.
    pub(crate) fn bytes(&self) -> u64 {
        let lengths = self.iter().map(|record| u64::try_from(record.row().len()).unwrap_or(0));
        lengths.sum()
    }

    /// From records in strictly rising key order.
    pub(crate) fn from_sorted(records: Vec<Record>) -> Self {
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let mut chunks = Vec::with_capacity(records.len() / CHUNK_ROWS_MAX + 1);
        let mut records = records.into_iter();
        loop {
            let chunk: Vec<Record> = records.by_ref().take(CHUNK_ROWS_MAX * 3 / 4).collect();
            if chunk.is_empty() {
                break;
            }
            chunks.push(Arc::new(chunk));
        }
        Self { chunks: Arc::new(chunks), count }
    }

    /// Where the first row is whose key is not below `key`.
    pub(crate) fn seek(&self, key: &[u8]) -> Place {
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(|record| record.key() < key));
        let row = self
            .chunks
            .get(chunk)
            .map_or(0, |chunk| chunk.partition_point(|record| record.key() < key));
        Place { chunk, row }
    }

    /// The row at a place, which is then moved past it.
    pub(crate) fn next(&self, place: &mut Place) -> Option<&Record> {
        loop {
            let chunk = self.chunks.get(place.chunk)?;
            if let Some(record) = chunk.get(place.row) {
                place.row += 1;
                return Some(record);
            }
            *place = Place { chunk: place.chunk + 1, row: 0 };
        }
    }

    /// Moves a place forward over `rows` rows without looking at them; `false` at the end.
    pub(crate) fn skip(&self, place: &mut Place, mut rows: u64) -> bool {
        while let Some(chunk) = self.chunks.get(place.chunk) {
            let left = u64::try_from(chunk.len() - place.row).unwrap_or(u64::MAX);
            if rows < left {
                place.row += usize::try_from(rows).unwrap_or(0);
                return true;
            }
            rows -= left;
            *place = Place { chunk: place.chunk + 1, row: 0 };
        }
        false
    }

    /// All rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The row with this key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Record> {
        self.next(&mut self.seek(key)).filter(|record| record.key() == key)
    }

    /// Adds a row; gives it back when its key is there already.
    pub(crate) fn insert(&mut self, record: Record) -> Result<(), Record> {
        if self.get(record.key()).is_some() {
            return Err(record);
        }
        let mut place = self.seek(record.key());
        let chunks = Arc::make_mut(&mut self.chunks);
        if place.chunk == chunks.len() {
            // Past the last row: the common case, as identities grow.
            match chunks.len().checked_sub(1) {
                None => chunks.push(Arc::default()),
                Some(last) => {
                    place = Place { chunk: last, row: chunks.last().map_or(0, |c| c.len()) };
                }
            }
        }
        if let Some(chunk) = chunks.get_mut(place.chunk) {
            let rows = Arc::make_mut(chunk);
            rows.insert(place.row, record);
            self.count += 1;
            if rows.len() > CHUNK_ROWS_MAX {
                // A table that only grows keeps its chunks nearly full.
                let at_end = place.row + 1 == rows.len();
                let cut = if at_end { rows.len() - 1 } else { rows.len() / 2 };
                let tail = rows.split_off(cut);
                chunks.insert(place.chunk + 1, Arc::new(tail));
            }
        }
        Ok(())
    }

    /// Puts a row in the place of the one with the same key, which is returned.
    pub(crate) fn replace(&mut self, record: Record) -> Option<Record> {
        let slot = self.slot(record.key())?;
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(slot.chunk)?;
        let old = Arc::make_mut(chunk).get_mut(slot.row)?;
        Some(std::mem::replace(old, record))
    }

    /// Takes out the row with this key.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Record> {
        let slot = self.slot(key)?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let rows = Arc::make_mut(chunks.get_mut(slot.chunk)?);
        let record = rows.remove(slot.row);
        if rows.is_empty() {
            chunks.remove(slot.chunk);
        }
        self.count -= 1;
        Some(record)
    }

    fn slot(&self, key: &[u8]) -> Option<Place> {
        let place = self.seek(key);
        self.next(&mut { place }).filter(|record| record.key() == key)?;
        Some(place)
    }
}

#[cfg(test)]
mod tests;
