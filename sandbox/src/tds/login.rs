//! `PRELOGIN` and `LOGIN7`.

use bytes::Bytes;

use super::types::take_text;

/// Encryption as both sides name it in `PRELOGIN`.
pub(super) mod encryption {
    pub(crate) const OFF: u8 = 0;
    pub(crate) const ON: u8 = 1;
    pub(crate) const NOT_SUPPORTED: u8 = 2;
    pub(crate) const REQUIRED: u8 = 3;
}

/// The encryption that the client asks for.
pub(super) fn asked_encryption(prelogin: &[u8]) -> Option<u8> {
    let mut options = prelogin;
    while let Some(([option, high, low, ..], rest)) = options.split_first_chunk::<5>() {
        if *option == 0xFF {
            break;
        }
        if *option == 1 {
            return prelogin.get(usize::from(u16::from_be_bytes([*high, *low]))).copied();
        }
        options = rest;
    }
    None
}

/// What a client logs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
    /// 0 leaves it to the server.
    pub(super) packet_length: u32,
}

const USER: usize = 1;
const PASSWORD: usize = 2;
const DATABASE: usize = 8;

impl Login {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let field = |index: usize| {
            let at = 36 + index * 4;
            let [a, b, c, d] = *body.get(at..)?.first_chunk::<4>()?;
            let start = usize::from(u16::from_le_bytes([a, b]));
            let length = usize::from(u16::from_le_bytes([c, d])) * 2;
            body.get(start..start + length).map(<[u8]>::to_vec)
        };
        let text = |bytes: Vec<u8>| {
            let units = bytes.len() / 2;
            take_text(&mut Bytes::from(bytes), units)
        };
        // Not encryption: each byte has its halves swapped and is then turned over with 0xA5.
        let plain = |byte: &u8| (byte ^ 0xA5).rotate_left(4);
        Some(Self {
            user: text(field(USER)?)?,
            password: text(field(PASSWORD)?.iter().map(plain).collect())?,
            database: text(field(DATABASE)?)?,
            packet_length: u32::from_le_bytes(*body.get(8..)?.first_chunk()?),
        })
    }
}
