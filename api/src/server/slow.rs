//! A client that takes nothing of its answer any more is let go, or so many of them would hold all
//! the places there are.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// How long a client may take nothing while there is something for it.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// A stream whose writes fail when the other end takes nothing for a while.
pub(super) struct Bounded<S> {
    stream: S,
    /// While a write waits.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Bounded<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, until: None }
    }

    fn bound<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.until = None;
            return written;
        }
        let until = self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_LIMIT)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bound(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bound(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_is_let_go() {
        let (here, mut there) = tokio::io::duplex(16);
        let mut here = Bounded::new(here);
        let mut taken = [0; 16];
        // A slow one is not one that stands still.
        let reading = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(WRITE_LIMIT - Duration::from_secs(1)).await;
                there.read_exact(&mut taken).await.expect("bytes");
            }
            there
        });
        here.write_all(&[1; 64]).await.expect("taken");
        let _there = reading.await.expect("a reader");
        here.write_all(&[1; 16]).await.expect("room");
        let refused = here.write_all(&[1; 16]).await.expect_err("nobody takes it");
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    }
}
