//! A file goes out.

use std::ops::Range;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream::try_unfold;
use sqlx::{PgConnection, PgPool, Row as _};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{disposition, kind, upload::of_store};
use crate::{
    Error,
    database::{self, Access, Work},
    domains::{caller::Caller, view::etag},
    identity::Token,
};

/// What is read of a file in Postgres at a time, in a transaction of its own: no connection is held
/// while a slow client reads.
const SLICE_BYTES: u64 = 2 * 1024 * 1024;

/// The header of a partial download.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is read from the request itself")]
pub(super) struct RangeHeader {
    /// `bytes=0-1023`: one range; others are answered with the whole file.
    #[param(rename = "Range", nullable = false)]
    range: Option<String>,
}

/// Where a file is, as the caller's session sees it.
struct Found {
    file: Uuid,
    name: String,
    media_type: &'static str,
    version: i32,
    size: u64,
    object: Option<String>,
}

/// The response, streamed.
pub(super) async fn content(
    caller: Caller,
    id: Uuid,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let Caller { app, token, .. } = caller;
    let found = database::transact(&app.pool, token, Access::Read, move |connection, _| {
        Box::pin(async move { find(connection, id).await }) as Work<'_, Found>
    })
    .await?;
    let tag = HeaderValue::from_str(&etag(found.version)).ok();
    let wanted = wanted(headers, tag.as_ref(), found.size);
    let range = wanted.clone().unwrap_or(0..found.size);
    let body = match &found.object {
        Some(address) => {
            let objects = app.objects.as_ref().ok_or_else(|| {
                Error::Internal("objects.url is not set, so no file can be read".to_owned())
            })?;
            Body::from_stream(objects.read(address, range.clone()).await.map_err(of_store)?)
        }
        None => Body::from_stream(slices(app.pool.clone(), token, &found, range.clone())),
    };
    let mut response = body.into_response();
    let head = response.headers_mut();
    let number = |number: u64| HeaderValue::from(number);
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(found.media_type));
    head.insert(header::CONTENT_LENGTH, number(range.end.saturating_sub(range.start)));
    head.insert(header::CONTENT_DISPOSITION, disposition::attachment(&found.name));
    head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    // Whatever is in it, no browser runs it in our name.
    head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    head.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    if let Some(tag) = tag {
        head.insert(header::ETAG, tag);
    }
    if wanted.is_some() {
        let told = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), found.size);
        if let Ok(told) = HeaderValue::from_str(&told) {
            head.insert(header::CONTENT_RANGE, told);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Found, Error> {
    let row = sqlx::query(
        "select file.id, coalesce(file.file_name, '') as name, file.version, \
           stored.object, stored.media_type, \
           case when stored.object is null then octet_length(file.content) else file.size end::int8 as size \
         from contract_attachments as attachment join files as file on file.id = attachment.file_id \
         left join file_objects as stored on stored.file_id = file.id \
         where attachment.id = $1 and attachment.deleted_at is null and file.deleted_at is null",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound)?;
    // A row whose file was never there (NULL in the legacy system, too).
    let size: Option<i64> = row.try_get("size")?;
    let size = size.and_then(|size| u64::try_from(size).ok()).ok_or(Error::NotFound)?;
    let media_type: Option<String> = row.try_get("media_type")?;
    Ok(Found {
        file: row.try_get("id")?,
        name: row.try_get("name")?,
        media_type: media_type
            .as_deref()
            .and_then(kind::named)
            .unwrap_or("application/octet-stream"),
        version: row.try_get("version")?,
        size,
        object: row.try_get("object")?,
    })
}

/// A file that is still in Postgres, slice by slice. One that is changed in between breaks off: half of
/// each would be nobody's file.
fn slices(
    pool: PgPool,
    token: Token,
    found: &Found,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = Result<Bytes, Error>> + Send + use<> {
    let (file, version) = (found.file, found.version);
    try_unfold((pool, range), move |(pool, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start.saturating_add(SLICE_BYTES));
        let first = i64::try_from(range.start).unwrap_or(i64::MAX);
        let length = i64::try_from(end - range.start).unwrap_or(i64::MAX);
        let slice = database::transact(&pool, token, Access::Read, move |connection, _| {
            Box::pin(async move {
                let slice: Option<Vec<u8>> = sqlx::query_scalar(
                    "select substring(content from $3::int4 + 1 for $4::int4) from files \
                     where id = $1 and version = $2",
                )
                .bind(file)
                .bind(version)
                .bind(i32::try_from(first).unwrap_or(i32::MAX))
                .bind(i32::try_from(length).unwrap_or(i32::MAX))
                .fetch_optional(connection)
                .await?
                .flatten();
                slice.ok_or_else(|| Error::Internal("a file changed while it was read".to_owned()))
            }) as Work<'_, Vec<u8>>
        });
        let slice = slice.await.inspect_err(|error| {
            tracing::warn!(%error, "a download broke off");
        })?;
        Ok(Some((Bytes::from(slice), (pool, end..range.end))))
    })
}

/// The range that is asked for: one, within the file, and of the version that the client has. In all other
/// cases the answer is the whole file, as the standard allows.
fn wanted(headers: &HeaderMap, tag: Option<&HeaderValue>, size: u64) -> Option<Range<u64>> {
    if headers.get(header::IF_RANGE).is_some_and(|asked| Some(asked) != tag) {
        return None;
    }
    range(headers.get(header::RANGE)?.to_str().ok()?, size)
}

fn range(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let range = match (first, last) {
        ("", last) if is_number(last) => size.saturating_sub(last.parse().ok()?)..size,
        (first, "") if is_number(first) => first.parse().ok()?..size,
        (first, last) if is_number(first) && is_number(last) => {
            first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(size)
        }
        _ => return None,
    };
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_within_the_file_is_served() {
        for (text, expected) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=2-", Some(2..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-99", Some(0..10)),
            ("bytes=5-99999999999999999999", None),
            ("bytes=5-18446744073709551615", Some(5..10)),
            ("bytes=10-", None),
            ("bytes=7-3", None),
            ("bytes=-0", None),
            ("bytes=0-1,3-4", None),
            ("bytes=+1-2", None),
            ("bytes=", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(range(text, 10), expected, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), None);
    }
}
