//! Tokens of a response.

use bytes::{BufMut, BytesMut};

use super::types;
use crate::legacy::sql::{ResultColumn, SqlError};

/// `DONE` flags.
pub(super) mod done {
    pub(crate) const MORE: u16 = 0x01;
    pub(crate) const ERROR: u16 = 0x02;
    pub(crate) const COUNT: u16 = 0x10;
    pub(crate) const ATTENTION: u16 = 0x20;
}

/// Which of the three a `DONE` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Batch,
    InProcedure,
    Procedure,
}

/// The server's name in messages.
const SERVER: &str = "ficus-sandbox";
const SERVER_VERSION: [u8; 4] = [16, 0, 0, 0];
/// The descriptor of every transaction: a connection has one at a time.
const TRANSACTION: [u8; 8] = 0x33_0000_0001_u64.to_le_bytes();

fn put_utf16(out: &mut BytesMut, text: &str) {
    text.encode_utf16().for_each(|unit| out.put_u16_le(unit));
}

/// A text with its length in one byte; longer ones are cut.
fn put_short_text(out: &mut BytesMut, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(255).collect();
    out.put_u8(u8::try_from(units.len()).unwrap_or(u8::MAX));
    units.into_iter().for_each(|unit| out.put_u16_le(unit));
}

fn put_token(out: &mut BytesMut, token: u8, body: &[u8]) {
    out.put_u8(token);
    out.put_u16_le(u16::try_from(body.len()).unwrap_or(u16::MAX));
    out.put_slice(body);
}

pub(super) fn done(out: &mut BytesMut, which: Done, flags: u16, rows: u64) {
    out.put_u8(match which {
        Done::Batch => 0xFD,
        Done::Procedure => 0xFE,
        Done::InProcedure => 0xFF,
    });
    out.put_u16_le(flags);
    out.put_u16_le(0xC1);
    out.put_u64_le(rows);
}

pub(super) fn return_status(out: &mut BytesMut, status: i32) {
    out.put_u8(0x79);
    out.put_i32_le(status);
}

/// An error, or with a class up to 10 an information.
pub(super) fn message(out: &mut BytesMut, error: &SqlError) {
    let text: String = error.message.chars().take(2_000).collect();
    let mut body = BytesMut::new();
    body.put_u32_le(error.number);
    body.put_u8(1);
    body.put_u8(error.class);
    body.put_u16_le(u16::try_from(text.encode_utf16().count()).unwrap_or(u16::MAX));
    put_utf16(&mut body, &text);
    put_short_text(&mut body, SERVER);
    put_short_text(&mut body, "");
    body.put_u32_le(1);
    put_token(out, if error.class > 10 { 0xAA } else { 0xAB }, &body);
}

fn put_change(out: &mut BytesMut, kind: u8, new: &str, old: &str) {
    let mut body = BytesMut::new();
    body.put_u8(kind);
    put_short_text(&mut body, new);
    put_short_text(&mut body, old);
    put_token(out, 0xE3, &body);
}

/// What follows an accepted login.
pub(super) fn login(out: &mut BytesMut, database: &str, collation: [u8; 5], packet: usize) {
    put_change(out, 1, database, "master");
    let changed = format!("Changed database context to '{database}'.");
    message(out, &SqlError::new(5701, 0, changed));
    let [a, b, c, d, e] = collation;
    put_token(out, 0xE3, &[7, 5, a, b, c, d, e, 0]);
    let mut body = BytesMut::new();
    body.put_u8(1);
    body.put_u32(0x7400_0004);
    put_short_text(&mut body, "ficus sandbox, not Microsoft SQL Server");
    body.put_slice(&SERVER_VERSION);
    put_token(out, 0xAD, &body);
    put_change(out, 4, &packet.to_string(), "4096");
    done(out, Done::Batch, 0, 0);
}

/// A transaction's begin or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionChange {
    Begin,
    Commit,
    RollBack,
}

pub(super) fn transaction(out: &mut BytesMut, change: TransactionChange) {
    let kind = match change {
        TransactionChange::Begin => 8,
        TransactionChange::Commit => 9,
        TransactionChange::RollBack => 10,
    };
    let mut body = BytesMut::new();
    body.put_u8(kind);
    if change == TransactionChange::Begin {
        body.put_u8(8);
        body.put_slice(&TRANSACTION);
        body.put_u8(0);
    } else {
        body.put_u8(0);
        body.put_u8(8);
        body.put_slice(&TRANSACTION);
    }
    put_token(out, 0xE3, &body);
}

pub(super) fn columns(out: &mut BytesMut, columns: &[ResultColumn]) {
    out.put_u8(0x81);
    out.put_u16_le(u16::try_from(columns.len()).unwrap_or(u16::MAX));
    for column in columns {
        out.put_u32_le(0);
        out.put_u16_le(8 | u16::from(column.nullable));
        types::put(out, &column.sql_type, column.collation.unwrap_or_default());
        put_short_text(out, &column.name);
    }
}

/// The server's side of a prelogin: version, encryption, instance, thread, MARS.
pub(super) fn prelogin(out: &mut BytesMut, encryption: u8) {
    let [a, b, c, d] = SERVER_VERSION;
    let options: [(u8, &[u8]); 5] =
        [(0, &[a, b, c, d, 0, 0]), (1, &[encryption]), (2, &[0]), (3, &[]), (4, &[0])];
    let mut offset = 26_u16;
    for (option, value) in options {
        let length = u16::try_from(value.len()).unwrap_or_default();
        out.put_u8(option);
        out.put_u16(offset);
        out.put_u16(length);
        offset += length;
    }
    out.put_u8(0xFF);
    options.iter().for_each(|(_, value)| out.put_slice(value));
}
