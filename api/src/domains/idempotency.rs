//! `Idempotency-Key`: a request that is sent again is answered again, and done once.
//!
//! The key is written in the transaction of the effect, so there is never one without the other:
//! a crash before the commit leaves neither, and one after it leaves the answer. A duplicate waits
//! at the unique index for the first one; longer than the session's time-outs, and it is told to
//! come back. A request that failed leaves its key unused.

use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::{reply::Reply, write::Posted};
use crate::{Error, identity::Identity};

/// Whether a write does without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// It makes something that affects money: sent twice by mistake, it must not count twice.
    Required,
    Optional,
}

impl Posted {
    /// Refuses a request without the key that it needs.
    pub(super) fn check_key(&self, key: Key) -> Result<(), Error> {
        if key == Key::Required && self.key.is_none() {
            let reason = "is required here: 1 to 255 printable ASCII characters, new for each \
                          request and the same when it is sent again";
            return Err(Error::Validation { field: "idempotency-key", reason: reason.to_owned() });
        }
        Ok(())
    }

    /// Takes the key, or returns what was answered to it.
    pub(super) async fn claim(
        &self,
        connection: &mut PgConnection,
        identity: &Identity,
    ) -> Result<Option<Reply>, Error> {
        let Some(key) = &self.key else { return Ok(None) };
        let hash = self.hash_for(identity);
        let inserted = sqlx::query(
            "insert into idempotency_keys (id, key, route, user_id, request_hash) \
             values ($1, $2, $3, $4, $5) on conflict do nothing",
        )
        .bind(Uuid::now_v7())
        .bind(key)
        .bind(&self.route)
        .bind(identity.user_id)
        .bind(hash.as_slice())
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(None);
        }
        // Row level security hides another user's key: it is taken all the same.
        let kept = sqlx::query(
            "select status, response, etag, location from idempotency_keys \
             where key = $1 and route = $2 and request_hash = $3",
        )
        .bind(key)
        .bind(&self.route)
        .bind(hash.as_slice())
        .fetch_optional(connection)
        .await?
        .ok_or(Error::KeyReused)?;
        let status: i16 = kept.try_get("status")?;
        Ok(Some(Reply {
            status: status_of(status)?,
            body: kept.try_get("response")?,
            etag: kept.try_get("etag")?,
            location: kept.try_get("location")?,
        }))
    }

    /// Keeps the answer with the key.
    pub(super) async fn keep(
        &self,
        connection: &mut PgConnection,
        reply: &Reply,
    ) -> Result<(), Error> {
        let Some(key) = &self.key else { return Ok(()) };
        let status = i16::try_from(reply.status.as_u16()).unwrap_or(i16::MAX);
        sqlx::query(
            "update idempotency_keys set status = $3, response = $4, etag = $5, location = $6, \
             completed_at = now() where key = $1 and route = $2",
        )
        .bind(key)
        .bind(&self.route)
        .bind(status)
        .bind(&reply.body)
        .bind(&reply.etag)
        .bind(&reply.location)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Of path and body, and as whom they were sent: a user who acts for two owners gets for the
    /// one nothing that was answered for the other.
    fn hash_for(&self, identity: &Identity) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(self.hash);
        hash.update(identity.role.as_bytes());
        hash.update(identity.owner_id.unwrap_or_default());
        hash.finalize().into()
    }
}

fn status_of(kept: i16) -> Result<StatusCode, Error> {
    let status = u16::try_from(kept).ok().and_then(|code| StatusCode::from_u16(code).ok());
    status.ok_or_else(|| Error::Internal("a kept status is none".to_owned()))
}
