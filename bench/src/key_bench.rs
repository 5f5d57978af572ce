//! Keys for a benchmark that is not asynchronous.

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser;
use tokio::runtime::Runtime;

use crate::{
    args::Args,
    keys::{self, Keys},
    place::{Place, Spot},
};

/// A Postgres of its own with a database in which all keys are known.
pub struct KeyBench {
    runtime: Runtime,
    place: Place,
    keys: Keys,
    known: Spot,
}

impl KeyBench {
    /// Starts Postgres.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub fn start(count: u64) -> anyhow::Result<Self> {
        let args = Args::try_parse_from(["bench"])?;
        let runtime = Runtime::new()?;
        let place = runtime.block_on(Place::start(runtime.handle().clone(), &args))?;
        let keys = keys::keys(&place.plan, count)?;
        let known = runtime.block_on(async {
            let spot = place.spot().await?;
            keys::mint(&spot.target, &keys).await?;
            anyhow::Ok(spot)
        })?;
        Ok(Self { runtime, place, keys, known })
    }

    /// The time it takes to mint all keys in a database that has none.
    ///
    /// # Errors
    /// Postgres's.
    pub fn mint(&self) -> anyhow::Result<Duration> {
        self.runtime.block_on(async {
            let spot = self.place.spot().await?;
            let began = Instant::now();
            let ids = keys::mint(&spot.target, &self.keys).await?;
            let elapsed = began.elapsed();
            ensure!(ids.len() == self.keys.len(), "a key has no id");
            self.place.leave(spot).await?;
            Ok(elapsed)
        })
    }

    /// Looks all keys up, without the cache.
    ///
    /// # Errors
    /// Postgres's, or when a key is not known.
    pub fn look_up(&self) -> anyhow::Result<usize> {
        let ids = self.runtime.block_on(keys::look_up(&self.known.target, &self.keys))?;
        Ok(ids.len())
    }

    /// Takes Postgres down.
    pub fn stop(self) {
        self.runtime.block_on(self.place.stop());
    }
}
