//! The writing task: one batch after the other into Postgres.

use std::sync::Arc;

use mapping::plan::TableId;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::KafkaResult,
};
use target::{
    Applied, Disposition, Prepared, Target,
    batch::OffsetAdvance,
    follow::{StopReason, TableStop},
};
use tokio::sync::mpsc;

use super::{client::Client, holds, preparer::Ready, shared::Shared};
use crate::{breaker::Breaker, error::Error, flood, status::State, topics::transactions};

/// The writing task's state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) target: Arc<Target>,
    pub(super) client: Arc<Client>,
    /// Whether Postgres has ever taken a batch of this run. Before that, a wrong grant or a
    /// missing table is for the operator who has just started us; after it, for patience.
    pub(super) proven: bool,
    /// Batches in a row that did not get through: the pauses grow with them.
    pub(super) failed: u32,
    /// What Postgres refuses counts here; what the mapping does, in the batcher already.
    pub(super) breaker: Breaker,
}

/// What became of a batch.
enum Fate {
    Applied(Applied),
    /// It could not be committed now. What was read since is to be dropped, and reading to go on
    /// from what Postgres says. Nothing is lost: no offset was committed.
    Dropped,
    /// The same, and it never can be: another process owns the partition.
    Lost,
}

impl Writer {
    /// Writes until there is no more.
    pub(super) async fn run(mut self, mut batches: mpsc::Receiver<Ready>) -> Result<(), Error> {
        while let Some(ready) = batches.recv().await {
            let result = self.write(ready).await;
            self.shared.landed();
            result?;
        }
        Ok(())
    }

    async fn write(&mut self, ready: Ready) -> Result<(), Error> {
        let generation = ready.generation;
        if self.shared.is_fenced(generation) {
            return Ok(());
        }
        match self.apply(ready.prepared, ready.rows).await? {
            Fate::Applied(applied) => {
                self.proven = true;
                self.failed = 0;
                self.shared.limit.grow();
                self.committed(&applied, &ready.advances, generation);
                let has_flood = self.stop_floods(&applied).await;
                if ready.has_stops || has_flood {
                    self.learn_held().await;
                }
                if ready.has_fence
                    && let Err(error) = self.target.forget_fences().await
                {
                    tracing::debug!(%error, "old fences are still there");
                }
            }
            Fate::Dropped => {
                self.failed = self.failed.saturating_add(1);
                self.shared.fence(generation);
            }
            Fate::Lost => {
                self.shared.lose(generation);
                self.shared.fence(generation);
            }
        }
        Ok(())
    }

    /// Stops tables of which too much goes to quarantine, batch after batch; whether there is one.
    async fn stop_floods(&mut self, applied: &Applied) -> bool {
        let mut stops = Vec::new();
        for (table, counts) in &applied.tables {
            let bad = applied.put_aside.get(table).copied().unwrap_or(0);
            self.breaker.good(*table, counts.read.saturating_sub(counts.quarantined));
            if self.breaker.bad(*table, bad)
                && let Some(plan) = self.target.plan().tables.get(usize::from(table.0))
            {
                let words = flood::words(&plan.table, "that `ficus quarantine list` tells", "");
                stops.push((*table, words));
            }
        }
        self.stop_tables(stops).await
    }

    /// Postgres refuses most rows of these legacy tables: they wait, and the others come again.
    async fn stop_refused(
        &self,
        sources: &[String],
        (rule, counts): (&str, (usize, usize)),
    ) -> bool {
        let plan = self.target.plan();
        let named = plan.tables.iter().filter(|table| sources.contains(&table.table.to_string()));
        let stops = named.map(|table| (table.id, flood::refused(&table.table, rule, counts)));
        let stops: Vec<_> = stops.collect();
        self.stop_tables(stops).await
    }

    async fn stop_tables(&self, stops: Vec<(TableId, (String, String))>) -> bool {
        let mut stopped = false;
        for (table, (detail, remedy)) in stops {
            tracing::error!(detail, remedy, "a table is stopped");
            let stop = TableStop { table, reason: StopReason::Flood, detail, remedy };
            match self.target.stop_table(&stop).await {
                Ok(_) => stopped = true,
                // It will be met again.
                Err(error) => tracing::warn!(%error, "a table could not be stopped"),
            }
        }
        stopped
    }

    /// A stop that was committed just now is known at once.
    async fn learn_held(&self) {
        match self.target.table_states().await {
            Ok(states) => self.shared.know_held(holds::held(self.target.plan(), states)),
            Err(error) => tracing::debug!(%error, "asking which tables are followed"),
        }
    }

    /// The one place that decides about failures of a batch, by [`target::Error::disposition`].
    /// [`Target::apply`] has already tried transient ones for a while.
    async fn apply(&self, prepared: Prepared, rows: usize) -> Result<Fate, Error> {
        let shared = &self.shared;
        let applying = self.target.apply_prepared(prepared);
        tokio::pin!(applying);
        let error = tokio::select! {
            result = &mut applying => match result {
                Ok(applied) => return Ok(Fate::Applied(applied)),
                Err(error) => error,
            },
            // Dropped whole: it is committed, or it is not, and Postgres knows.
            () = shared.slow() => return Ok(Fate::Dropped),
        };
        if let target::Error::Flood { sources, rule, refused, rows, .. } = &error
            && self.stop_refused(sources, (rule, (*refused, *rows))).await
        {
            self.learn_held().await;
            return Ok(Fate::Dropped);
        }
        match error.disposition() {
            Disposition::Reclaim => {
                tracing::warn!(%error, "a batch was fenced off");
                return Ok(Fate::Lost);
            }
            Disposition::Retry => {}
            // The same messages come again, in as many batches as it takes.
            Disposition::RetrySmaller => shared.limit.shrink(rows),
            Disposition::RetrySlowly if self.proven => {}
            Disposition::RetrySlowly | Disposition::Quarantine | Disposition::Stop => {
                let doing = "applying a batch".to_owned();
                return Err(Error::Target { doing, source: Box::new(error) });
            }
        }
        let who = match error {
            target::Error::Objects { .. } => "the object store",
            _ => "postgres",
        };
        tracing::warn!(%error, hint = error.hint(), "{who} does not take the batch: waiting");
        shared.progress.send_modify(|progress| progress.retries += 1);
        shared.tell(State::Waiting, Some(format!("{who}: {error}: {}", error.hint())));
        self.wait_until_ready().await;
        Ok(Fate::Dropped)
    }

    /// Until Postgres (and the object store) answers a simple question, or the run ends.
    async fn wait_until_ready(&self) {
        let mut attempt = self.failed;
        loop {
            let pause = tokio::time::sleep(self.shared.pause(attempt, 500));
            attempt = attempt.saturating_add(1);
            tokio::select! {
                () = pause => {}
                () = self.shared.stop.cancelled() => return,
            }
            if self.target.ready().await.is_ok() {
                return;
            }
        }
    }

    fn committed(&self, applied: &Applied, advances: &[OffsetAdvance], generation: u64) {
        let marks = transactions(&self.shared.settings.topic_prefix);
        self.shared.progress.send_modify(|progress| {
            progress.batches += 1;
            progress.state = State::Following;
            progress.waiting_for = None;
            for (table, counts) in &applied.tables {
                let total = progress.tables.entry(*table).or_default();
                total.read += counts.read;
                total.applied += counts.applied;
                total.stale += counts.stale;
                total.folded += counts.folded;
                total.ignored += counts.ignored;
                total.quarantined += counts.quarantined;
            }
            for advance in advances {
                let partition = (advance.topic.clone(), advance.partition);
                if let Some(at) = progress.partitions.get_mut(&partition) {
                    at.next = advance.next;
                    at.end = at.end.max(advance.next);
                }
                // A mark says nothing of what is applied.
                if advance.topic != marks {
                    progress.applied_lsn = progress.applied_lsn.max(advance.commit_lsn);
                }
                progress.applied_source_ts_ms =
                    progress.applied_source_ts_ms.max(advance.source_ts_ms);
            }
        });
        self.shared.check_goal();
        if generation == self.shared.generation()
            && let Err(error) = self.tell_kafka(advances)
        {
            tracing::debug!(%error, "kafka's copy of the offsets was not stored");
        }
        target::hook::point("apply.after_telemetry");
    }

    /// Kafka's own copy of the offsets is for other people's dashboards. Nothing reads it here.
    fn tell_kafka(&self, advances: &[OffsetAdvance]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(advances.len());
        for advance in advances {
            let offset = Offset::Offset(advance.next);
            list.add_partition_offset(&advance.topic, advance.partition, offset)?;
        }
        self.client.commit(&list, CommitMode::Async)
    }
}
