//! The loop: look for events, take as many as may be handled, write down how each ended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    CHANNEL, Error, Failure, Handler, Limits, Metrics, Routes, Schedule,
    backoff::Backoff,
    outbox::{self, Claim, End, Taken},
    sweep,
};

/// How often the outcome of an attempt is offered to a Postgres that does not take it.
const END_ATTEMPTS: u32 = 4;
/// Between such offers, and after a failed look.
const PAUSE: Duration = Duration::from_millis(500);
/// A lease is longer than an attempt by so much: its outcome has to be written, too.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// Between two looks at the clock.
const CLOCK: Duration = Duration::from_secs(1);
/// Between two looks for what is old.
const SWEEP: Duration = Duration::from_secs(600);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who it is, for the run history.
    pub owner: String,
    /// Events of a topic at a time.
    pub limits: Limits,
    /// An event is looked for at least so often; a notification wakes earlier.
    pub poll: Duration,
    /// An attempt that takes longer has failed.
    pub attempt: Duration,
    /// After so many attempts an event is dead.
    pub attempts_max: u32,
    /// The wait after the first failed attempt; it doubles.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_max: Duration,
    /// How long done events and the run history are kept.
    pub keep: Duration,
}

impl Settings {
    fn backoff(&self) -> Backoff {
        Backoff { first: self.retry_first, max: self.retry_max }
    }
}

/// A worker. Several may run, in several processes.
pub struct Worker {
    core: Arc<Core>,
    routes: Routes,
    schedule: Schedule,
    busy: JoinSet<String>,
    /// Events under way, by topic.
    under_way: BTreeMap<String, usize>,
    /// Topics whose receiver said that it is too much, and until when.
    paused: BTreeMap<String, Instant>,
    looked: Option<Instant>,
    swept: Option<Instant>,
}

/// What the tasks share.
struct Core {
    pool: PgPool,
    settings: Settings,
    metrics: Metrics,
    /// Topics that a task wants paused.
    asked: std::sync::Mutex<Vec<(String, Instant)>>,
}

impl Worker {
    /// On connections of the role `ficus_work`.
    #[must_use]
    pub fn new(
        pool: PgPool,
        settings: Settings,
        routes: Routes,
        schedule: Schedule,
        metrics: Metrics,
    ) -> Self {
        let core = Core { pool, settings, metrics, asked: std::sync::Mutex::default() };
        Self {
            core: Arc::new(core),
            routes,
            schedule,
            busy: JoinSet::new(),
            under_way: BTreeMap::new(),
            paused: BTreeMap::new(),
            looked: None,
            swept: None,
        }
    }

    /// Works until it is stopped; attempts under way are finished.
    ///
    /// # Errors
    /// When the outbox can't be read at the start. Later, Postgres is waited for.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        outbox::topics(&self.core.pool).await?;
        let woken = Arc::new(Notify::new());
        let listener = tokio::spawn(listen(self.core.pool.clone(), Arc::clone(&woken)));
        while !stop.is_cancelled() {
            let pause = match self.turn().await {
                Ok(()) => self.core.settings.poll,
                Err(error) => {
                    tracing::warn!(error = %told(&error), "the worker waits for Postgres");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken.notified() => {}
                () = tokio::time::sleep(pause) => {}
                Some(ended) = self.busy.join_next() => self.ended(ended),
            }
            // Whatever else has ended meanwhile, so that one look serves for all.
            while let Some(ended) = self.busy.try_join_next() {
                self.ended(ended);
            }
        }
        listener.abort();
        self.finish().await;
        Ok(())
    }

    /// Handles everything that is due now, and what becomes due by it, then ends.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn run_once(mut self) -> Result<(), Error> {
        loop {
            self.turn().await?;
            if self.busy.is_empty() {
                return Ok(());
            }
            self.finish().await;
        }
    }

    async fn finish(&mut self) {
        while let Some(ended) = self.busy.join_next().await {
            self.ended(ended);
        }
    }

    /// One look: jobs that are due, events that are due.
    async fn turn(&mut self) -> Result<(), Error> {
        let core = Arc::clone(&self.core);
        let is_past = |at: Option<Instant>, pause| at.is_none_or(|at| at.elapsed() >= pause);
        if is_past(self.looked, CLOCK) {
            self.schedule.look(&core.pool, &core.settings.owner).await?;
            self.looked = Some(Instant::now());
        }
        if is_past(self.swept, SWEEP) {
            sweep::sweep(&core.pool, core.settings.keep).await?;
            self.swept = Some(Instant::now());
        }
        self.heed_pauses();
        let topics = outbox::topics(&core.pool).await?;
        for topic in &topics {
            self.take(topic, &topics).await?;
        }
        Ok(())
    }

    fn heed_pauses(&mut self) {
        let now = Instant::now();
        self.paused.retain(|_, until| *until > now);
        let asked = self.core.asked.lock().map(|mut asked| std::mem::take(&mut *asked));
        for (topic, until) in asked.unwrap_or_default() {
            let longest = self.paused.entry(topic).or_insert(until);
            *longest = until.max(*longest);
        }
    }

    async fn take(&mut self, topic: &str, topics: &[String]) -> Result<(), Error> {
        let Some(route) = self.routes.of(topic) else { return Ok(()) };
        let handler = Arc::clone(&route.handler);
        let under_way = self.under_way.get(topic).copied().unwrap_or(0);
        let free = self.core.settings.limits.of(topic).saturating_sub(under_way);
        if free == 0 || self.paused.contains_key(topic) {
            return Ok(());
        }
        let is_neighbour =
            |other: &&String| self.routes.of(other).is_some_and(|other| other.name == route.name);
        let neighbours: Vec<String> = topics.iter().filter(is_neighbour).cloned().collect();
        let claim = Claim {
            topic,
            neighbours: &neighbours,
            count: free,
            lease: self.core.settings.attempt + LEASE_MARGIN,
            owner: &self.core.settings.owner,
        };
        for taken in outbox::claim(&self.core.pool, claim).await? {
            *self.under_way.entry(topic.to_owned()).or_default() += 1;
            let (core, handler) = (Arc::clone(&self.core), Arc::clone(&handler));
            let event = &taken.event;
            let span = tracing::info_span!(
                "event",
                event.id = %event.id,
                event.topic = event.topic,
                event.attempt = event.attempt,
                correlation_id = event.correlation_id.as_deref().unwrap_or_default(),
            );
            self.busy.spawn(core.attempt(taken, handler).instrument(span));
        }
        Ok(())
    }

    fn ended(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(topic) => {
                if let Some(count) = self.under_way.get_mut(&topic) {
                    *count = count.saturating_sub(1);
                }
            }
            // A panic outside of the handler's own task: the lease brings its event back. Which topic it was is
            // not known any more, so all are counted anew when nothing is under way.
            Err(error) => tracing::error!(%error, "a task of the worker ended early"),
        }
        if self.busy.is_empty() {
            self.under_way.clear();
        }
    }
}

impl Core {
    /// One attempt, and what is written down of it. Returns the topic.
    async fn attempt(self: Arc<Self>, taken: Taken, handler: Arc<dyn Handler>) -> String {
        let began = Instant::now();
        let confidential = handler.is_confidential();
        let result = self.handle(&taken, handler).await;
        let end = self.judge(&taken, result, confidential);
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &end {
            End::Done { .. } => tracing::info!(milliseconds, "done"),
            End::Retry { why, .. } => tracing::info!(milliseconds, why, "to be tried again"),
            End::Dead { why } => tracing::warn!(milliseconds, why, "dead"),
        }
        self.metrics.ended(&taken.event.topic, end.outcome());
        self.write_down(&taken, &end).await;
        taken.event.topic
    }

    /// In a task of its own, so that a handler that panics fails its attempt and nothing else.
    async fn handle(&self, taken: &Taken, handler: Arc<dyn Handler>) -> Result<(), Failure> {
        let attempts_max = self.settings.attempts_max;
        if taken.is_expired {
            return Err(Failure::permanent("it expired before it was handled"));
        }
        // Counted when it is taken: an event that ends every process which takes it ends here.
        if u32::try_from(taken.event.attempt).is_ok_and(|attempt| attempt > attempts_max) {
            let why = format!("given up: {attempts_max} attempts had no outcome");
            return Err(Failure::permanent(why));
        }
        let event = taken.event.clone();
        let mut task = tokio::spawn(async move { handler.handle(&event).await }.in_current_span());
        match timeout(self.settings.attempt, &mut task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::retry("the handler panicked")),
            Err(_) => {
                task.abort();
                let limit = self.settings.attempt.as_millis();
                Err(Failure::retry(format!("not done within {limit} ms")))
            }
        }
    }

    fn judge(&self, taken: &Taken, result: Result<(), Failure>, clear_payload: bool) -> End {
        let attempt = taken.event.attempt;
        match result {
            Ok(()) => End::Done { clear_payload },
            Err(Failure::Permanent { why }) => End::Dead { why },
            Err(Failure::Retry { why, after }) => {
                if u32::try_from(attempt).is_ok_and(|attempt| attempt >= self.settings.attempts_max)
                {
                    return End::Dead { why: format!("given up after {attempt} attempts: {why}") };
                }
                let wait = self.settings.backoff().after(attempt, after);
                if after.is_some()
                    && let Ok(mut asked) = self.asked.lock()
                {
                    asked.push((taken.event.topic.clone(), Instant::now() + wait));
                }
                End::Retry { why, after: wait }
            }
        }
    }

    async fn write_down(&self, taken: &Taken, end: &End) {
        for attempt in 1..=END_ATTEMPTS {
            match outbox::end(&self.pool, taken, end).await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(
                        "the lease was over: the event is handled again by somebody else"
                    );
                    return;
                }
                Err(error) if attempt < END_ATTEMPTS => {
                    tracing::debug!(error = %told(&error), "writing down an outcome again");
                    tokio::time::sleep(PAUSE * attempt).await;
                }
                // Its lease brings it back: once more rather than never.
                Err(error) => {
                    tracing::warn!(error = %told(&error), "an outcome is not written down");
                }
            }
        }
    }
}

/// Wakes the loop when the outbox says so. A connection that is lost is made again; until then
/// there is the polling.
async fn listen(pool: PgPool, woken: Arc<Notify>) {
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                // `None` is a lost connection: what was told meanwhile was told to nobody.
                drop(listener.try_recv().await?);
                woken.notify_one();
            }
        };
        let ended: Result<(), sqlx::Error> = listening.await;
        if let Err(error) = ended {
            tracing::debug!(%error, "not listening to the outbox");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// An error with its cause. Postgres's messages about constraints quote values, and stay out.
fn told(error: &Error) -> String {
    let Error::Postgres { doing, source } = error else { return error.to_string() };
    match source.as_database_error() {
        Some(refusal) => {
            format!("{doing}: SQLSTATE {}", refusal.code().unwrap_or_default())
        }
        None => format!("{doing}: {source}"),
    }
}
