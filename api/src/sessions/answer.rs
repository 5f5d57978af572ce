//! What a client gets: tokens in cookies or in the body, never in both.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Settings, keys::Pair};

/// Where a client keeps its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(as = SessionKind)]
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

/// Signed in. The tokens are here for mobile, and in cookies for web.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedIn {
    user_id: Uuid,
    /// `staff` or `owner`.
    role: String,
    /// The property owner that the user is.
    owner_id: Option<Uuid>,
    /// Seconds that the access token lives.
    expires_in: u64,
    /// Seconds that the refresh token lives.
    refresh_expires_in: u64,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<String>,
}

impl Grant {
    pub(super) fn respond(self, kind: Kind, settings: &Settings) -> Response {
        let Pair { access, refresh } = self.pair;
        let cookies = (kind == Kind::Web).then(|| {
            settings.cookies().set((&access, self.access_life), (&refresh, self.refresh_life))
        });
        let is_mobile = kind == Kind::Mobile;
        let body = SignedIn {
            user_id: self.user_id,
            role: self.standing.role,
            owner_id: self.standing.owner_id,
            expires_in: self.access_life.as_secs(),
            refresh_expires_in: self.refresh_life.as_secs(),
            token_type: is_mobile.then_some("Bearer"),
            access_token: is_mobile.then_some(access),
            refresh_token: is_mobile.then_some(refresh),
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
