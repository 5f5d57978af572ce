//! A file comes in.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Query, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use target::Spool;
use tokio::time::timeout;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{ATTACHMENTS, Attachment, disposition, kind};
use crate::{
    Error,
    database::{self, Access, Work},
    domains::{
        caller::{Caller, Failure},
        contracts::CONTRACTS,
        idempotency::Key,
        record::Record as _,
        tx::{Trace, write_down},
        view::etag,
        write::Terms,
    },
    identity::Identity,
    language::Language,
    server::{App, CORRELATION_ID, refuse_announced},
};

/// A body of which nothing comes for so long is given up, and so is one that takes longer in all.
const SILENCE: Duration = Duration::from_secs(20);
const WHOLE: Duration = Duration::from_secs(900);

/// A file that is sent twice is kept once, under two names.
const TERMS: Terms = Terms { domain: "attachments", with: &[], key: Key::Optional };

const KINDS: [&str; 4] = ["contract", "annex", "handover_act", "other"];

/// What the query says of the file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::domains) struct Described {
    /// The file's name, in any script.
    #[param(min_length = 1, max_length = 255)]
    file_name: String,
    /// `contract`, `annex`, `handover_act` or `other`.
    #[serde(default = "other")]
    #[param(required = false, default = "other")]
    kind: String,
}

fn other() -> String {
    "other".to_owned()
}

impl FromRequestParts<App> for Described {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let language = Language::of(&parts.headers);
        let wrong = |field, reason: String| Failure(Error::Validation { field, reason }, language);
        let read = Query::<Self>::from_request_parts(parts, app).await;
        let Query(described) = read.map_err(|rejection| wrong("query", rejection.body_text()))?;
        if let Some(why) = disposition::fault(&described.file_name) {
            return Err(wrong("fileName", why.to_owned()));
        }
        if !KINDS.contains(&described.kind.as_str()) {
            return Err(wrong("kind", format!("must be one of {}", KINDS.join(", "))));
        }
        Ok(described)
    }
}

/// What was put.
struct Stored {
    address: String,
    size: i32,
    media_type: &'static str,
}

/// Looks whether the caller may, takes the file, then writes the rows.
pub(super) async fn upload(
    caller: Caller,
    contract: Uuid,
    described: Described,
    request: Request,
) -> Result<Response, Error> {
    let Caller { app, token, .. } = caller;
    let (parts, body) = request.into_parts();
    let bytes_max = usize::try_from(app.attachment_bytes_max).unwrap_or(usize::MAX);
    refuse_announced(&body, bytes_max)?;
    let media_type = media_type(&parts.headers)?;
    // Before a byte is read: whoever may not attach can't fill a disk either.
    database::transact(&app.pool, token, Access::Read, move |connection, identity| {
        Box::pin(async move { may_attach(connection, &identity, contract).await }) as Work<'_, ()>
    })
    .await?;
    let spooled = timeout(WHOLE, spool(body, media_type, app.attachment_bytes_max)).await;
    let spool = spooled
        .map_err(|_| Error::body(StatusCode::REQUEST_TIMEOUT, "did not arrive in time"))??;
    let size = i32::try_from(spool.size()).map_err(|_| Error::too_large())?;
    let objects = app.objects.as_ref().ok_or_else(|| {
        Error::Internal("objects.url is not set, so no file can be taken".to_owned())
    })?;
    let address = objects.put_spool(spool).await.map_err(of_store)?;
    let stored = Stored { address, size, media_type };
    let correlation_id = parts.headers.get(CORRELATION_ID).and_then(|id| id.to_str().ok());
    let correlation_id = correlation_id.unwrap_or_default().to_owned();
    let written =
        database::transact(&app.pool, token, Access::Write, move |connection, identity| {
            let row = Row { contract, described, stored, correlation_id };
            Box::pin(async move { row.write(connection, &identity).await }) as Work<'_, Attachment>
        });
    let attachment = written.await?;
    let place = HeaderValue::from_str(&format!("/v2/attachments/{}", attachment.id));
    let version = HeaderValue::from_str(&etag(attachment.version));
    let mut response = (StatusCode::CREATED, Json(attachment)).into_response();
    if let Ok(version) = version {
        response.headers_mut().insert(header::ETAG, version);
    }
    if let Ok(place) = place {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

fn media_type(headers: &HeaderMap) -> Result<&'static str, Error> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    text.and_then(kind::named).ok_or_else(|| {
        let reason = "must be PDF, PNG, JPEG, WebP, Word or Excel, and say so in Content-Type";
        Error::body(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
    })
}

/// New files are the staff's, as new contracts are. An owner's or a stranger's contract that is not
/// seen is not there.
async fn may_attach(
    connection: &mut PgConnection,
    identity: &Identity,
    contract: Uuid,
) -> Result<(), Error> {
    CONTRACTS.row(connection, contract).await?;
    if identity.is_owner() { Err(Error::Forbidden) } else { Ok(()) }
}

/// Takes the body piece by piece; the memory holds one.
async fn spool(body: Body, media_type: &str, bytes_max: u64) -> Result<Spool, Error> {
    let mut pieces = body.into_data_stream();
    let mut spool = Spool::new().await.map_err(of_store)?;
    let mut head = Vec::new();
    let mut is_told = false;
    loop {
        let next = timeout(SILENCE, pieces.next()).await;
        let next =
            next.map_err(|_| Error::body(StatusCode::REQUEST_TIMEOUT, "did not arrive in time"))?;
        let Some(piece) = next else { break };
        let piece = piece.map_err(|_| Error::body(StatusCode::BAD_REQUEST, "broke off"))?;
        let size = spool.size().saturating_add(piece.len().try_into().unwrap_or(u64::MAX));
        if size > bytes_max {
            return Err(Error::too_large());
        }
        if !is_told {
            head.extend(piece.iter().take(kind::TELLING_BYTES - head.len()));
            if head.len() >= kind::TELLING_BYTES {
                check(media_type, &head)?;
                is_told = true;
            }
        }
        spool.write(&piece).await.map_err(of_store)?;
    }
    if !is_told {
        check(media_type, &head)?;
    }
    Ok(spool)
}

fn check(media_type: &str, head: &[u8]) -> Result<(), Error> {
    if kind::is_borne_out(media_type, head) {
        return Ok(());
    }
    Err(Error::body(StatusCode::UNSUPPORTED_MEDIA_TYPE, "is not what its Content-Type says"))
}

/// The cause is logged and not told.
pub(super) fn of_store(error: target::Error) -> Error {
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    Error::Internal(format!("{error}: {cause}"))
}

/// What is written, in one transaction.
struct Row {
    contract: Uuid,
    described: Described,
    stored: Stored,
    correlation_id: String,
}

impl Row {
    async fn write(
        self,
        connection: &mut PgConnection,
        identity: &Identity,
    ) -> Result<Attachment, Error> {
        TERMS.hold(connection).await?;
        // Meanwhile it may have become another's, or nobody's.
        may_attach(connection, identity, self.contract).await?;
        let (file, id) = (Uuid::now_v7(), Uuid::now_v7());
        sqlx::query("insert into files (id, file_name, size) values ($1, $2, $3)")
            .bind(file)
            .bind(&self.described.file_name)
            .bind(self.stored.size)
            .execute(&mut *connection)
            .await?;
        sqlx::query("insert into file_objects (file_id, object, media_type) values ($1, $2, $3)")
            .bind(file)
            .bind(&self.stored.address)
            .bind(self.stored.media_type)
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "insert into contract_attachments (id, file_id, contract_id, kind, uploaded_by_id, uploaded_on) \
             values ($1, $2, $3, $4, $5, now())",
        )
        .bind(id)
        .bind(file)
        .bind(self.contract)
        .bind(&self.described.kind)
        .bind(identity.user_id)
        .execute(&mut *connection)
        .await?;
        self.write_down(connection, identity, id).await?;
        let row = ATTACHMENTS.row(connection, id).await?;
        Ok(Attachment::from_row(&row)?)
    }

    /// In the audit, and in the outbox for whoever acts on it.
    async fn write_down(
        &self,
        connection: &mut PgConnection,
        identity: &Identity,
        id: Uuid,
    ) -> Result<(), Error> {
        let after = [
            ("contractId", json!(self.contract)),
            ("fileName", json!(self.described.file_name)),
            ("kind", json!(self.described.kind)),
            ("size", json!(self.stored.size)),
            ("mediaType", json!(self.stored.media_type)),
            ("object", json!(self.stored.address)),
            ("version", json!(0)),
        ];
        let payload =
            [("id", json!(id)), ("contractId", json!(self.contract)), ("version", json!(0))];
        let named = |(name, value): (&str, Value)| (name.to_owned(), value);
        let trace = Trace {
            action: "create",
            entity: ATTACHMENTS.entity,
            id,
            before: None,
            after: Some(after.into_iter().map(named).collect()),
            topic: "attachment.created".to_owned(),
            payload: payload.into_iter().map(named).collect(),
        };
        write_down(connection, (identity, &self.correlation_id), trace).await
    }
}
