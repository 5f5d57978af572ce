//! Messages in packets.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Packet types.
pub(super) mod kind {
    pub(crate) const BATCH: u8 = 0x01;
    pub(crate) const RPC: u8 = 0x03;
    pub(crate) const RESPONSE: u8 = 0x04;
    pub(crate) const ATTENTION: u8 = 0x06;
    pub(crate) const TRANSACTION: u8 = 0x0E;
    pub(crate) const LOGIN: u8 = 0x10;
    pub(crate) const PRELOGIN: u8 = 0x12;
}

pub(super) const HEADER_LENGTH: usize = 8;
/// What a connection begins with, before a size is negotiated.
pub(super) const PACKET_LENGTH_DEFAULT: usize = 4096;
/// No statement is longer; more is a fault of the client.
const MESSAGE_LENGTH_MAX: usize = 16 << 20;

/// A whole message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Bytes,
}

/// Puts messages together.
pub(super) struct MessageReader<R> {
    stream: R,
    received: BytesMut,
    body: BytesMut,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, received: BytesMut::new(), body: BytesMut::new() }
    }

    /// The next message; `None` when the client has gone. Cancel-safe: what has come stays in
    /// the buffers.
    pub(super) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            while let Some(message) = self.packet()? {
                if let Some(message) = message {
                    return Ok(Some(message));
                }
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Takes one packet out of what was received; the inner value is a message that it ends.
    fn packet(&mut self) -> io::Result<Option<Option<Message>>> {
        let Some([kind, status, high, low, ..]) = self.received.first_chunk::<HEADER_LENGTH>()
        else {
            return Ok(None);
        };
        let (kind, last) = (*kind, status & 1 == 1);
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length < HEADER_LENGTH || self.body.len() > MESSAGE_LENGTH_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "malformed TDS packet"));
        }
        if self.received.len() < length {
            return Ok(None);
        }
        let mut packet = self.received.split_to(length);
        packet.advance(HEADER_LENGTH);
        self.body.unsplit(packet);
        let message = last.then(|| Message { kind, body: self.body.split().freeze() });
        Ok(Some(message))
    }
}

/// Cuts a response into packets.
pub(super) struct Framer {
    length: usize,
    sequence: u8,
}

impl Framer {
    pub(super) fn new(length: usize) -> Self {
        Self { length, sequence: 0 }
    }

    /// Moves full packets from `payload` to `out`; at the message's `end` also the rest.
    pub(super) fn frame(&mut self, payload: &mut BytesMut, out: &mut BytesMut, end: bool) {
        let room = self.length - HEADER_LENGTH;
        out.reserve(payload.len() + (payload.len() / room + 1) * HEADER_LENGTH);
        while payload.len() > room || (end && !payload.is_empty()) {
            let part = payload.split_to(payload.len().min(room));
            let last = end && payload.is_empty();
            self.sequence = self.sequence.wrapping_add(1);
            let length = u16::try_from(part.len() + HEADER_LENGTH).unwrap_or(u16::MAX);
            out.put_u8(kind::RESPONSE);
            out.put_u8(u8::from(last));
            out.put_u16(length);
            out.put_u16(51);
            out.put_u8(self.sequence);
            out.put_u8(0);
            out.put_slice(&part);
        }
        if end {
            self.sequence = 0;
        }
    }
}
