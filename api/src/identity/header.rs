//! Tokens in headers: how they come in, how cookies go out, and what the legacy system never sees.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use super::{ACCESS_PREFIX, REFRESH_PREFIX};

/// The cookie of web sessions; over TLS it is called `__Host-ficus_session`, which a browser only
/// takes from this very host, so that no neighbour under the same domain can plant one.
pub const COOKIE: &str = "ficus_session";

/// The cookie of the refresh token, sent to `/auth` only; over TLS `__Secure-ficus_refresh`.
pub const REFRESH_COOKIE: &str = "ficus_refresh";

/// How our cookies are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookies {
    /// Over TLS only. Off for a laboratory without TLS.
    pub(crate) secure: bool,
    /// `SameSite` of the session's cookie: `Lax` or `Strict`.
    pub(crate) same_site: &'static str,
}

impl Cookies {
    /// `Set-Cookie` of an access and a refresh token.
    pub(crate) fn set(self, access: (&str, Duration), refresh: (&str, Duration)) -> [String; 2] {
        let line = |name: String, (token, age): (&str, Duration), path, same_site| {
            let secure = if self.secure { "; Secure" } else { "" };
            let age = age.as_secs();
            format!(
                "{name}={token}; Path={path}; Max-Age={age}; HttpOnly; SameSite={same_site}{secure}"
            )
        };
        [
            line(self.session_name(), access, "/", self.same_site),
            // Nobody but our own page has a reason to refresh.
            line(self.refresh_name(), refresh, "/auth", "Strict"),
        ]
    }

    /// `Set-Cookie` that removes both.
    pub(crate) fn clear(self) -> [String; 2] {
        self.set(("", Duration::ZERO), ("", Duration::ZERO))
    }

    fn session_name(self) -> String {
        if self.secure { format!("__Host-{COOKIE}") } else { COOKIE.to_owned() }
    }

    fn refresh_name(self) -> String {
        if self.secure { format!("__Secure-{REFRESH_COOKIE}") } else { REFRESH_COOKIE.to_owned() }
    }

    /// Takes cookies away that have our names without the prefix, where we only write prefixed
    /// ones: a neighbour planted them.
    pub(crate) fn drop_planted(self, headers: &mut HeaderMap) {
        if self.secure {
            retain_cookies(headers, |name| name != COOKIE && name != REFRESH_COOKIE);
        }
    }
}

/// The access token of a request: `Authorization: Bearer …`, else the session cookie.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).or_else(|| cookie(headers, "__Host-", COOKIE))
}

/// The bearer token.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    bearer_of(headers.get(header::AUTHORIZATION)?)
}

fn bearer_of(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a browser added a cookie of ours.
pub(crate) fn has_cookie(headers: &HeaderMap) -> bool {
    cookie(headers, "__Host-", COOKIE).or_else(|| refresh(headers)).is_some()
}

/// The refresh token's cookie.
pub(crate) fn refresh(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, "__Secure-", REFRESH_COOKIE)
}

/// The prefixed name wins.
fn cookie<'a>(headers: &'a HeaderMap, prefix: &str, name: &str) -> Option<&'a str> {
    let with = |prefix: &str| {
        pairs(headers).find_map(|pair| {
            let (given, value) = pair.split_once('=')?;
            (given.trim().strip_prefix(prefix) == Some(name)).then(|| value.trim())
        })
    };
    with(prefix).or_else(|| with(""))
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).map(str::trim).filter(|pair| !pair.is_empty())
}

/// Takes our tokens out of a request that goes to the legacy system, which has sessions of its
/// own: its cookies and its own `Authorization` stay.
pub(crate) fn hide(headers: &mut HeaderMap) {
    let is_ours =
        |token: &str| token.starts_with(ACCESS_PREFIX) || token.starts_with(REFRESH_PREFIX);
    // Also where it stands behind another one.
    let mut shown = headers.get_all(header::AUTHORIZATION).iter().filter_map(bearer_of);
    if shown.any(is_ours) {
        headers.remove(header::AUTHORIZATION);
    }
    retain_cookies(headers, |name| {
        let plain = name.strip_prefix("__Host-").or_else(|| name.strip_prefix("__Secure-"));
        let plain = plain.unwrap_or(name);
        plain != COOKIE && plain != REFRESH_COOKIE
    });
}

/// Leaves the header untouched, byte for byte, when nothing is to be removed.
fn retain_cookies(headers: &mut HeaderMap, keep: impl Fn(&str) -> bool) {
    let name = |pair: &&str| pair.split('=').next().unwrap_or_default().trim().to_owned();
    if pairs(headers).all(|pair| keep(&name(&pair))) {
        return;
    }
    let kept: Vec<&str> = pairs(headers).filter(|pair| keep(&name(pair))).collect();
    let value = HeaderValue::from_str(&kept.join("; ")).ok().filter(|value| !value.is_empty());
    headers.remove(header::COOKIE);
    if let Some(value) = value {
        headers.insert(header::COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn bearer_and_cookie_are_one() {
        let cookie = ("cookie", "a=b; ficus_session=abc; c=d");
        let token = |given: &[(&'static str, &str)]| session(&headers(given)).map(str::to_owned);
        let found = |token: &str| Some(token.to_owned());
        assert_eq!(token(&[]), None);
        assert_eq!(token(&[cookie]), found("abc"));
        assert_eq!(token(&[cookie, ("authorization", "Bearer xyz")]), found("xyz"));
        assert_eq!(token(&[("authorization", "bearer  xyz")]), found("xyz"));
        assert_eq!(token(&[("authorization", "Basic xyz")]), None);
        // Browsers add Basic by themselves: it must not make a cookie pass for a bearer token.
        assert_eq!(token(&[cookie, ("authorization", "Basic xyz")]), found("abc"));
        let both = ("cookie", "ficus_session=planted; __Host-ficus_session=own");
        assert_eq!(token(&[both]), found("own"));
    }

    #[test]
    fn the_legacy_system_sees_its_own_cookies_only() {
        let cases = [
            ("ASP.NET_SessionId=1; ficus_session=x; b=2", Some("ASP.NET_SessionId=1; b=2")),
            ("__Host-ficus_session=x; __Secure-ficus_refresh=y", None),
            ("a=1;b=2", Some("a=1;b=2")),
            ("xficus_session=1", Some("xficus_session=1")),
        ];
        for (given, expected) in cases {
            let mut headers = headers(&[("cookie", given), ("authorization", "Bearer its-own")]);
            hide(&mut headers);
            assert_eq!(headers.get("cookie").map(|value| value.to_str().expect("text")), expected);
            assert!(headers.contains_key("authorization"));
        }
        let ours = [("authorization", "Bearer fca_x")];
        for given in [&ours[..], &[("authorization", "Basic x"), ("authorization", "bearer fcr_x")]]
        {
            let mut headers = headers(given);
            hide(&mut headers);
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn cookies_are_for_the_server_alone() {
        let cookies = Cookies { secure: true, same_site: "Lax" };
        let hour = Duration::from_secs(3600);
        let [session, refresh] = cookies.set(("a", hour), ("r", hour * 2));
        assert_eq!(
            session,
            "__Host-ficus_session=a; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            refresh,
            "__Secure-ficus_refresh=r; Path=/auth; Max-Age=7200; HttpOnly; SameSite=Strict; Secure"
        );
        let mut planted = headers(&[("cookie", "ficus_session=x; a=1")]);
        cookies.drop_planted(&mut planted);
        assert_eq!(planted["cookie"], "a=1");
    }
}
