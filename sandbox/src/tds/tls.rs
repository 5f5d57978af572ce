//! TLS as TDS 7.4 does it: the handshake travels inside `PRELOGIN` packets, all that follows
//! is plain TLS around TDS.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer, version::TLS12},
    server::TlsStream,
};

use super::packet::{HEADER_LENGTH, kind};

/// A new key and a certificate that it signs itself. TLS 1.2 only: a 1.3 server sends session
/// tickets after the handshake, which a client would look for inside packets.
pub(super) fn acceptor() -> io::Result<TlsAcceptor> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Does the handshake.
pub(super) async fn accept(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> io::Result<TlsStream<Wrapped>> {
    let mut stream = acceptor.accept(Wrapped::new(stream)).await?;
    stream.get_mut().0.handshake = false;
    Ok(stream)
}

/// Puts packets around the handshake's bytes.
pub(super) struct Wrapped {
    stream: TcpStream,
    handshake: bool,
    /// The packet's header as far as it has come.
    header: BytesMut,
    /// Bytes of the packet that are still to come.
    missing: usize,
    /// Bytes that are still to be written.
    unsent: BytesMut,
}

impl Wrapped {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            handshake: true,
            header: BytesMut::new(),
            missing: 0,
            unsent: BytesMut::new(),
        }
    }

    fn poll_header(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.missing == 0 {
            let mut byte = [0; 1];
            let mut buffer = ReadBuf::new(&mut byte);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.header.put_slice(buffer.filled());
            if let Some([_, _, high, low, ..]) = self.header.first_chunk::<HEADER_LENGTH>() {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                self.missing = length.saturating_sub(HEADER_LENGTH);
                self.header.clear();
            }
        }
        Poll::Ready(Ok(true))
    }

    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.handshake {
            return Pin::new(&mut self.stream).poll_read(context, out);
        }
        if !ready!(self.poll_header(context))? {
            return Poll::Ready(Ok(()));
        }
        let mut chunk = [0; 2048];
        let room = out.remaining().min(self.missing).min(chunk.len());
        let mut part = ReadBuf::new(chunk.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        self.missing -= part.filled().len();
        out.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.handshake {
            ready!(self.poll_unsent(context))?;
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        ready!(self.poll_unsent(context))?;
        let part = bytes.get(..bytes.len().min(4_000)).unwrap_or(bytes);
        let length = u16::try_from(part.len() + HEADER_LENGTH).unwrap_or(u16::MAX);
        self.unsent.put_slice(&[kind::PRELOGIN, 1]);
        self.unsent.put_u16(length);
        self.unsent.put_slice(&[0, 0, 1, 0]);
        self.unsent.put_slice(part);
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
