//! The document as a page. Scalar is 5 MB of script; it is in the binary, so that the page works
//! where no foreign host is reached, and nobody else learns who reads it.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Error, language::Language, server::App};

const PAGE: &str = include_str!("docs.html");

/// The page runs scripts of this server, speaks to it, and sends nothing elsewhere. Scalar writes
/// its styles into the page.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; connect-src 'self'; img-src 'self' data:; font-src data:; \
     style-src 'unsafe-inline'; script-src 'self'";

/// Read when somebody first looks. A debug build takes it from the crate's folder, which may be
/// elsewhere when it runs.
static SCRIPT: LazyLock<Option<Bytes>> =
    LazyLock::new(|| scalar_api_reference::get_asset("scalar.js").map(Bytes::from));

/// Their router.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(script))
}

/// The document as a page (Scalar).
#[utoipa::path(get, path = "/docs", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn page() -> Response {
    let headers =
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::REFERRER_POLICY, "no-referrer")];
    (headers, Html(PAGE)).into_response()
}

/// The script of the page.
#[utoipa::path(get, path = "/docs/scalar.js", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/javascript"), (status = 304),
        (status = 404, body = crate::error::Envelope)))]
async fn script(headers: HeaderMap) -> Response {
    let Some(script) = &*SCRIPT else {
        return Error::NotFound.respond(Language::of(&headers));
    };
    let tag = format!("\"{}\"", integrity(PAGE).unwrap_or_default());
    let told = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == tag);
    if is_known {
        return (StatusCode::NOT_MODIFIED, told).into_response();
    }
    let kind =
        [(header::CONTENT_TYPE, "text/javascript"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (told, kind, script.clone()).into_response()
}

/// What the page says of its script.
fn integrity(page: &str) -> Option<&str> {
    page.split_once("integrity=\"")?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha384};

    use super::*;

    #[test]
    fn the_script_is_the_one_that_was_looked_at() {
        let script = SCRIPT.as_ref().expect("the crate has it");
        let hash = format!("sha384-{}", STANDARD.encode(Sha384::digest(script)));
        let help =
            "the browser would refuse it: look at /docs with the new one, then write its hash down";
        assert_eq!(integrity(PAGE), Some(hash.as_str()), "{help}");
    }

    #[test]
    fn the_page_names_no_other_host() {
        for text in [PAGE, POLICY] {
            assert!(!text.contains("//"), "{text}");
        }
    }
}
