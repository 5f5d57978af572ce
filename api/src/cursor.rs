//! Opaque, signed cursors. A cursor says after which id a list goes on; it is bound to the
//! route and the caller, so that one can't be carried over to another list or person.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::Error;

/// Signs and reads cursors.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// With a key of any length; all processes of one API share it.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The cursor after `id` in `scope`.
    #[must_use]
    pub fn sign(&self, scope: &str, id: Uuid) -> String {
        let mut bytes = id.as_bytes().to_vec();
        bytes.extend_from_slice(&self.mac(scope, id));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The id in a cursor of ours for `scope`.
    ///
    /// # Errors
    /// [`Error::Validation`] for anything else.
    pub fn read(&self, scope: &str, cursor: &str) -> Result<Uuid, Error> {
        let (id, signature) = parts(cursor)?;
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(scope.as_bytes());
        mac.verify_truncated_left(&signature).map_err(|_| wrong())?;
        if signature.len() == 16 { Ok(id) } else { Err(wrong()) }
    }

    /// The first 16 bytes of the HMAC: 128 bits are plenty against guessing.
    fn mac(&self, scope: &str, id: Uuid) -> [u8; 16] {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(scope.as_bytes());
        let full = mac.finalize().into_bytes();
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(full) {
            *to = from;
        }
        half
    }
}

/// The id in a cursor, whoever made it.
pub(crate) fn unproved(cursor: &str) -> Result<Uuid, Error> {
    Ok(parts(cursor)?.0)
}

/// The id and the signature.
fn parts(cursor: &str) -> Result<(Uuid, Vec<u8>), Error> {
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    let signature = bytes.split_off(bytes.len().min(16));
    let id = Uuid::from_slice(&bytes).map_err(|_| wrong())?;
    Ok((id, signature))
}

fn wrong() -> Error {
    Error::Validation {
        field: "cursor",
        reason: "is not a cursor of this list; start again without one".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_list_and_caller_only() {
        let signer = Signer::new(b"secret");
        let id = Uuid::from_u128(42);
        let cursor = signer.sign("contracts/user-1", id);
        assert_eq!(signer.read("contracts/user-1", &cursor).expect("ours"), id);
        assert!(signer.read("contracts/user-2", &cursor).is_err());
        assert!(Signer::new(b"other").read("contracts/user-1", &cursor).is_err());
        for broken in ["", "AAAA", "%%%", cursor.get(1..).expect("ASCII"), &format!("{cursor}A")] {
            assert!(signer.read("contracts/user-1", broken).is_err(), "{broken}");
        }
    }
}
