//! A response that stands still is broken off.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A body that fails when nothing has come for a while. The time that the *reader* takes does not
/// count: a slow client is not the legacy application's fault.
pub(super) struct Idle<B> {
    body: B,
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<B> Idle<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Failure>,
{
    pub(super) fn bound(body: B, limit: Duration) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        let sleep = Box::pin(tokio::time::sleep(limit));
        Body::new(Self { body, limit, sleep, is_waiting: false })
    }
}

impl<B> HttpBody for Idle<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Failure>,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !self.is_waiting {
            self.is_waiting = true;
            let until = Instant::now() + self.limit;
            self.sleep.as_mut().reset(until);
        }
        ready!(self.sleep.as_mut().poll(context));
        tracing::warn!(
            limit_ms = self.limit.as_millis(),
            "the legacy application's answer stands still"
        );
        Poll::Ready(Some(Err("the answer stands still".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use http_body_util::BodyExt as _;

    use super::*;

    /// Parts that come after so many milliseconds each.
    fn parts(pauses: &'static [u64]) -> Body {
        let parts = futures_util::stream::iter(pauses).then(|pause| async move {
            tokio::time::sleep(Duration::from_millis(*pause)).await;
            Ok::<_, std::io::Error>("part")
        });
        Body::from_stream(parts)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_fails_and_one_that_moves_does_not() {
        let limit = Duration::from_millis(100);
        let moving = Idle::bound(parts(&[90, 90, 90]), limit);
        assert_eq!(moving.collect().await.expect("whole").to_bytes().len(), 12);
        let still = Idle::bound(parts(&[90, 110]), limit);
        assert!(still.collect().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_may_take_its_time() {
        let mut body = Idle::bound(parts(&[90, 90]), Duration::from_millis(100));
        for _ in 0..2 {
            body.frame().await.expect("a part").expect("in time");
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert!(body.frame().await.is_none());
    }
}
