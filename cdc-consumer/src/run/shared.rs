//! What the reading thread, the writing task and the client's callbacks share.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mapping::plan::TableId;
use target::{Batch, BatchLimit, follow::TableState};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    batch::Owned,
    error::Error,
    settings::Settings,
    status::{Ended, Progress, State},
};

/// After so long without an answer it is said what is waited for.
const SLOW: Duration = Duration::from_secs(2);
/// How long a batch may still take after the run was asked to stop.
const FINISH: Duration = Duration::from_secs(10);

/// A closed batch, and the assignment that it belongs to.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) batch: Batch,
    pub(super) generation: u64,
}

/// What the rebalance callback leaves for the reading thread.
#[derive(Debug)]
pub(super) enum Notice {
    /// These partitions are ours, claimed and assigned.
    Assigned(Vec<Owned>),
    /// These are ours as before, and read again from what Postgres says.
    Again(Vec<Owned>),
    /// Nothing is ours any more.
    Revoked,
    /// This topic was deleted and made anew.
    Remade(String),
    /// The assignment shows that something is lost.
    Failed(Error),
}

/// Where everything up to the asked LSN is known to be: ends by topic and partition.
pub(super) type Goal = BTreeMap<(String, i32), i64>;

/// Tables that are paused or stopped, as Postgres says.
pub(super) type Held = BTreeMap<TableId, TableState>;

/// Shared by all parts of one run.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) stop: CancellationToken,
    pub(super) progress: watch::Sender<Progress>,
    /// Data events of a batch.
    pub(super) limit: BatchLimit,
    /// Counts assignments and revocations. A batch of an older generation is not for retry.
    generation: AtomicU64,
    /// Batches between the reading thread and Postgres.
    pub(super) in_flight: watch::Sender<usize>,
    notices: Mutex<Vec<Notice>>,
    goal: Mutex<Option<Goal>>,
    /// Where partitions have nothing more up to the asked LSN, below their goal.
    lowered: Mutex<Goal>,
    /// Whether another process has met the asked LSN.
    proven: AtomicBool,
    pub(super) held: watch::Sender<Held>,
    ended: Mutex<Option<Ended>>,
    /// The generation of which no batch is written any more.
    fenced: AtomicU64,
    /// The generation of which somebody else has claimed a partition.
    lost: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        stop: CancellationToken,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self {
            limit: BatchLimit::new(settings.batch_rows_max),
            settings,
            stop,
            progress,
            generation: AtomicU64::new(1),
            in_flight: watch::Sender::new(0),
            notices: Mutex::default(),
            goal: Mutex::default(),
            lowered: Mutex::default(),
            proven: AtomicBool::new(false),
            held: watch::Sender::new(Held::new()),
            ended: Mutex::default(),
            fenced: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Begins another generation and tells the reading thread why.
    pub(super) fn notify(&self, notice: Notice) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        lock(&self.notices).push(notice);
    }

    /// Tells the reading thread something that leaves the assignment as it is.
    pub(super) fn leave(&self, notice: Notice) {
        lock(&self.notices).push(notice);
    }

    pub(super) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut *lock(&self.notices))
    }

    /// A batch is written, or dropped.
    pub(super) fn landed(&self) {
        self.in_flight.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// Says after a while that Postgres is waited for; is over when the run was asked to stop and
    /// a batch had its time to finish.
    pub(super) async fn slow(&self) {
        tokio::time::sleep(SLOW).await;
        self.tell(State::Waiting, Some("postgres to take a batch".into()));
        self.stop.cancelled().await;
        tokio::time::sleep(FINISH).await;
    }

    /// Nothing of this generation is written from here on: it is read again.
    pub(super) fn fence(&self, generation: u64) {
        self.fenced.fetch_max(generation, Ordering::AcqRel);
    }

    pub(super) fn is_fenced(&self, generation: u64) -> bool {
        generation <= self.fenced.load(Ordering::Acquire)
    }

    /// Somebody else claimed a partition of this generation. Told before it is fenced.
    pub(super) fn lose(&self, generation: u64) {
        self.lost.fetch_max(generation, Ordering::AcqRel);
    }

    pub(super) fn is_lost(&self, generation: u64) -> bool {
        generation <= self.lost.load(Ordering::Acquire)
    }

    pub(super) fn has_goal(&self) -> bool {
        lock(&self.goal).is_some()
    }

    pub(super) fn set_goal(&self, goal: Goal) {
        *lock(&self.goal) = Some(goal);
    }

    /// Nothing up to the asked LSN is left of this partition from here on.
    pub(super) fn lower_goal(&self, topic: &str, partition: i32, next: i64) {
        lock(&self.lowered).insert((topic.to_owned(), partition), next);
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Acquire)
    }

    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Release);
    }

    /// Takes over which tables are not followed.
    pub(super) fn know_held(&self, held: Held) {
        let is_news = self.held.send_if_modified(|known| {
            let is_news = *known != held;
            if is_news {
                known.clone_from(&held);
            }
            is_news
        });
        if is_news {
            self.progress.send_modify(|progress| progress.held = held);
        }
    }

    pub(super) fn know_waiting(&self, waiting: Vec<(String, i32)>) {
        let waiting: BTreeSet<(String, i32)> = waiting.into_iter().collect();
        self.progress.send_modify(|progress| {
            for (partition, at) in &mut progress.partitions {
                at.waits = waiting.contains(partition);
            }
        });
    }

    /// Ends the run when every owned partition has reached its goal. What waits for a person
    /// does not hold up the end: it is told in the report.
    pub(super) fn check_goal(&self) {
        let goal = lock(&self.goal);
        let Some(goal) = goal.as_ref() else { return };
        let reached = {
            let lowered = lock(&self.lowered);
            let progress = self.progress.borrow();
            let end = |partition: &(String, i32)| {
                let end = goal.get(partition)?;
                Some(lowered.get(partition).map_or(*end, |lower| *lower.min(end)))
            };
            !progress.partitions.is_empty()
                && progress.partitions.iter().all(|(partition, at)| {
                    end(partition).is_none_or(|end| at.next >= end)
                        || (at.waits && !lowered.contains_key(partition))
                })
        };
        if reached {
            self.end(Ended::ReachedLsn);
        }
    }

    /// Asks all parts to end.
    pub(super) fn end(&self, why: Ended) {
        lock(&self.ended).get_or_insert(why);
        self.stop.cancel();
    }

    pub(super) fn ended(&self) -> Ended {
        lock(&self.ended).unwrap_or(Ended::Cancelled)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Tells what is waited for, or that nothing is.
    pub(super) fn tell(&self, state: State, waiting_for: Option<String>) {
        self.progress.send_if_modified(|progress| {
            if progress.state == state && progress.waiting_for == waiting_for {
                return false;
            }
            progress.state = state;
            progress.waiting_for = waiting_for;
            true
        });
    }

    /// The pause before another attempt: doubled each time up to the limit, a random half of
    /// it, so that several processes don't come back at the same moment.
    pub(super) fn pause(&self, attempt: u32, least_ms: u64) -> Duration {
        let longest = self.settings.retry_ms_max.max(least_ms);
        let step = least_ms.saturating_mul(1 << attempt.min(16)).min(longest).max(2);
        let random = RandomState::new().build_hasher().finish();
        Duration::from_millis(step / 2 + random % (step / 2 + 1))
    }
}

/// A panic elsewhere leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
