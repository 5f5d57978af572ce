//! Passwords are hashed beside the threads that serve, and only so many at a time: each takes a
//! core for tens of milliseconds and 19 MiB.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::password::{Scheme, Stored, Verdict, verify};
use crate::Error;

/// Whoever has waited so long for a place is told to come back.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Hasher {
    places: Arc<Semaphore>,
    schemes: Arc<[Scheme]>,
}

impl Hasher {
    pub(super) fn new(parallel: usize, schemes: Vec<Scheme>) -> Self {
        Self { places: Arc::new(Semaphore::new(parallel.max(1))), schemes: schemes.into() }
    }

    /// Verifies a password.
    pub(super) async fn verify(&self, stored: Stored, password: String) -> Result<Verdict, Error> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(WAIT_LIMIT, place).await;
        let Ok(Ok(place)) = place else { return Err(Error::Busy(None)) };
        let schemes = Arc::clone(&self.schemes);
        // The place is given back when the work is done, also when nobody waits for it any more.
        let work = move || {
            let verdict = verify(&schemes, &stored, &password);
            drop(place);
            verdict
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::Internal(format!("a password's task ended early: {error}")))
    }
}
