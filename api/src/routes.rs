//! Which route belongs to which domain, and who serves it now.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use sqlx::{PgPool, postgres::PgListener};
use tokio_util::sync::CancellationToken;

/// How often the states are read again even when nothing was announced.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A route that this API can serve.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path as axum spells it.
    pub path: &'static str,
    /// The domain that it is cut over with.
    pub domain: &'static str,
}

/// A line of the live manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestLine {
    method: &'static str,
    path: &'static str,
    domain: &'static str,
    state: String,
    served_by: &'static str,
    requests_here: u64,
    requests_legacy: u64,
}

#[derive(Debug, Default)]
struct Served {
    here: AtomicU64,
    legacy: AtomicU64,
}

/// The states of all domains, kept current, and the count of requests by side.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: &'static [Route],
    states: Arc<RwLock<BTreeMap<String, String>>>,
    served: Arc<BTreeMap<&'static str, Served>>,
}

impl Routes {
    /// Reads the states once, and keeps them current until `stop`.
    ///
    /// # Errors
    /// A failure of the first read.
    pub async fn follow(
        pool: &PgPool,
        routes: &'static [Route],
        stop: CancellationToken,
    ) -> Result<Self, sqlx::Error> {
        let served = routes.iter().map(|route| (route.domain, Served::default())).collect();
        let this = Self { routes, states: Arc::default(), served: Arc::new(served) };
        this.read(pool).await?;
        let (follower, pool) = (this.clone(), pool.clone());
        tokio::spawn(async move {
            let follow = follower.listen(&pool);
            tokio::select! { () = follow => {}, () = stop.cancelled() => {} }
        });
        Ok(this)
    }

    async fn read(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let states: Vec<(String, String)> =
            sqlx::query_as("select name, state from ficus.domain").fetch_all(pool).await?;
        *self.states.write().unwrap_or_else(PoisonError::into_inner) = states.into_iter().collect();
        Ok(())
    }

    /// An announcement or the interval, whichever is first. A lost connection is retried for
    /// ever: until it is back, requests go where they went last.
    async fn listen(&self, pool: &PgPool) {
        let mut listener: Option<PgListener> = None;
        loop {
            if listener.is_none() {
                listener = PgListener::connect_with(pool).await.ok();
                if let Some(fresh) = &mut listener
                    && let Err(error) = fresh.listen("ficus_domain").await
                {
                    tracing::warn!(%error, "can't listen for domain states; polling");
                    listener = None;
                }
            }
            match &mut listener {
                Some(live) => {
                    if matches!(tokio::time::timeout(POLL_INTERVAL, live.recv()).await, Ok(Err(_)))
                    {
                        listener = None;
                    }
                }
                None => tokio::time::sleep(POLL_INTERVAL).await,
            }
            if let Err(error) = self.read(pool).await {
                tracing::warn!(%error, "can't read the domains' states; keeping the last ones");
            }
        }
    }

    /// The domain that a path belongs to, if it is one of ours.
    #[must_use]
    pub fn domain_of(&self, path: &str) -> Option<&'static str> {
        self.routes.iter().find(|route| covers(route.path, path)).map(|route| route.domain)
    }

    /// Whether the domain is served here now.
    #[must_use]
    pub fn is_ours(&self, domain: &str) -> bool {
        self.state(domain) == "cut_over" || self.state(domain) == "retired"
    }

    fn state(&self, domain: &str) -> String {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        states.get(domain).cloned().unwrap_or_else(|| "legacy".to_owned())
    }

    /// Counts a request.
    pub fn count(&self, domain: &str, here: bool) {
        if let Some(served) = self.served.get(domain) {
            let counter = if here { &served.here } else { &served.legacy };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The manifest as it is now.
    #[must_use]
    pub fn manifest(&self) -> Vec<ManifestLine> {
        let count = |domain: &str, pick: fn(&Served) -> &AtomicU64| {
            self.served.get(domain).map_or(0, |served| pick(served).load(Ordering::Relaxed))
        };
        let line = |route: &Route| ManifestLine {
            method: route.method,
            path: route.path,
            domain: route.domain,
            state: self.state(route.domain),
            served_by: if self.is_ours(route.domain) { "ficus" } else { "legacy" },
            requests_here: count(route.domain, |served| &served.here),
            requests_legacy: count(route.domain, |served| &served.legacy),
        };
        self.routes.iter().map(line).collect()
    }
}

/// Whether `path` is the route's path: a segment in braces stands for any one segment.
fn covers(route: &str, path: &str) -> bool {
    let (mut expected, mut given) = (route.split('/'), path.trim_end_matches('/').split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(segment), Some(given)) if segment.starts_with('{') && !given.is_empty() => {}
            (Some(segment), Some(given)) if segment == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_one_segment() {
        let route = "/v2/property-owners/{id}/properties";
        assert!(covers(route, "/v2/property-owners/1/properties"));
        assert!(covers(route, "/v2/property-owners/1/properties/"));
        assert!(!covers(route, "/v2/property-owners//properties"));
        assert!(!covers(route, "/v2/property-owners/1"));
        assert!(!covers(route, "/v2/property-owners/1/properties/2"));
    }
}
