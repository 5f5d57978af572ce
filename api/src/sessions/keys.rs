//! What is derived from the server's key.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::identity::{ACCESS_PREFIX, REFRESH_PREFIX, token_text};

/// HMAC-SHA-256 under the server's key.
pub(crate) struct Keys(Hmac<Sha256>);

/// The tokens of one generation.
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Keys {
    pub(super) fn new(key: &SecretSlice<u8>) -> Self {
        // HMAC takes keys of any length; the error is for MACs that do not.
        let mac = Hmac::new_from_slice(key.expose_secret());
        Self(mac.unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// The pair of a refresh token.
    pub(super) fn pair(&self, refresh: String) -> Pair {
        let access = token_text(ACCESS_PREFIX, &self.mac("access", &[refresh.as_bytes()]));
        Pair { access, refresh }
    }

    /// The pair that follows a refresh token. Whoever lacks the token, the salt or the key can't
    /// tell it.
    pub(super) fn successor(&self, refresh: &str, salt: &[u8]) -> Pair {
        let next = self.mac("refresh", &[refresh.as_bytes(), salt]);
        self.pair(token_text(REFRESH_PREFIX, &next))
    }

    /// What stands for a name or a number that somebody typed, where only its sameness matters.
    pub(super) fn identity(&self, kind: &str, typed: &str) -> [u8; 32] {
        self.mac("identity", &[kind.as_bytes(), typed.as_bytes()])
    }

    /// What is stored of a one-time code.
    pub(super) fn code(&self, identity: &[u8], code: &str) -> [u8; 32] {
        self.mac("code", &[identity, code.as_bytes()])
    }

    /// Every part with its length, so that no two lists of parts are the same text.
    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_needs_token_salt_and_key() {
        let keys = |key: &[u8]| Keys::new(&key.to_vec().into());
        let next = |key: &[u8], token, salt| keys(key).successor(token, salt).refresh;
        let one = next(b"k", "a", b"s");
        assert_eq!(one, next(b"k", "a", b"s"));
        for other in [next(b"l", "a", b"s"), next(b"k", "b", b"s"), next(b"k", "a", b"t")] {
            assert_ne!(one, other);
        }
        // Where one part ends and the next begins matters.
        assert_ne!(next(b"k", "ab", b"c"), next(b"k", "a", b"bc"));
        let pair = keys(b"k").pair(one.clone());
        assert!(pair.access.starts_with("fca_") && pair.access.len() == 4 + 43);
        assert!(one.starts_with("fcr_") && !pair.access.ends_with(one.trim_start_matches("fcr_")));
    }
}
