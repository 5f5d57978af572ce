//! XAF's stored passwords, and ours.
//!
//! What XAF stores is not documented to the byte, so the formats that are taken are a setting.
//! From 17.1 to 25.2: base64 of a zero byte, 16 bytes of salt and 32 bytes of PBKDF2-HMAC-SHA-1
//! with 20,000 rounds. From 26.1: SHA-512 with 600,000 rounds; the same layout is *assumed*.
//! Before 17.1: the salt, `*`, and base64 of SHA-512 of salt and password. A value in no such
//! form is compared with nothing: old versions of XAF took it for the password itself, so it is
//! as good as known. An empty value is XAF's user without a password, who is never let in.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::Sha1;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq as _;

/// Of PBKDF2, in bytes.
const SALT_BYTES: usize = 16;
/// Of PBKDF2, in bytes.
const KEY_BYTES: usize = 32;

/// A format of XAF's stored passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// PBKDF2-HMAC-SHA-1, 20,000 rounds.
    Sha1Rounds20k,
    /// PBKDF2-HMAC-SHA-512, 600,000 rounds.
    Sha512Rounds600k,
    /// One round of salted SHA-512.
    SaltedSha512,
}

impl Scheme {
    /// All of them, by the name that the configuration has for each.
    pub const ALL: [(&'static str, Self); 3] = [
        ("pbkdf2-sha1-20000", Self::Sha1Rounds20k),
        ("pbkdf2-sha512-600000", Self::Sha512Rounds600k),
        ("salted-sha512", Self::SaltedSha512),
    ];

    /// Whether the password is the stored one. Without a value of this format the work is done
    /// all the same, so that the time tells nothing.
    fn verify(self, stored: Option<&str>, password: &str) -> bool {
        match self {
            Self::Sha1Rounds20k => pbkdf2::<Sha1>(stored, password, 20_000),
            Self::Sha512Rounds600k => pbkdf2::<Sha512>(stored, password, 600_000),
            Self::SaltedSha512 => salted(stored, password),
        }
    }
}

fn pbkdf2<D: pbkdf2::hmac::EagerHash>(stored: Option<&str>, password: &str, rounds: u32) -> bool {
    let parsed = stored.and_then(|text| STANDARD.decode(text.trim_end()).ok());
    let parsed = parsed.and_then(|bytes| {
        let ([0], rest) = bytes.split_at_checked(1)? else { return None };
        let (salt, key) = rest.split_at_checked(SALT_BYTES)?;
        Some((salt.to_vec(), <[u8; KEY_BYTES]>::try_from(key).ok()?))
    });
    let is_there = parsed.is_some();
    let (salt, expected) = parsed.unwrap_or_else(|| (vec![0; SALT_BYTES], [0; KEY_BYTES]));
    let mut key = [0; KEY_BYTES];
    pbkdf2::pbkdf2_hmac::<D>(password.as_bytes(), &salt, rounds, &mut key);
    bool::from(key.ct_eq(&expected)) & is_there
}

fn salted(stored: Option<&str>, password: &str) -> bool {
    let parsed = stored.and_then(|text| text.trim_end().split_once('*'));
    let parsed = parsed.and_then(|(salt, sum)| Some((salt, STANDARD.decode(sum).ok()?)));
    let (salt, expected) = parsed.unwrap_or_default();
    let sum = Sha512::new().chain_update(salt).chain_update(password).finalize();
    // Without a value nothing is expected, and a sum is never empty.
    sum.as_slice().ct_eq(&expected).into()
}

/// What is known of a user's password.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    /// As the legacy system stored it.
    pub(super) legacy: Option<String>,
    /// Ours, if it was made from the legacy one that is there now.
    pub(super) own: Option<String>,
}

/// What a password turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another one, or none is stored.
    Wrong,
    /// The right one.
    Right,
    /// The right one by the legacy hash, and ours for the next time.
    Rehashed(String),
}

/// Verifies a password. The work is the same whatever is stored: every legacy format once, and
/// argon2id once. It takes tens of milliseconds of a core, so not on a thread that serves.
pub(super) fn verify(schemes: &[Scheme], stored: &Stored, password: &str) -> Verdict {
    let legacy = stored.legacy.as_deref().filter(|text| stored.own.is_none() && !text.is_empty());
    let is_legacy =
        schemes.iter().fold(false, |right, scheme| right | scheme.verify(legacy, password));
    let own = stored.own.as_deref().and_then(|text| PasswordHash::new(text).ok());
    let argon2 = Argon2::default();
    match own {
        Some(own) if argon2.verify_password(password.as_bytes(), &own).is_ok() => Verdict::Right,
        Some(_) => Verdict::Wrong,
        // As much work as verifying; what nobody asked for is thrown away.
        None => match argon2.hash_password(password.as_bytes()) {
            Ok(hash) if is_legacy => Verdict::Rehashed(hash.to_string()),
            // The system has no randomness: he may come in, and is hashed another time.
            Err(_) if is_legacy => Verdict::Right,
            Ok(_) | Err(_) => Verdict::Wrong,
        },
    }
}

#[cfg(test)]
mod tests;
