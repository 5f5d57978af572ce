//! Between reading and writing: ids for a batch's keys, while the batch before is being written.
//!
//! They are about half of what Postgres does for a new row, and another of its processes can do it
//! meanwhile. One batch is ahead at the most.

use std::sync::Arc;

use target::{Checkpoint, Prepared, Target, batch::OffsetAdvance};
use tokio::sync::{mpsc, oneshot};

use super::shared::{Shared, Work};
use crate::error::Error;

/// A batch whose keys have their ids, unless Postgres did not give them in time.
pub(super) struct Ready {
    pub(super) prepared: Prepared,
    /// Its rows.
    pub(super) rows: usize,
    pub(super) advances: Vec<OffsetAdvance>,
    pub(super) has_fence: bool,
    pub(super) has_stops: bool,
    pub(super) generation: u64,
    /// Dropped with the batch.
    _written: oneshot::Sender<()>,
}

/// Prepares until the reading thread has no more, or nobody writes any more.
pub(super) async fn run(
    shared: Arc<Shared>,
    target: Arc<Target>,
    mut batches: mpsc::Receiver<Work>,
    ready: mpsc::Sender<Ready>,
) -> Result<(), Error> {
    while let Ok(room) = ready.reserve().await {
        let Some(Work { batch, generation }) = batches.recv().await else { break };
        if shared.is_fenced(generation) {
            shared.landed();
            continue;
        }
        let advances = match &batch.checkpoint {
            Checkpoint::Offsets { advances, .. } => advances.clone(),
            Checkpoint::None | Checkpoint::Chunk(_) | Checkpoint::Retry(_) => Vec::new(),
        };
        let rows = batch.tables.len();
        let (has_fence, has_stops) = (!batch.fences.is_empty(), !batch.stops.is_empty());
        let prepared = tokio::select! {
            prepared = target.prepare_keys(batch) => prepared.map_err(|source| {
                Error::Target { doing: "preparing a batch".to_owned(), source: Box::new(source) }
            })?,
            () = shared.slow() => {
                shared.fence(generation);
                shared.landed();
                continue;
            }
        };
        let is_prepared = prepared.has_ids();
        let (written, is_written) = oneshot::channel();
        room.send(Ready {
            prepared,
            rows,
            advances,
            has_fence,
            has_stops,
            generation,
            _written: written,
        });
        // What a later batch says of a row that has left its filter is decided by whether the row
        // has an id. So none is asked for while an earlier one is still without.
        if !is_prepared {
            drop(is_written.await); // Always an error: the sender is only ever dropped.
        }
    }
    Ok(())
}
