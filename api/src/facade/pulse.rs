//! Whether a request still moves on its way to the legacy application.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::{Body, HttpBody as _};
use http_body_util::BodyExt as _;

/// When something last moved, and whether the client broke off.
#[derive(Clone)]
pub(super) struct Pulse(Arc<Inner>);

struct Inner {
    moved: Mutex<Instant>,
    is_broken: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let (moved, is_broken) = (Mutex::new(Instant::now()), AtomicBool::new(false));
        Self(Arc::new(Inner { moved, is_broken }))
    }

    fn beat(&self) {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the request's body could not be read to its end.
    pub(super) fn is_broken(&self) -> bool {
        self.0.is_broken.load(Ordering::Relaxed)
    }

    /// Ends when nothing has moved for `limit`: a long upload is no reason to give up, a silent
    /// peer is.
    pub(super) async fn stopped(&self, limit: Duration) {
        loop {
            let quiet = self.0.moved.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            let Some(left) = limit.checked_sub(quiet).filter(|left| !left.is_zero()) else {
                return;
            };
            tokio::time::sleep(left).await;
        }
    }

    /// The body, beating at each of its parts.
    pub(super) fn of(&self, body: Body) -> Body {
        if body.is_end_stream() {
            return body; // an empty body stays empty: no chunked framing for a GET
        }
        let (pulse, broken) = (self.clone(), self.clone());
        let body = body.map_frame(move |frame| {
            pulse.beat();
            frame
        });
        Body::new(body.map_err(move |error| {
            broken.0.is_broken.store(true, Ordering::Relaxed);
            error
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_moves_keeps_the_request_alive() {
        let pulse = Pulse::new();
        let parts = futures_util::stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_millis(40)).await;
            (n < 5).then_some((Ok::<_, std::io::Error>("part"), n + 1))
        });
        let body = pulse.of(Body::from_stream(parts));
        tokio::select! {
            () = pulse.stopped(Duration::from_millis(150)) => panic!("it moved all the time"),
            collected = body.collect() => assert!(collected.is_ok()),
        }
        pulse.stopped(Duration::from_millis(150)).await;
    }
}
