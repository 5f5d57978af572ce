//! What every handler begins with: who asks, in which language, for which page or row.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use serde::Deserialize;
use utoipa::{IntoParams, openapi::path};
use uuid::Uuid;

pub(super) use crate::error::Failure;
use crate::{Error, identity::Token, language::Language, openapi, page, reference, server::App};

/// A request that shows a session token. Whether the session lives is asked in the transaction.
pub(super) struct Caller {
    pub(super) app: App,
    pub(super) token: Token,
    pub(super) language: Language,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let language = Language::of(&parts.headers);
        let token = Token::of(&parts.headers).map_err(|error| Failure(error, language))?;
        Ok(Self { app: app.clone(), token, language })
    }
}

/// The id in the path.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub(super) struct Id(pub(super) Uuid);

impl FromRequestParts<App> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let text = Path::<String>::from_request_parts(parts, app).await;
        // axum's own words about a path that does not decode are not in our envelope.
        let text = text.map_or_else(|_| String::new(), |Path(text)| text);
        let language = Language::of(&parts.headers);
        reference::parse_id(&text).map(Self).map_err(|error| Failure(error, language))
    }
}

/// The ids in the path of a part: the whole's and its own, which goes by `part`.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(names("id", "part"), parameter_in = Path)]
pub(super) struct Ids(pub(super) Uuid, pub(super) Uuid);

impl FromRequestParts<App> for Ids {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let texts = Path::<(String, String)>::from_request_parts(parts, app).await;
        let (whole, part) = texts.map_or_else(|_| Default::default(), |Path(texts)| texts);
        let language = Language::of(&parts.headers);
        let read = |text: &str| reference::parse_id(text).map_err(|error| Failure(error, language));
        Ok(Self(read(&whole)?, read(&part)?))
    }
}

/// `?limit=…&cursor=…&legacy=…` of a list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(flatten)]
    pub(super) page: page::Query,
    /// The row's old key, as in old links.
    pub(super) legacy: Option<String>,
}

impl FromRequestParts<App> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let language = Language::of(&parts.headers);
        let wrong = |field, reason: String| Failure(Error::Validation { field, reason }, language);
        let asked = Query::<Self>::from_request_parts(parts, app).await;
        let Query(asked) = asked.map_err(|rejection| wrong("query", rejection.body_text()))?;
        if asked.legacy.is_some() && !asked.page.is_empty() {
            let reason = "names one row; leave limit and cursor out".to_owned();
            return Err(wrong("legacy", reason));
        }
        Ok(asked)
    }
}

impl IntoParams for Asked {
    fn into_params(within: impl Fn() -> Option<path::ParameterIn>) -> Vec<path::Parameter> {
        openapi::ListQuery::into_params(within)
    }
}
