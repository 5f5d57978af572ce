//! One connection: prelogin, login, then requests one after the other.
//!
//! A result is written as fast as the client takes it: rows are encoded into a buffer of some
//! tens of kilobytes, and the next ones only after it has been sent. While a result is sent
//! the client is listened to, so an attention stops it between two rows.

mod sending;
mod transaction;

use std::{io, sync::Arc};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Faults, Options, Tls,
    login::{Login, asked_encryption, encryption},
    packet::{Framer, Message, MessageReader, PACKET_LENGTH_DEFAULT, kind},
    request::{self, Request},
    tls,
    token::{self, Done, TransactionChange, done},
};
use crate::legacy::{
    Database,
    sql::{self, Cursor, Outcome, Session, SqlError},
};

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) options: Options,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) faults: Faults,
}

/// Bytes of a response that are put together before they are sent.
const BUFFER_LENGTH: usize = 32 * 1024;

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Serves a client until it goes.
pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(Message { kind: kind::PRELOGIN, body }) =
        MessageReader::new(&mut stream).next().await?
    else {
        return Err(invalid("no prelogin"));
    };
    let asked = asked_encryption(&body).unwrap_or(encryption::NOT_SUPPORTED);
    let plain = asked == encryption::NOT_SUPPORTED;
    let (answer, acceptor) = match (&shared.acceptor, shared.options.tls) {
        (Some(acceptor), Tls::Optional) if !plain => {
            // Encrypting the login alone is not simulated: all is encrypted then.
            let off = asked == encryption::OFF;
            (if off { encryption::REQUIRED } else { encryption::ON }, Some(acceptor))
        }
        (Some(acceptor), Tls::Required) => (encryption::REQUIRED, Some(acceptor)),
        _ => (encryption::NOT_SUPPORTED, None),
    };
    let (mut payload, mut frames) = (BytesMut::new(), BytesMut::new());
    token::prelogin(&mut payload, answer);
    Framer::new(PACKET_LENGTH_DEFAULT).frame(&mut payload, &mut frames, true);
    stream.write_all(&frames).await?;
    match acceptor {
        Some(_) if plain => Ok(()),
        Some(acceptor) => {
            let stream = tls::accept(acceptor, stream).await?;
            Connection::new(stream, shared).run().await
        }
        None => Connection::new(stream, shared).run().await,
    }
}

struct Connection<S> {
    shared: Arc<Shared>,
    session: Session,
    reader: MessageReader<ReadHalf<S>>,
    writer: WriteHalf<S>,
    framer: Framer,
    /// Tokens that are not yet in packets.
    payload: BytesMut,
    /// Packets that are not yet sent.
    frames: BytesMut,
    /// A request that came while the last one was answered.
    waiting: Option<Message>,
    /// The client wants no more of the current answer.
    attention: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(stream: S, shared: Arc<Shared>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            session: Session::new(shared.database.clone()),
            shared,
            reader: MessageReader::new(reader),
            writer,
            framer: Framer::new(PACKET_LENGTH_DEFAULT),
            payload: BytesMut::with_capacity(BUFFER_LENGTH * 2),
            frames: BytesMut::with_capacity(BUFFER_LENGTH * 2),
            waiting: None,
            attention: false,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        let Some(Message { kind: kind::LOGIN, body }) = self.reader.next().await? else {
            return Err(invalid("no login"));
        };
        let login = Login::parse(&body).ok_or_else(|| invalid("malformed login"))?;
        if let Err(refusal) = self.check(&login) {
            token::message(&mut self.payload, &refusal);
            token::done(&mut self.payload, Done::Batch, done::ERROR, 0);
            self.send(true).await?;
            return self.writer.shutdown().await;
        }
        let asked = usize::try_from(login.packet_length).unwrap_or_default();
        let length = if asked == 0 { PACKET_LENGTH_DEFAULT } else { asked.clamp(512, 32_767) };
        let wire = self.shared.database.inner().collation.wire;
        token::login(&mut self.payload, self.shared.database.name(), wire, length);
        self.send(true).await?;
        self.framer = Framer::new(length);
        while let Some(message) = self.next_message().await? {
            self.attention = false;
            self.answer(message).await?;
            let stopped = self.attention;
            if stopped {
                token::done(&mut self.payload, Done::Batch, done::ATTENTION, 0);
            }
            self.send(true).await?;
            if self.attention && !stopped {
                // It came when all was said: it is answered on its own.
                token::done(&mut self.payload, Done::Batch, done::ATTENTION, 0);
                self.send(true).await?;
            }
        }
        Ok(())
    }

    async fn next_message(&mut self) -> io::Result<Option<Message>> {
        match self.waiting.take() {
            Some(message) => Ok(Some(message)),
            None => self.reader.next().await,
        }
    }

    fn check(&self, login: &Login) -> Result<(), SqlError> {
        let Options { login: user, password, .. } = &self.shared.options;
        let (name, asked) = (self.shared.database.name(), &login.database);
        if !login.user.eq_ignore_ascii_case(user) || login.password != *password {
            let message = format!("Login failed for user '{}'.", login.user);
            return Err(SqlError::new(18456, 14, message));
        }
        if !asked.is_empty() && asked.to_lowercase() != name.to_lowercase() {
            let message = format!(
                "Cannot open database \"{asked}\" requested by the login. The login failed."
            );
            return Err(SqlError::new(4060, 11, message));
        }
        Ok(())
    }

    async fn answer(&mut self, message: Message) -> io::Result<()> {
        let request = match message.kind {
            kind::BATCH => request::batch(message.body),
            kind::RPC => request::procedure_call(message.body),
            kind::TRANSACTION => {
                self.answer_transaction(request::transaction(message.body));
                return Ok(());
            }
            kind::ATTENTION => {
                self.attention = true;
                return Ok(());
            }
            _ => return Err(invalid("unknown message")),
        };
        let last = if message.kind == kind::RPC { Done::Procedure } else { Done::Batch };
        let (error, rows) = match request {
            Ok(request) => self.execute(&request).await?,
            Err(error) => (Some(error), None),
        };
        if self.attention {
            return Ok(());
        }
        let mut flags = 0;
        if let Some(error) = &error {
            self.put_error(error);
            flags = done::ERROR;
        }
        if last == Done::Procedure {
            token::return_status(&mut self.payload, i32::from(error.is_some()));
        } else if let Some(rows) = rows
            && error.is_none()
        {
            token::done(&mut self.payload, last, done::COUNT, rows);
            return Ok(());
        }
        token::done(&mut self.payload, last, flags, 0);
        Ok(())
    }

    /// An error's token; a deadlock also ends the transaction.
    fn put_error(&mut self, error: &SqlError) {
        tracing::debug!(error.number, error.message, "legacy statement refused");
        token::message(&mut self.payload, error);
        if error.number == 1205 && self.session.in_transaction() {
            self.session.roll_back();
            token::transaction(&mut self.payload, TransactionChange::RollBack);
        }
    }

    /// Runs the statements. What is left for the caller: an error, and the last statement's
    /// number of rows where a batch ends with a count.
    async fn execute(&mut self, request: &Request) -> io::Result<(Option<SqlError>, Option<u64>)> {
        let statements = match sql::parse(&request.text) {
            Ok(statements) => statements,
            Err(error) => return Ok((Some(error), None)),
        };
        let count = statements.len();
        for (index, statement) in statements.iter().enumerate() {
            let setting = matches!(statement, sqlparser::ast::Statement::Set(_));
            if !setting && let Some(number) = self.shared.faults.take_error() {
                return Ok((Some(SqlError::injected(number)), None));
            }
            if let Some(number) = self.shared.faults.failing(&request.text) {
                return Ok((Some(SqlError::injected(number)), None));
            }
            let mut is_range = false;
            let rows = match sql::run(&mut self.session, statement, &request.parameters) {
                Ok(Outcome::Done) => None,
                Ok(Outcome::Count(rows)) => Some(rows),
                Ok(Outcome::Rows(cursor)) => {
                    let range = cursor.range_left();
                    is_range = range.is_some();
                    if let Some(asked) = range {
                        self.shared.faults.count_range();
                        if let Some(delay) = self.shared.faults.stall(&request.text, asked) {
                            self.pause(delay).await?;
                        }
                    }
                    let losing = self.shared.faults.take_losing(&request.text);
                    match self.send_rows(*cursor, losing).await? {
                        Ok(rows) => Some(rows),
                        Err(error) => return Ok((Some(error), None)),
                    }
                }
                Err(error) => return Ok((Some(error), None)),
            };
            if self.attention {
                return Ok((None, None));
            }
            if is_range && let Some(number) = self.shared.faults.take_after_done() {
                let which = if request.procedure { Done::InProcedure } else { Done::Batch };
                token::done(&mut self.payload, which, done::MORE, 0);
                return Ok((Some(SqlError::injected(number)), None));
            }
            self.session.last_count = rows.unwrap_or_default();
            let rows = rows.filter(|_| !self.session.nocount);
            if index + 1 == count && !request.procedure {
                return Ok((None, rows));
            }
            let which = if request.procedure { Done::InProcedure } else { Done::Batch };
            let flags = done::MORE | if rows.is_some() { done::COUNT } else { 0 };
            token::done(&mut self.payload, which, flags, rows.unwrap_or(0));
        }
        Ok((None, None))
    }

    /// Sends a result as the client takes it, without its first row when that is to be lost. Returns the
    /// number of rows, or what broke it off.
    async fn send_rows(
        &mut self,
        mut cursor: Cursor,
        losing: bool,
    ) -> io::Result<Result<u64, SqlError>> {
        let range = cursor.range_left();
        token::columns(&mut self.payload, &cursor.columns);
        let mut sent = 0;
        loop {
            if range.is_some()
                && let Some(number) = self.shared.faults.take_late(sent)
            {
                return Ok(Err(SqlError::injected(number)));
            }
            if self.shared.faults.take_close(sent) {
                self.send(false).await?;
                self.writer.shutdown().await?;
                return Err(invalid("closed by an injected fault"));
            }
            let delay = self.shared.faults.delay();
            if let Some(delay) = delay {
                self.send(false).await?;
                self.pause(delay).await?;
            }
            let before = self.payload.len();
            if self.attention || !cursor.write_next(&mut self.payload) {
                return Ok(Ok(sent));
            }
            let lost = range.is_some() && self.shared.faults.take_loss(sent);
            if lost || (losing && sent == 0) {
                self.payload.truncate(before);
            }
            sent += 1;
            if self.payload.len() >= BUFFER_LENGTH {
                self.send(false).await?;
            }
        }
    }
}
