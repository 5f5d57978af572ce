//! A reader: claims chunks and copies them until there are none.

use std::{mem, sync::Arc, time::Duration};

use legacy::Session;
use mapping::plan::{TableId, TablePlan};
use target::{chunk::ChunkClaim, hook};

use crate::{
    Error,
    copy::{self, Ended},
    error::Disposition,
    owner,
    patience::Patience,
    shared::Shared,
};

/// Between two looks at chunks that other processes have.
const WAIT: Duration = Duration::from_millis(500);

/// Claims chunks and copies them until there are none.
pub(crate) async fn work(shared: Arc<Shared>, order: Arc<[TableId]>) -> Result<(), Error> {
    let mut reader = Reader { shared: Arc::clone(&shared), session: None };
    while shared.wait_until_ready(&mut reader.session).await? {
        match reader.claim(&order).await? {
            Some(claim) => reader.copy(claim).await?,
            None if reader.others_work(&order).await? => reader.pause(WAIT).await,
            None => break,
        }
    }
    Ok(())
}

struct Reader {
    shared: Arc<Shared>,
    /// Kept from chunk to chunk.
    session: Option<Session>,
}

impl Reader {
    /// The next chunk, of the first table that has one. While the target stays away it is asked
    /// again, so long as the settings allow.
    async fn claim(&self, order: &[TableId]) -> Result<Option<ChunkClaim>, Error> {
        for &id in order {
            if self.shared.is_given_up(id) {
                continue;
            }
            let table = self.shared.table(id)?;
            let mut patience = Patience::new(&self.shared.settings);
            let claim = loop {
                match self.claim_of(id).await {
                    Ok(claim) => break claim,
                    Err(source) => {
                        let error = Error::writing(table)(source);
                        self.wait_to_retry(table, &mut patience, error).await?;
                    }
                }
                if self.shared.stop.is_cancelled() {
                    return Ok(None);
                }
            };
            if claim.is_some() {
                hook::point("backfill.claimed");
                return Ok(claim);
            }
        }
        Ok(None)
    }

    async fn claim_of(&self, table: TableId) -> Result<Option<ChunkClaim>, target::Error> {
        let Shared { target, run, owner, settings, .. } = &*self.shared;
        target.claim_chunk(*run, Some(table), owner, settings.lease).await
    }

    /// Whether other processes have chunks of these tables. Those of dead ones are freed.
    async fn others_work(&self, order: &[TableId]) -> Result<bool, Error> {
        let shared = &self.shared;
        let chunks = shared.target.chunks(shared.run).await?;
        let mut others = false;
        for chunk in chunks {
            let is_ours = chunk.owner == shared.owner;
            let table = chunk.plan.table;
            if chunk.state != "running" || is_ours || !order.contains(&table) {
                continue;
            }
            others |= !shared.is_given_up(table);
            if owner::is_gone(&chunk.owner) {
                let freed = shared.target.expire_chunks(shared.run, &chunk.owner).await;
                freed?;
            }
        }
        Ok(others)
    }

    /// Copies a chunk, in as many attempts as it takes.
    async fn copy(&mut self, mut claim: ChunkClaim) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let table = shared.table(claim.plan.table)?;
        shared.reading(table);
        let mut patience = Patience::new(&shared.settings);
        // Set by a time limit: what the next statement leaves is a chunk of its own.
        let mut split = false;
        loop {
            let before = (claim.rows, claim.last_key.clone());
            let error = match copy::attempt(&shared, &mut self.session, table, &mut claim).await {
                Ok(Ended::Done) => {
                    shared.chunk_done(table);
                    return Ok(());
                }
                Ok(Ended::Stopped) => {
                    self.give_back(&claim, None).await;
                    return Ok(());
                }
                Ok(Ended::Step) => {
                    if claim.rows == before.0 {
                        shared.steps.too_few(table.id);
                    } else {
                        patience.restore();
                        if mem::take(&mut split) {
                            self.split(table, &mut claim).await?;
                        }
                    }
                    // Who waits for an hour or a night has no chunk meanwhile.
                    if shared.hold(&mut self.session).await?.is_some() {
                        self.give_back(&claim, None).await;
                        return Ok(());
                    }
                    continue;
                }
                Err(error) => error,
            };
            if self.has_brought_on(table, &mut claim, before, &error).await? {
                patience.restore();
            }
            if !self.goes_on(table, &claim, (&mut patience, &mut split), error).await? {
                return Ok(());
            }
        }
    }

    /// What a failure means for the chunk: whether it is tried again.
    async fn goes_on(
        &mut self,
        table: &TablePlan,
        claim: &ChunkClaim,
        (patience, split): (&mut Patience, &mut bool),
        error: Error,
    ) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        match error.disposition() {
            Disposition::Retry => {
                if error.wants_smaller_batches() {
                    shared.limit.shrink(shared.limit.rows());
                }
                if error.is_timeout() {
                    shared.steps.timed_out(table.id, shared.settings.chunk_rows);
                    *split = true;
                }
                if let Err(error) = self.wait_to_retry(table, patience, error).await {
                    self.give_back(claim, Some(&error.to_string())).await;
                    return Err(error);
                }
                if shared.stop.is_cancelled() {
                    self.give_back(claim, None).await;
                    return Ok(false);
                }
                Ok(true)
            }
            Disposition::Leave => {
                tracing::info!(chunk = claim.chunk, "another process has the chunk now");
                Ok(false)
            }
            Disposition::GiveUpTable => {
                let reason = shared.give_up(table, &error);
                self.give_back(claim, Some(&reason)).await;
                Ok(false)
            }
            Disposition::Stop => {
                self.give_back(claim, Some(&error.to_string())).await;
                Err(error)
            }
        }
    }

    /// Ends the chunk where it is; the rest is a new chunk, for whoever is free.
    async fn split(&self, table: &TablePlan, claim: &mut ChunkClaim) -> Result<(), Error> {
        let Some(last_key) = claim.last_key.clone() else { return Ok(()) };
        let split = self.shared.target.split_chunk(claim, &last_key).await;
        match split {
            Ok(()) => {
                claim.plan.up_to = Some(last_key);
                self.shared.chunk_split(table);
                Ok(())
            }
            // Whoever has it now has all of it.
            Err(error @ target::Error::Fenced { .. }) => {
                tracing::info!(chunk = claim.chunk, %error, "not split");
                Ok(())
            }
            Err(error) => Err(Error::writing(table)(error)),
        }
    }

    /// Whether a failed attempt has brought the chunk on. After an answer that was not whole it goes
    /// back to before the statement; whoever was fenced hears of it with its next step.
    async fn has_brought_on(
        &self,
        table: &TablePlan,
        claim: &mut ChunkClaim,
        (rows, last_key): (u64, Option<Vec<u8>>),
        error: &Error,
    ) -> Result<bool, Error> {
        if !error.is_incomplete() {
            return Ok(claim.rows > rows);
        }
        match self.shared.target.rewind_chunk(claim, last_key.as_deref(), rows).await {
            Ok(()) | Err(target::Error::Fenced { .. }) => {}
            Err(error) => return Err(Error::writing(table)(error)),
        }
        (claim.rows, claim.last_key) = (rows, last_key);
        Ok(false)
    }

    /// So that the next one need not wait for the lease's end. When it can't be told, it waits.
    async fn give_back(&self, claim: &ChunkClaim, reason: Option<&str>) {
        if let Err(error) = self.shared.target.release_chunk(claim, reason).await {
            tracing::debug!(chunk = claim.chunk, %error, "the chunk's lease was left to end");
        }
    }

    /// Waits before the next attempt, or says that there is none.
    async fn wait_to_retry(
        &self,
        table: &TablePlan,
        patience: &mut Patience,
        error: Error,
    ) -> Result<(), Error> {
        if error.disposition() != Disposition::Retry {
            return Err(error);
        }
        let Some(pause) = patience.fail() else {
            return Err(Error::Exhausted {
                table: table.table.clone(),
                attempts: patience.failed(),
                source: Box::new(error),
            });
        };
        self.shared.retrying(table, patience.failed(), pause, &error);
        self.pause(pause).await;
        Ok(())
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = self.shared.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
