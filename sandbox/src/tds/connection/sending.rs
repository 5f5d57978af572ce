//! Sending, with an ear to the client: an attention stops a result between two rows.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{Connection, Message, kind};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Waits, listening to the client.
    pub(super) async fn pause(&mut self, delay: Duration) -> io::Result<()> {
        let end = tokio::time::Instant::now() + delay;
        while !self.attention {
            tokio::select! {
                biased;
                message = self.reader.next(), if self.waiting.is_none() => {
                    heard(message?, &mut self.attention, &mut self.waiting)?;
                }
                () = tokio::time::sleep_until(end) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Sends what is in the buffer: full packets, and at the end of a message the rest.
    pub(super) async fn send(&mut self, end: bool) -> io::Result<()> {
        self.framer.frame(&mut self.payload, &mut self.frames, end);
        if self.frames.is_empty() {
            return Ok(());
        }
        {
            let mut write = std::pin::pin!(self.writer.write_all(&self.frames));
            loop {
                tokio::select! {
                    biased;
                    message = self.reader.next(), if self.waiting.is_none() => {
                        heard(message?, &mut self.attention, &mut self.waiting)?;
                    }
                    written = &mut write => break written?,
                }
            }
        }
        self.frames.clear();
        if end { self.writer.flush().await } else { Ok(()) }
    }
}

/// Sorts a message that came while an answer is being sent.
fn heard(
    message: Option<Message>,
    attention: &mut bool,
    waiting: &mut Option<Message>,
) -> io::Result<()> {
    match message {
        None => Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Message { kind: kind::ATTENTION, .. }) => {
            *attention = true;
            Ok(())
        }
        Some(message) => {
            *waiting = Some(message);
            Ok(())
        }
    }
}
