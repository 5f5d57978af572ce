//! How sessions begin, go on and end.
//!
//! A session is a family: one access token that lives for minutes, and refresh tokens of which
//! each is good once. Web and mobile differ in one thing only, where the tokens travel: in
//! cookies that no script can read, or in the body and `Authorization`.
//!
//! **Refresh.** A refresh token names the next one together with a salt and the server's key, so
//! that two requests with the same token, or one that is sent again because the answer was lost,
//! get the same successor although only hashes are stored. That holds for the token just before
//! the current one and for a short time; any other token of the family that comes back was
//! copied, and the family ends ([`refresh`]).
//!
//! **Passwords.** `users` belongs to the legacy system until its domain is cut over, and is never
//! written here. A password is verified by XAF's hash once, and by argon2id from then on, while
//! XAF's hash is still the one that it was verified by ([`password`]).
//!
//! **Strangers** learn nothing: an unknown name costs the same work, is counted, locked and
//! limited as a known one, and gets the same answer ([`sign_in`], [`code`]).

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use self::{hasher::Hasher, keys::Keys};
use crate::server::App;

mod answer;
mod audit;
mod body;
mod code;
pub(crate) mod csrf;
mod devices;
mod hasher;
mod keys;
mod open;
pub mod password;
mod refresh;
mod settings;
mod sign_in;
mod sign_out;
mod sweep;

pub use settings::{SameSite, Settings};
pub(crate) use sweep::sweep;

/// The domain that is ours from the first day, whatever is cut over.
pub const DOMAIN: &str = "sessions";

/// What the handlers of this room share.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    keys: Keys,
    hasher: Hasher,
}

impl Sessions {
    pub(crate) fn new(settings: Settings) -> Self {
        let keys = Keys::new(&settings.key);
        let hasher = Hasher::new(settings.hash_parallel, settings.legacy_hashes.clone());
        Self(Arc::new(Shared { settings, keys, hasher }))
    }
}

impl std::ops::Deref for Sessions {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The routes of this room.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in::by_password))
        .routes(routes!(code::send))
        .routes(routes!(code::sign_in))
        .routes(routes!(refresh::refresh))
        .routes(routes!(sign_out::sign_out))
        .routes(routes!(sign_out::current))
        .routes(routes!(devices::register))
        .routes(routes!(devices::remove))
}
