//! What a client gets: tokens in cookies or in the body, never in both.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Settings, keys::Pair};

/// Where a client keeps its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// In cookies, which no script can read.
    Web,
    /// By itself; it sends them as `Authorization: Bearer`.
    Mobile,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Mobile => "mobile",
        }
    }
}

/// Who somebody is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) role: String,
    pub(super) owner_id: Option<Uuid>,
}

/// A session as it stands after signing in or refreshing.
pub(super) struct Grant {
    pub(super) user_id: Uuid,
    pub(super) standing: Standing,
    pub(super) pair: Pair,
    pub(super) access_life: Duration,
    pub(super) refresh_life: Duration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedIn {
    user_id: Uuid,
    role: String,
    owner_id: Option<Uuid>,
    /// Seconds.
    expires_in: u64,
    /// Seconds.
    refresh_expires_in: u64,
    #[serde(flatten)]
    tokens: Option<Tokens>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    token_type: &'static str,
    access_token: String,
    refresh_token: String,
}

impl Grant {
    pub(super) fn respond(self, kind: Kind, settings: &Settings) -> Response {
        let Pair { access, refresh } = self.pair;
        let cookies = (kind == Kind::Web).then(|| {
            settings.cookies().set((&access, self.access_life), (&refresh, self.refresh_life))
        });
        let tokens = match kind {
            Kind::Web => None,
            Kind::Mobile => {
                Some(Tokens { token_type: "Bearer", access_token: access, refresh_token: refresh })
            }
        };
        let body = SignedIn {
            user_id: self.user_id,
            role: self.standing.role,
            owner_id: self.standing.owner_id,
            expires_in: self.access_life.as_secs(),
            refresh_expires_in: self.refresh_life.as_secs(),
            tokens,
        };
        let mut response = Json(body).into_response();
        append(response.headers_mut(), cookies.into_iter().flatten());
        response
    }
}

/// 204, and the cookies are gone.
pub(super) fn signed_out(settings: &Settings) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    append(response.headers_mut(), settings.cookies().clear().into_iter());
    response
}

fn append(headers: &mut HeaderMap, cookies: impl Iterator<Item = String>) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for value in cookies.filter_map(|cookie| HeaderValue::try_from(cookie).ok()) {
        headers.append(header::SET_COOKIE, value);
    }
}
