//! Requests to others: addresses come from the configuration alone, everything has a limit, and
//! what is told of a failure names neither address nor header.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};

use crate::{Error, Failure};

/// Of an answer's body so much is read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A client that follows no redirect: whoever answers may not send us somewhere else, least of all
/// into our own network.
///
/// # Errors
/// [`Error::Settings`] when the system's TLS can't be used.
pub fn client(limit: Duration) -> Result<Client, Error> {
    Client::builder()
        .redirect(Policy::none())
        .connect_timeout(limit.min(Duration::from_secs(10)))
        .timeout(limit)
        .user_agent(concat!("ficus/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::setting("work", format!("no HTTP client can be made: {error}")))
}

/// An http or https address. Never printed: it may hold a token.
///
/// # Errors
/// [`Error::Settings`] without the address.
pub fn address(setting: &str, text: &str) -> Result<Url, Error> {
    let wrong = |why| Error::setting(setting, why);
    let url: Url = text.parse().map_err(|_| wrong("it is no http or https address"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it is no http or https address"));
    }
    Ok(url)
}

/// `Name: value` on each line; empty lines and those that begin with `#` are left out.
///
/// # Errors
/// A sentence without a value.
pub fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {number} is not `Name: value`");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Sends a request; what its answer means for the event.
pub(crate) async fn send(request: RequestBuilder) -> Result<(), Failure> {
    let mut answer = request.send().await.map_err(|error| unanswered(&error))?;
    let verdict = judge(answer.status(), retry_after(&answer, Utc::now()));
    // What the other side says may quote what it was sent: read, and not told.
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_BYTES_MAX {
            break;
        }
    }
    verdict
}

/// The driver's own texts hold the address.
fn unanswered(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::permanent("no request can be made of it");
    }
    let why = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke off"
    };
    Failure::retry(why)
}

/// 2xx is done. Retried is what may pass: too much, too slow, broken on their side, and 401, 403 and
/// 407, which say that our own keys are wrong and nothing about the event. Everything else is a
/// judgement on this request, redirects included, and stays wrong however often it is sent.
fn judge(status: StatusCode, after: Option<Duration>) -> Result<(), Failure> {
    let why = format!("the answer was {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Ok(()),
        401 | 403 | 407 | 408 | 425 | 429 | 500..=599 => Err(Failure::Retry { why, after }),
        _ => Err(Failure::Permanent { why }),
    }
}

/// Seconds, or an HTTP date.
fn retry_after(answer: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let status = answer.status().as_u16();
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !matches!(status, 429 | 503) {
        return None;
    }
    wait(text, now)
}

fn wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    Some((until.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_judged() {
        let judged = |code| judge(StatusCode::from_u16(code).expect("a status"), None);
        for code in [200, 201, 202, 204] {
            assert_eq!(judged(code), Ok(()), "{code}");
        }
        for code in [401, 403, 408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(judged(code), Err(Failure::retry(format!("the answer was {code}"))));
        }
        for code in [301, 302, 307, 304, 400, 404, 405, 409, 410, 413, 422] {
            assert_eq!(judged(code), Err(Failure::permanent(format!("the answer was {code}"))));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-03-01T00:00:00Z".parse().expect("an instant");
        let seconds = |text| wait(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sun, 01 Mar 2026 00:01:30 GMT"), Some(90));
        assert_eq!(seconds("Sun, 01 Mar 2020 00:01:30 GMT"), Some(0));
        assert_eq!((seconds("soon"), seconds("-1"), seconds("")), (None, None, None));
    }

    #[test]
    fn headers_are_read_and_mistakes_are_told_without_values() {
        let read = headers("# keys\nAuthorization: Bearer x:y\n\nX-Key:  z\n").expect("headers");
        assert_eq!(read["authorization"], "Bearer x:y");
        assert!(read["x-key"].is_sensitive());
        for wrong in ["secret", "na me: secret", "X-Key: se\u{7}cret"] {
            assert_eq!(headers(wrong).expect_err(wrong), "line 1 is not `Name: value`");
        }
    }

    #[test]
    fn only_http_addresses_are_taken_and_none_is_told() {
        for wrong in ["", "gateway", "file:///etc/passwd", "ftp://h/secret", "http://"] {
            let error = address("work.sms_url", wrong).expect_err(wrong).to_string();
            assert_eq!(error, "`work.sms_url`: it is no http or https address");
        }
    }
}
