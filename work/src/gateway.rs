//! A gateway over HTTP, for SMS and push messages: the configuration says how a request looks,
//! and the event's payload fills it.

use std::{path::PathBuf, time::Duration};

use reqwest::{Client, Method, Url, header::CONTENT_TYPE};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::{
    Error, Event, Failure, Handler, Handling, http,
    template::{Template, Writing},
};

/// How a gateway is asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The section's beginning, for messages: `work.sms`.
    pub prefix: &'static str,
    /// Where, with holes in path and query only.
    pub url: SecretString,
    /// `GET`, `POST` or `PUT`.
    pub method: String,
    /// `application/json` or `application/x-www-form-urlencoded`: how the body's holes are written.
    pub content_type: String,
    /// The body, with holes; none for `GET`.
    pub body: String,
    /// A file of `Name: value` lines. Read at each request, so that tokens can be rotated.
    pub headers: Option<PathBuf>,
    /// How long a request may take.
    pub limit: Duration,
}

/// A gateway. Payloads are cleared when they are sent: they hold codes and people's numbers.
pub struct Gateway {
    client: Client,
    method: Method,
    url: Template,
    content_type: String,
    body: Option<Template>,
    headers: Option<PathBuf>,
}

impl Gateway {
    /// Checks everything that can be checked without a request.
    ///
    /// # Errors
    /// [`Error::Settings`], without secrets.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let prefix = settings.prefix;
        let setting = |name: &str| format!("{prefix}_{name}");
        let url = url_template(&setting("url"), settings.url.expose_secret())?;
        let wrong = |name: &str, why: String| Error::setting(&setting(name), why);
        let method = match settings.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            other => return Err(wrong("method", format!("`{other}` is not GET, POST or PUT"))),
        };
        let writing = match settings.content_type.as_str() {
            "application/json" => Writing::Json,
            "application/x-www-form-urlencoded" => Writing::Percent,
            other => {
                let why = format!(
                    "`{other}` is not application/json or application/x-www-form-urlencoded"
                );
                return Err(wrong("content_type", why));
            }
        };
        let body = match method == Method::GET {
            true => None,
            false => {
                let body = Template::parse(&settings.body, writing);
                let body = body.map_err(|why| wrong("body", why))?;
                if writing == Writing::Json
                    && let Err(error) = serde_json::from_str::<Value>(&body.probe())
                {
                    let why = format!(
                        "it is no JSON ({error}); a hole stands for a whole value: {{\"to\": {{{{to}}}}}}"
                    );
                    return Err(wrong("body", why));
                }
                Some(body)
            }
        };
        if let Some(file) = &settings.headers {
            let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
            let read = text.and_then(|text| http::headers(&text));
            read.map_err(|why| wrong("headers_file", format!("{}: {why}", file.display())))?;
        }
        Ok(Self {
            client: http::client(settings.limit)?,
            method,
            url,
            content_type: settings.content_type,
            body,
            headers: settings.headers,
        })
    }

    async fn send(&self, event: &Event) -> Result<(), Failure> {
        let url: Url = self
            .url
            .fill(event)?
            .parse()
            .map_err(|_| Failure::permanent("no address can be made of it"))?;
        let mut request = self
            .client
            .request(self.method.clone(), url)
            // For gateways that know it; the same at every attempt.
            .header("idempotency-key", event.id.to_string());
        if let Some(id) = &event.correlation_id {
            request = request.header("x-correlation-id", id);
        }
        if let Some(body) = &self.body {
            request = request.header(CONTENT_TYPE, &self.content_type).body(body.fill(event)?);
        }
        if let Some(file) = &self.headers {
            let text = tokio::fs::read_to_string(file).await;
            let text = text.map_err(|_| Failure::retry("the file of headers can't be read"))?;
            let headers = http::headers(&text)
                .map_err(|why| Failure::retry(format!("the file of headers: {why}")))?;
            request = request.headers(headers);
        }
        http::send(request).await
    }
}

impl Handler for Gateway {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(self.send(event))
    }

    fn is_confidential(&self) -> bool {
        true
    }
}

/// Where a request goes to is the configuration's alone: no hole before the path.
fn url_template(setting: &str, text: &str) -> Result<Template, Error> {
    http::address(setting, text)?;
    let whole = Template::parse(text, Writing::Percent);
    let whole = whole.map_err(|why| Error::setting(setting, why))?;
    let is_behind_host = text.split_once("{{").is_none_or(|(before, _)| {
        before.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']))
    });
    if !is_behind_host {
        let why = "a hole may stand in the path or the query only, behind the host";
        return Err(Error::setting(setting, why));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            prefix: "work.sms",
            url: "http://gateway.internal/send".into(),
            method: "POST".into(),
            content_type: "application/json".into(),
            body: r#"{"to": {{to}}}"#.into(),
            headers: None,
            limit: Duration::from_secs(1),
        }
    }

    fn why(settings: Settings) -> String {
        match Gateway::new(settings) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn settings_that_can_not_work_are_told_before_the_first_event() {
        assert_eq!(why(settings()), "fine");
        let told = why(Settings { method: "DELETE".into(), ..settings() });
        assert_eq!(told, "`work.sms_method`: `DELETE` is not GET, POST or PUT");
        let told = why(Settings { body: r#"{"to": "{{to}}"#.into(), ..settings() });
        assert!(told.starts_with("`work.sms_body`: it is no JSON (EOF"), "{told}");
        let told = why(Settings { content_type: "text/xml".into(), ..settings() });
        assert!(told.starts_with("`work.sms_content_type`: `text/xml` is not"), "{told}");
        let told = why(Settings { headers: Some("/no/such".into()), ..settings() });
        assert!(told.starts_with("`work.sms_headers_file`: /no/such: No such file"), "{told}");
    }

    #[test]
    fn the_host_is_the_configurations_alone() {
        let url = |url: &str| why(Settings { url: url.into(), ..settings() });
        assert_eq!(url("https://gateway/mt/{{to}}?msg={{text}}"), "fine");
        assert_eq!(url("https://gateway?msg={{text}}"), "fine");
        for wrong in
            ["https://{{host}}/x", "https://gateway{{x}}/y", "https://{{a}}@gateway/y", "{{url}}"]
        {
            assert!(url(wrong).starts_with("`work.sms_url`: "), "{wrong}: {}", url(wrong));
        }
    }
}
