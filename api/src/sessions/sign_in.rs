//! Signing in with a name and a password.
//!
//! Two transactions with the hashing between, which holds no connection. What the first one read
//! is asked again in the second: a user who was disabled, locked or given another password
//! meanwhile is not let in on old knowledge.

use axum::response::Response;
use serde::Deserialize;
use sqlx::{PgConnection, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Sessions,
    answer::{Grant, Kind, SignedIn},
    audit,
    body::{Asked, Failure, From, checked},
    open::{self, Opening, as_sign_in},
    password::{Stored, Verdict},
    settings::microseconds,
};
use crate::{
    Error, database,
    error::Reason,
    limits::{self, Who},
    server::App,
};

/// Longer ones are somebody's experiment.
const PASSWORD_CHARACTERS_MAX: usize = 256;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[schema(as = PasswordSignIn)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Credentials {
    /// As in the legacy system; case does not matter.
    #[schema(min_length = 1, max_length = 100)]
    user_name: String,
    #[schema(min_length = 1, max_length = 256)]
    password: String,
    kind: Kind,
}

/// Signs in with a name and a password.
#[utoipa::path(post, path = "/auth/sign-in", tag = "sessions", security(()),
    request_body = Credentials, responses((status = 200, body = SignedIn)))]
pub(super) async fn by_password(asked: Asked<Credentials>) -> Result<Response, Failure> {
    let Asked { app, from, body, .. } = asked;
    let kind = body.kind;
    let grant = sign_in(&app, &from, body).await.map_err(|error| from.failure(error))?;
    Ok(grant.respond(kind, &app.sessions.settings))
}

async fn sign_in(app: &App, from: &From, body: Credentials) -> Result<Grant, Error> {
    let name = checked("userName", &body.user_name, 100)?.trim().to_lowercase();
    checked("password", &body.password, PASSWORD_CHARACTERS_MAX)?;
    app.limits.count(limits::Kind::SignIn, Who::Address(from.address)).await?;
    let identity = app.sessions.keys.identity("name", &name);
    app.limits.count(limits::Kind::SignIn, Who::Identity(&identity)).await?;
    let found = database::detached(&app.pool, "begin read only", move |connection| {
        Box::pin(async move { find(connection, &identity, &name).await })
    })
    .await?;
    let stored = found.as_ref().map(|user| user.stored.clone()).unwrap_or_default();
    let verdict = app.sessions.hasher.verify(stored, body.password).await?;
    let attempt = Attempt { from: from.clone(), identity, found, verdict, kind: body.kind };
    let sessions = app.sessions.clone();
    let decided = database::detached(&app.pool, "begin", move |connection| {
        Box::pin(async move { attempt.decide(connection, &sessions).await })
    });
    // A refusal is written down and commits like a success.
    decided.await?
}

/// A user as the password is verified against.
struct User {
    id: Uuid,
    stored: Stored,
    /// SHA-256 of the legacy hash.
    digest: Option<Vec<u8>>,
}

/// The user of a name, if it is exactly one.
async fn find(
    connection: &mut PgConnection,
    identity: &[u8],
    name: &str,
) -> Result<Option<User>, Error> {
    as_sign_in(connection).await?;
    refuse_locked(connection, identity).await?;
    // Our hash counts while it was made from the legacy hash that is there now.
    let rows = sqlx::query(
        "select person.id, person.password_hash as legacy, own.password_hash as own, \
           sha256(convert_to(person.password_hash, 'UTF8')) as digest \
         from users as person \
         left join credentials as own on own.user_id = person.id \
           and own.legacy_digest = sha256(convert_to(person.password_hash, 'UTF8')) \
         where lower(person.user_name collate \"und-x-icu\") = lower($1 collate \"und-x-icu\") \
           and person.deleted_at is null \
         limit 2",
    )
    .bind(name)
    .fetch_all(connection)
    .await?;
    let [row] = rows.as_slice() else { return Ok(None) };
    let stored = Stored { legacy: row.try_get("legacy")?, own: row.try_get("own")? };
    Ok(Some(User { id: row.try_get("id")?, stored, digest: row.try_get("digest")? }))
}

/// The same for names that are nobody's.
async fn refuse_locked(connection: &mut PgConnection, identity: &[u8]) -> Result<(), Error> {
    let seconds: Option<i64> = sqlx::query_scalar(
        "select ceil(extract(epoch from locked_until - now()))::int8 from sign_in_failures \
         where identity = $1 and locked_until > now()",
    )
    .bind(identity)
    .fetch_optional(connection)
    .await?;
    let Some(seconds) = seconds else { return Ok(()) };
    let retry_after_seconds = u64::try_from(seconds).unwrap_or(1).max(1);
    Err(Error::TooMany { retry_after_seconds })
}

/// An attempt whose password has been looked at.
struct Attempt {
    from: From,
    identity: [u8; 32],
    found: Option<User>,
    verdict: Verdict,
    kind: Kind,
}

impl Attempt {
    async fn decide(
        self,
        connection: &mut PgConnection,
        sessions: &Sessions,
    ) -> Result<Result<Grant, Error>, Error> {
        as_sign_in(connection).await?;
        refuse_locked(connection, &self.identity).await?;
        let right = self.found.as_ref().filter(|_| self.verdict != Verdict::Wrong);
        let Some(user) = right else {
            self.count_failure(connection, sessions).await?;
            return self.fail(connection, "password", Error::WrongCredentials).await;
        };
        let now = sqlx::query(
            "select coalesce(is_active, false) as is_active, \
               coalesce(change_password_on_first_logon, false) as must_change, \
               coalesce(lockout_end > now(), false) as is_locked, \
               sha256(convert_to(password_hash, 'UTF8')) is not distinct from $2 as is_same \
             from users where id = $1 and deleted_at is null",
        )
        .bind(user.id)
        .bind(&user.digest)
        .fetch_optional(&mut *connection)
        .await?;
        let flag = |name: &str| now.as_ref().map(|row| row.try_get::<bool, _>(name)).transpose();
        if flag("is_active")? != Some(true) || flag("is_same")? != Some(true) {
            return self.fail(connection, "inactive", Error::WrongCredentials).await;
        }
        // From here on he has shown that he knows the password, and may know why he stays out.
        if flag("is_locked")? == Some(true) {
            return self.fail(connection, "locked", Error::Refused(Reason::Locked)).await;
        }
        if flag("must_change")? == Some(true) {
            let must = Error::Refused(Reason::ChangePassword);
            return self.fail(connection, "change-password", must).await;
        }
        let Some(Some(standing)) = open::standing(connection, sessions, user.id).await? else {
            return self.fail(connection, "no-access", Error::Refused(Reason::NoAccess)).await;
        };
        self.forgive(connection, user).await?;
        let opening = Opening {
            user_id: user.id,
            kind: self.kind,
            password_digest: user.digest.clone(),
            way: "password",
        };
        open::open(connection, sessions, &self.from, opening, standing).await.map(Ok)
    }

    async fn fail(
        &self,
        connection: &mut PgConnection,
        why: &str,
        error: Error,
    ) -> Result<Result<Grant, Error>, Error> {
        let user_id = self.found.as_ref().map(|user| user.id);
        let way = ("password", why);
        audit::failed(connection, &self.from, user_id, &self.identity, way).await?;
        Ok(Err(error))
    }

    /// The row counts failures in a row; so many of them lock the name, and begin anew after.
    async fn count_failure(
        &self,
        connection: &mut PgConnection,
        sessions: &Sessions,
    ) -> Result<(), Error> {
        let settings = &sessions.settings;
        sqlx::query(
            "insert into sign_in_failures as known (identity, failed_count, locked_until) \
             values ($1, 1, case when $2 <= 1 then now() + $3 * interval '1 microsecond' end) \
             on conflict (identity) do update set \
               failed_count = case when known.locked_until <= now() then 1 \
                 else known.failed_count + 1 end, \
               locked_until = case when known.locked_until is null and known.failed_count + 1 >= $2 \
                 then now() + $3 * interval '1 microsecond' \
                 when known.locked_until <= now() then null else known.locked_until end, \
               last_failed_at = now()",
        )
        .bind(self.identity.as_slice())
        .bind(i32::from(settings.failures_max))
        .bind(microseconds(settings.lockout))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Forgets the failures, and keeps our own hash where there is a new one.
    async fn forgive(&self, connection: &mut PgConnection, user: &User) -> Result<(), Error> {
        sqlx::query("delete from sign_in_failures where identity = $1")
            .bind(self.identity.as_slice())
            .execute(&mut *connection)
            .await?;
        let Verdict::Rehashed(own) = &self.verdict else { return Ok(()) };
        sqlx::query(
            "insert into credentials (user_id, password_hash, legacy_digest) values ($1, $2, $3) \
             on conflict (user_id) do update set password_hash = excluded.password_hash, \
               legacy_digest = excluded.legacy_digest, updated_at = now()",
        )
        .bind(user.id)
        .bind(own)
        .bind(&user.digest)
        .execute(connection)
        .await?;
        Ok(())
    }
}
