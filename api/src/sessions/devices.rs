//! `/v2/devices`: where push messages go.
//!
//! A device belongs to the session that registered it and goes with it. A token that another
//! user registered before changed hands with its device, and is the caller's from now on.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{Asked, Failure};
use crate::{
    Error,
    database::{self, Access},
    identity::Token,
    language::Language,
    reference,
    server::App,
};

/// Tokens of Firebase have some 160 characters; the bound is the table's.
const TOKEN_CHARACTERS_MAX: usize = 4096;

/// What a device runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Platform {
    Android,
    Ios,
    Web,
}

impl Platform {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Web => "web",
        }
    }
}

/// A device that wants messages.
#[derive(Deserialize, ToSchema)]
#[schema(as = DeviceRegistration)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// Firebase's token, spelled as the clients do.
    #[schema(min_length = 1, max_length = 4096, pattern = "^[!-~]+$")]
    fcm_token: String,
    platform: Platform,
}

/// A device that gets messages, until its session ends.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Device {
    id: Uuid,
    platform: Platform,
}

/// Registers a device for push messages; the same token again is the same device.
#[utoipa::path(post, path = "/v2/devices", tag = "sessions",
    request_body = Registration, responses((status = 201, body = Device)))]
pub(super) async fn register(asked: Asked<Registration>) -> Result<Response, Failure> {
    let Asked { app, from, headers, body } = asked;
    let token = Token::of(&headers).map_err(|error| from.failure(error))?;
    let device = put(&app, token, body).await.map_err(|error| from.failure(error))?;
    let place = format!("/v2/devices/{}", device.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(device)).into_response())
}

async fn put(app: &App, token: Token, body: Registration) -> Result<Device, Error> {
    let Registration { fcm_token, platform } = body;
    let is_fine = (1..=TOKEN_CHARACTERS_MAX).contains(&fcm_token.len())
        && fcm_token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_fine {
        let reason = format!("must have 1 to {TOKEN_CHARACTERS_MAX} printable ASCII characters");
        return Err(Error::Validation { field: "fcm_token", reason });
    }
    database::transact(&app.pool, token, Access::Write, move |connection, _| {
        Box::pin(async move {
            let row = sqlx::query(
                "select device.id from access.register_device($1, $2, $3, \
                   (select id from sessions where $4 in (token_hash, previous_token_hash))) as device",
            )
            .bind(Uuid::now_v7())
            .bind(&fcm_token)
            .bind(platform.as_str())
            .bind(token.as_hash())
            .fetch_one(connection)
            .await?;
            Ok(Device { id: row.try_get("id")?, platform })
        })
    })
    .await
}

/// Takes a device of the caller's away.
#[utoipa::path(delete, path = "/v2/devices/{id}", tag = "sessions",
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub(super) async fn remove(
    State(app): State<App>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = path.map_or_else(|_| String::new(), |Path(id)| id);
    let removed = take_away(&app, &headers, &id).await;
    removed.map_err(|error| Failure(error, Language::of(&headers)))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn take_away(app: &App, headers: &HeaderMap, id: &str) -> Result<(), Error> {
    let token = Token::of(headers)?;
    let id = reference::parse_id(id)?;
    database::transact(&app.pool, token, Access::Write, move |connection, _| {
        Box::pin(async move {
            let removed = sqlx::query("delete from devices where id = $1").bind(id);
            let rows = removed.execute(connection).await?.rows_affected();
            if rows == 0 { Err(Error::NotFound) } else { Ok(()) }
        })
    })
    .await
}
