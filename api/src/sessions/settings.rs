//! What an operator may set.

use std::time::Duration;

use secrecy::SecretSlice;

use super::password::Scheme;
use crate::identity::Cookies;

/// `SameSite` of the session's cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Sent when somebody follows a link to us.
    Lax,
    /// Sent by our own pages only.
    Strict,
}

/// How sessions begin, go on and end.
#[derive(Clone)]
pub struct Settings {
    /// Derives successors of refresh tokens and hashes codes; all processes share it. Whoever has
    /// it and a copy of the database still needs a token to make another one.
    pub key: SecretSlice<u8>,
    /// How long an access token lives.
    pub access_life: Duration,
    /// How long a session lives without being refreshed.
    pub idle_life: Duration,
    /// How long a session lives at most.
    pub session_life: Duration,
    /// How long the refresh token before the current one still gets the same successor.
    pub refresh_grace: Duration,
    /// How long a one-time code is good.
    pub code_life: Duration,
    /// How often a code may be tried.
    pub code_attempts_max: u16,
    /// How many failures in a row lock a name out.
    pub failures_max: u16,
    /// For how long.
    pub lockout: Duration,
    /// How many passwords are hashed at the same time.
    pub hash_parallel: usize,
    /// Which of XAF's formats are taken.
    pub legacy_hashes: Vec<Scheme>,
    /// Names of roles whose users are staff, beside those that may do everything.
    pub staff_roles: Vec<String>,
    /// The country's telephone code, digits only.
    pub phone_country: String,
    /// Whether cookies are for TLS only.
    pub cookie_secure: bool,
    /// `SameSite` of the session's cookie.
    pub cookie_same_site: SameSite,
    /// Origins whose pages may write with a cookie, beside the one that the request came to.
    pub origins: Vec<String>,
}

impl Settings {
    /// The defaults of `ficus config show`, with a key.
    #[must_use]
    pub fn with_key(key: Vec<u8>) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            key: key.into(),
            access_life: 15 * MINUTE,
            idle_life: 14 * DAY,
            session_life: 90 * DAY,
            refresh_grace: Duration::from_secs(30),
            code_life: 5 * MINUTE,
            code_attempts_max: 5,
            failures_max: 10,
            lockout: 15 * MINUTE,
            hash_parallel: 2,
            legacy_hashes: vec![Scheme::Sha1Rounds20k],
            staff_roles: Vec::new(),
            phone_country: "976".to_owned(),
            cookie_secure: true,
            cookie_same_site: SameSite::Lax,
            origins: Vec::new(),
        }
    }

    pub(crate) fn cookies(&self) -> Cookies {
        let same_site = match self.cookie_same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
        };
        Cookies { secure: self.cookie_secure, same_site }
    }

    /// As Postgres compares them.
    pub(super) fn staff_roles_lower(&self) -> Vec<String> {
        self.staff_roles.iter().map(|name| name.to_lowercase()).collect()
    }
}

/// For an interval in SQL; bounds were checked where the setting was read.
pub(super) fn microseconds(life: Duration) -> i64 {
    i64::try_from(life.as_micros()).unwrap_or(i64::MAX)
}
