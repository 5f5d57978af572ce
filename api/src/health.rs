//! Whether the server can work, and each thing that it leans on.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{net::TcpStream, sync::Mutex};
use utoipa::ToSchema;

/// Whoever does not answer within this time is slow.
const LIMIT: Duration = Duration::from_secs(2);

/// For so long an answer is given again: asking us often is no way to burden the others.
const FRESH: Duration = Duration::from_secs(1);

/// What a check comes to: nothing, or why not. Reasons go to the log alone.
pub type Checked = Result<(), String>;
type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Checked> + Send>> + Send + Sync>;

/// Something that the server leans on.
#[derive(Clone)]
pub struct Dependency {
    name: &'static str,
    is_needed: bool,
    check: Check,
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Dependency {
    /// One whose loss is told, but does not make the server unready.
    pub fn new<F, C>(name: &'static str, check: F) -> Self
    where
        F: Fn() -> C + Send + Sync + 'static,
        C: Future<Output = Checked> + Send + 'static,
    {
        Self { name, is_needed: false, check: Arc::new(move || Box::pin(check())) }
    }

    /// One that takes connections at one of these addresses (`host:port`).
    #[must_use]
    pub fn listening(name: &'static str, addresses: Vec<String>) -> Self {
        let addresses: Arc<[String]> = addresses.into();
        Self::new(name, move || {
            let addresses = Arc::clone(&addresses);
            async move {
                let mut last = "it has no address".to_owned();
                for address in addresses.iter() {
                    match TcpStream::connect(address).await {
                        Ok(_) => return Ok(()),
                        Err(error) => last = format!("{address}: {error}"),
                    }
                }
                Err(last)
            }
        })
    }

    pub(crate) fn needed(mut self) -> Self {
        self.is_needed = true;
        self
    }
}

/// How a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// It answers.
    Ok,
    /// It does not answer in time.
    Slow,
    /// It refuses, or is not there.
    Down,
}

/// Whether the server is ready, and how each thing is that it leans on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether requests for our domains can be served.
    pub(crate) ready: bool,
    /// By name: `postgres`, and where they are configured `legacy`, `kafka`, `objects`, `redis`.
    pub(crate) dependencies: BTreeMap<&'static str, Condition>,
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    dependencies: Arc<[Dependency]>,
    last: Arc<Mutex<Option<(Instant, Readiness)>>>,
}

impl Health {
    pub(crate) fn new(dependencies: Vec<Dependency>) -> Self {
        Self { dependencies: dependencies.into(), last: Arc::default() }
    }

    /// Asks all of them at once, each within [`LIMIT`]. Whoever comes meanwhile waits for the
    /// same answer.
    pub(crate) async fn readiness(&self) -> Readiness {
        let mut last = self.last.lock().await;
        if let Some((at, readiness)) = &*last
            && at.elapsed() < FRESH
        {
            return readiness.clone();
        }
        let asked = self.dependencies.iter().map(ask);
        let conditions = futures_util::future::join_all(asked).await;
        let each = || self.dependencies.iter().zip(&conditions);
        let ready = each().all(|(one, condition)| !one.is_needed || *condition == Condition::Ok);
        let dependencies = each().map(|(one, condition)| (one.name, *condition)).collect();
        let readiness = Readiness { ready, dependencies };
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }
}

async fn ask(dependency: &Dependency) -> Condition {
    match tokio::time::timeout(LIMIT, (dependency.check)()).await {
        Ok(Ok(())) => Condition::Ok,
        Ok(Err(reason)) => {
            tracing::warn!(dependency = dependency.name, reason, "a dependency is down");
            Condition::Down
        }
        Err(_) => {
            tracing::warn!(dependency = dependency.name, "a dependency does not answer");
            Condition::Slow
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(name: &'static str) -> Dependency {
        Dependency::new(name, || async { Err("down".to_owned()) })
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_told_and_only_what_is_needed_counts() {
        let fine = Dependency::new("fine", || async { Ok(()) });
        let silent = Dependency::new("silent", std::future::pending);
        let health = Health::new(vec![fine.needed(), silent, failing("gone")]);
        let readiness = health.readiness().await;
        assert!(readiness.ready);
        let told = serde_json::to_value(&readiness.dependencies).expect("JSON");
        assert_eq!(told, serde_json::json!({ "fine": "ok", "silent": "slow", "gone": "down" }));
        assert!(!Health::new(vec![failing("needed").needed()]).readiness().await.ready);
    }

    #[tokio::test]
    async fn a_crowd_asks_once() {
        let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let dependency = Dependency::new("one", move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async { Ok(()) }
        });
        let health = Health::new(vec![dependency]);
        futures_util::future::join_all((0..10).map(|_| health.readiness())).await;
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
