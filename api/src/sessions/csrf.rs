//! Writes that a browser was talked into by another site.
//!
//! A browser adds cookies by itself, so a write with a cookie must come from a page of ours. The
//! browser says so: `Sec-Fetch-Site`, which no page can set, and where that is missing (browsers
//! before 2023, plain HTTP) `Origin`. A token in each form would say no more, would have to be kept
//! somewhere, and is as good as given away by any script that runs in our pages; `SameSite` and
//! the JSON content type stand behind this check. A bearer token is never added by a browser, so
//! such requests are not looked at.
//!
//! A client that sends a cookie by hand (a server that renders pages) sends its own `Origin`, or
//! better the token as `Authorization: Bearer`.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};

use crate::{
    Error,
    error::Reason,
    identity::{self, Cookies},
    language::Language,
    server::App,
};

/// Refuses forged writes.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let settings = &app.sessions.settings;
    let cookies: Cookies = settings.cookies();
    cookies.drop_planted(request.headers_mut());
    let is_sign_in = request.uri().path().starts_with("/auth/");
    if is_forged(request.method(), is_sign_in, request.headers(), &settings.origins) {
        tracing::warn!("refused a write from another site");
        return Error::Refused(Reason::CrossSite).respond(Language::of(request.headers()));
    }
    next.run(request).await
}

/// `is_sign_in`: a stranger's page could also sign somebody in as the stranger, without any
/// cookie there yet.
fn is_forged(method: &Method, is_sign_in: bool, headers: &HeaderMap, origins: &[String]) -> bool {
    if method.is_safe() || identity::bearer(headers).is_some() {
        return false;
    }
    let has_cookie = identity::has_cookie(headers);
    if !has_cookie && !is_sign_in {
        return false;
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text(header::ORIGIN.as_str());
    let is_listed = origin.is_some_and(|origin| origins.iter().any(|listed| listed == origin));
    match text("sec-fetch-site") {
        Some("same-origin" | "none") => false,
        Some("same-site") => !is_listed,
        Some(_) => true,
        None => match origin {
            Some(origin) => !is_listed && !is_own(origin, text(header::HOST.as_str())),
            None => has_cookie,
        },
    }
}

/// Whether the page is from the host that it asks.
fn is_own(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_write_with_a_cookie() {
        const COOKIE: (&str, &str) = ("cookie", "ficus_session=x");
        const REFRESH: (&str, &str) = ("cookie", "__Secure-ficus_refresh=x");
        const OTHERS: (&str, &str) = ("cookie", "theme=dark");
        let site = |value| ("sec-fetch-site", value);
        let origin = |value| ("origin", value);
        type Case<'a> = (&'a str, bool, &'a [(&'static str, &'a str)], bool);
        let cases: [Case<'_>; 20] = [
            ("GET", false, &[COOKIE, site("cross-site")], false),
            ("POST", false, &[COOKIE, site("same-origin")], false),
            ("POST", false, &[COOKIE, site("none")], false),
            ("POST", false, &[COOKIE, site("cross-site")], true),
            ("POST", false, &[COOKIE, site("cross-site"), origin("https://app.mn")], true),
            ("POST", false, &[COOKIE, site("same-site")], true),
            ("POST", false, &[COOKIE, site("same-site"), origin("https://app.mn")], false),
            ("POST", false, &[COOKIE, site("same-site"), origin("https://evil.mn")], true),
            ("POST", false, &[COOKIE, site("")], true),
            ("POST", false, &[COOKIE], true),
            ("DELETE", false, &[COOKIE, origin("https://api.mn")], false),
            ("DELETE", false, &[COOKIE, origin("https://evil.mn")], true),
            ("DELETE", false, &[COOKIE, origin("null")], true),
            ("POST", false, &[OTHERS, site("cross-site")], false),
            ("POST", false, &[COOKIE, site("cross-site"), ("authorization", "Bearer x")], false),
            ("POST", false, &[COOKIE, site("cross-site"), ("authorization", "Basic x")], true),
            ("POST", true, &[REFRESH, site("cross-site")], true),
            ("POST", true, &[site("cross-site")], true),
            ("POST", true, &[origin("https://evil.mn")], true),
            ("POST", true, &[], false),
        ];
        for (method, is_sign_in, given, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("host", "api.mn".parse().expect("a header"));
            for (name, value) in given {
                headers.append(*name, value.parse().expect("a header"));
            }
            let method = method.parse().expect("a method");
            let forged = is_forged(&method, is_sign_in, &headers, &["https://app.mn".to_owned()]);
            assert_eq!(forged, expected, "{method} {given:?}");
        }
    }
}
