//! Signing in with a one-time code, for property owners: the telephone number is theirs.
//!
//! The code goes to the outbox in the transaction that stores its keyed hash. A number that is
//! nobody's gets a row that no code fits, and the same answer.

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::json;
use sqlx::{PgConnection, Row as _};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Sessions,
    answer::{Grant, Kind, SignedIn},
    audit,
    body::{Asked, Failure, From, checked},
    open::{self, Opening, as_sign_in},
    settings::microseconds,
};
use crate::{
    Error, database,
    language::Language,
    limits::{self, Who},
    server::App,
};

/// The outbox's topic of text messages: `{"to": "+976…", "text": "…"}`.
const TOPIC: &str = "sms.send";

/// Digits of a code.
const DIGITS: usize = 6;

/// Whom a code is for.
#[derive(Deserialize, ToSchema)]
#[schema(as = CodeRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Number {
    /// With or without the country's code.
    #[schema(min_length = 1, max_length = 32)]
    phone: String,
}

/// A code that came by SMS.
#[derive(Deserialize, ToSchema)]
#[schema(as = CodeSignIn)]
#[serde(deny_unknown_fields)]
pub(super) struct Entered {
    /// The number that it was sent to.
    #[schema(min_length = 1, max_length = 32)]
    phone: String,
    #[schema(min_length = 1, max_length = 16)]
    code: String,
    kind: Kind,
}

/// Sends a code to a property owner's telephone. 202, whosever the number is.
#[utoipa::path(post, path = "/auth/codes", tag = "sessions", security(()),
    request_body = Number, responses((status = 202)))]
pub(super) async fn send(asked: Asked<Number>) -> Result<Response, Failure> {
    let Asked { app, from, body, .. } = asked;
    let sent = request(&app, &from, &body.phone).await;
    sent.map_err(|error| from.failure(error))?;
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn request(app: &App, from: &From, phone: &str) -> Result<(), Error> {
    let local = local_digits(phone, &app.sessions.settings.phone_country)?;
    let identity = app.sessions.keys.identity("phone", &local);
    app.limits.count(limits::Kind::Code, Who::Address(from.address)).await?;
    app.limits.count(limits::Kind::Code, Who::Identity(&identity)).await?;
    let (sessions, from) = (app.sessions.clone(), from.clone());
    database::detached(&app.pool, "begin", move |connection| {
        Box::pin(async move { store(connection, &sessions, &from, identity, &local).await })
    })
    .await
}

async fn store(
    connection: &mut PgConnection,
    sessions: &Sessions,
    from: &From,
    identity: [u8; 32],
    local: &str,
) -> Result<(), Error> {
    as_sign_in(connection).await?;
    let user_id: Option<Uuid> = sqlx::query_scalar("select access.user_by_phone($1)")
        .bind(local)
        .fetch_one(&mut *connection)
        .await?;
    let code = format!("{:0DIGITS$}", rand::random_range(0..1_000_000_u32));
    let settings = &sessions.settings;
    sqlx::query(
        "insert into sign_in_codes (identity, user_id, code_hash, expires_at) \
         values ($1, $2, $3, now() + $4 * interval '1 microsecond') \
         on conflict (identity) do update set user_id = excluded.user_id, \
           code_hash = excluded.code_hash, attempts = 0, created_at = now(), \
           expires_at = excluded.expires_at, used_at = null",
    )
    .bind(identity.as_slice())
    .bind(user_id)
    .bind(sessions.keys.code(&identity, &code).as_slice())
    .bind(microseconds(settings.code_life))
    .execute(&mut *connection)
    .await?;
    let Some(user_id) = user_id else { return Ok(()) };
    sqlx::query(
        "insert into outbox (id, topic, payload, user_id, correlation_id, expires_at) \
         values ($1, $2, $3, $4, $5, now() + $6 * interval '1 microsecond')",
    )
    .bind(Uuid::now_v7())
    .bind(TOPIC)
    .bind(json!({
        "to": format!("+{}{local}", settings.phone_country),
        "text": words(from.language, &code, settings.code_life.as_secs().div_ceil(60)),
    }))
    .bind(user_id)
    .bind(&from.correlation_id)
    // A code that is sent too late would only surprise.
    .bind(microseconds(settings.code_life))
    .execute(connection)
    .await?;
    Ok(())
}

fn words(language: Language, code: &str, minutes: u64) -> String {
    match language {
        Language::English => {
            format!("{code} is your code, good for {minutes} minutes. Tell it to nobody.")
        }
        Language::Mongolian => {
            format!("Нэвтрэх код: {code}. {minutes} минут хүчинтэй. Хэнд ч бүү хэлээрэй.")
        }
    }
}

/// Signs in with a code.
#[utoipa::path(post, path = "/auth/codes/sign-in", tag = "sessions", security(()),
    request_body = Entered, responses((status = 200, body = SignedIn)))]
pub(super) async fn sign_in(asked: Asked<Entered>) -> Result<Response, Failure> {
    let Asked { app, from, body, .. } = asked;
    let grant = enter(&app, &from, &body).await.map_err(|error| from.failure(error))?;
    Ok(grant.respond(body.kind, &app.sessions.settings))
}

async fn enter(app: &App, from: &From, body: &Entered) -> Result<Grant, Error> {
    let local = local_digits(&body.phone, &app.sessions.settings.phone_country)?;
    let code = checked("code", body.code.trim(), 16)?.to_owned();
    let identity = app.sessions.keys.identity("phone", &local);
    app.limits.count(limits::Kind::SignIn, Who::Address(from.address)).await?;
    app.limits.count(limits::Kind::SignIn, Who::Identity(&identity)).await?;
    let (sessions, from, kind) = (app.sessions.clone(), from.clone(), body.kind);
    let decided = database::detached(&app.pool, "begin", move |connection| {
        Box::pin(async move {
            as_sign_in(connection).await?;
            let user_id = spend(connection, &sessions, &identity, &code).await?;
            let standing = match user_id {
                Some(id) => open::standing(connection, &sessions, id).await?.flatten(),
                None => None,
            };
            let Some((user_id, standing)) = user_id.zip(standing) else {
                audit::failed(connection, &from, user_id, &identity, ("code", "code")).await?;
                return Ok(Err(Error::WrongCredentials));
            };
            let opening = Opening { user_id, kind, password_digest: None, way: "code" };
            open::open(connection, &sessions, &from, opening, standing).await.map(Ok)
        })
    });
    decided.await?
}

/// Counts the attempt, whatever comes of it, and uses the code up when it is right. The row is
/// locked by the first statement, so of two requests with the right code one is too late.
async fn spend(
    connection: &mut PgConnection,
    sessions: &Sessions,
    identity: &[u8],
    code: &str,
) -> Result<Option<Uuid>, Error> {
    let row = sqlx::query(
        "update sign_in_codes set attempts = attempts + 1 \
         where identity = $1 and used_at is null and expires_at > now() and attempts < $2 \
         returning user_id, code_hash",
    )
    .bind(identity)
    .bind(i32::from(sessions.settings.code_attempts_max))
    .fetch_optional(&mut *connection)
    .await?;
    let given = sessions.keys.code(identity, code);
    let Some(row) = row else { return Ok(None) };
    let expected: Vec<u8> = row.try_get("code_hash")?;
    let user_id: Option<Uuid> = row.try_get("user_id")?;
    if user_id.is_none() || !bool::from(given.as_slice().ct_eq(&expected)) {
        return Ok(None);
    }
    sqlx::query("update sign_in_codes set used_at = now() where identity = $1")
        .bind(identity)
        .execute(connection)
        .await?;
    Ok(user_id)
}

/// The eight digits of a number, however it is written.
fn local_digits(phone: &str, country: &str) -> Result<String, Error> {
    let wrong = || Error::Validation {
        field: "phone",
        reason: "must be a number of eight digits, with or without the country's code".to_owned(),
    };
    let is_decoration = |c: char| matches!(c, ' ' | '-' | '(' | ')' | '.' | '+');
    let phone = checked("phone", phone, 32)?;
    if phone.chars().any(|c| !c.is_ascii_digit() && !is_decoration(c)) {
        return Err(wrong());
    }
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches("00");
    let local = match digits.len() {
        8 => digits,
        _ => digits.strip_prefix(country).ok_or_else(wrong)?,
    };
    if local.len() == 8 { Ok(local.to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_number_however_it_is_written() {
        for written in
            ["99112233", "9911-2233", "+976 9911 2233", "(976) 99112233", "0097699112233"]
        {
            assert_eq!(local_digits(written, "976").ok().as_deref(), Some("99112233"), "{written}");
        }
        for wrong in ["", "9911223", "991122334", "+1 99112233", "99112233'; --", "٩٩١١٢٢٣٣", "\0"]
        {
            assert!(local_digits(wrong, "976").is_err(), "{wrong}");
        }
    }
}
