//! The domains' states as Postgres has them, kept current by announcement and by asking.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use sqlx::{PgPool, postgres::PgListener};
use target::domain::State;
use tokio_util::sync::CancellationToken;

/// The trigger on `ficus.domain` announces here.
const CHANNEL: &str = "ficus_domain";

/// How often the states are read again even when nothing was announced.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Older knowledge is no ground for a write.
const FRESH_LIMIT: Duration = Duration::from_secs(10);

/// All states, kept current.
#[derive(Debug, Clone)]
pub(super) struct States(Arc<RwLock<Known>>);

#[derive(Debug)]
struct Known {
    states: BTreeMap<String, State>,
    at: Instant,
}

impl States {
    /// Reads the states once, and keeps them current until `stop`.
    ///
    /// The follower has a pool of its own with one connection, so that the switch works when
    /// requests hold all others.
    pub(super) async fn follow(
        pool: &PgPool,
        stop: CancellationToken,
    ) -> Result<Self, sqlx::Error> {
        let options = pool.options().clone().min_connections(0).max_connections(1);
        let own = options.connect_lazy_with((*pool.connect_options()).clone());
        let known = Known { states: BTreeMap::new(), at: Instant::now() };
        let this = Self(Arc::new(RwLock::new(known)));
        let mut listener = this.listen(&own).await?;
        let follower = this.clone();
        tokio::spawn(async move {
            let follow = async {
                loop {
                    let lost = follower.keep(&mut listener).await;
                    tracing::warn!(error = %lost, "lost the announcements of domain states");
                    listener = follower.listen_again(&own).await;
                }
            };
            tokio::select! { () = follow => {}, () = stop.cancelled() => {} }
        });
        Ok(this)
    }

    async fn listen(&self, pool: &PgPool) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        // After LISTEN, so that nothing falls between the two.
        self.read(&mut listener).await?;
        Ok(listener)
    }

    /// Tries for ever: until it succeeds, requests go where they went last, but see
    /// [`States::is_fresh`].
    async fn listen_again(&self, pool: &PgPool) -> PgListener {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            match self.listen(pool).await {
                Ok(listener) => return listener,
                Err(error) => tracing::warn!(%error, "can't read the domains' states"),
            }
        }
    }

    /// Reads at each announcement and at each interval; returns why it can't any more.
    async fn keep(&self, listener: &mut PgListener) -> sqlx::Error {
        loop {
            match tokio::time::timeout(POLL_INTERVAL, listener.try_recv()).await {
                Ok(Ok(None)) => return sqlx::Error::PoolClosed,
                Ok(Err(error)) => return error,
                Ok(Ok(Some(_))) | Err(_) => {}
            }
            if let Err(error) = self.read(listener).await {
                return error;
            }
        }
    }

    async fn read(&self, listener: &mut PgListener) -> Result<(), sqlx::Error> {
        let asked = Instant::now();
        let rows: Vec<(String, String)> =
            sqlx::query_as("select name, state from ficus.domain").fetch_all(listener).await?;
        let mut states = BTreeMap::new();
        for (name, state) in rows {
            match state.parse() {
                Ok(state) => drop(states.insert(name, state)),
                Err(error) => tracing::error!(domain = name, %error, "unknown state"),
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Known { states, at: asked };
        Ok(())
    }

    /// A domain that the engine does not know of is the legacy system's.
    pub(super) fn of(&self, domain: &str) -> State {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.states.get(domain).copied().unwrap_or(State::Legacy)
    }

    /// Whether the states were read a moment ago.
    pub(super) fn is_fresh(&self) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.at.elapsed() < FRESH_LIMIT
    }
}

#[cfg(test)]
impl States {
    /// As they were read some time ago.
    pub(super) fn read_before(age: Duration, states: &[(&str, State)]) -> Self {
        let states = states.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
        let at = Instant::now().checked_sub(age).expect("a machine that is up for a while");
        Self(Arc::new(RwLock::new(Known { states, at })))
    }
}
