//! Webhooks for every other topic, as Standard Webhooks has them
//! (<https://www.standardwebhooks.com>), so that receivers can use its libraries: the event's id, the
//! time of sending, and an HMAC-SHA256 over both and the body.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::Sha256;

use crate::{Error, Event, Failure, Handler, Handling, http};

/// A shorter key could be found by trying.
const KEY_BYTES_MIN: usize = 24;

/// Posts events to one address.
pub struct Webhook {
    client: Client,
    url: Url,
    key: SecretKey,
}

/// Not shown by anything.
struct SecretKey(Vec<u8>);

impl Webhook {
    /// `secret` is `whsec_` and base64, or a text that is taken as it is.
    ///
    /// # Errors
    /// [`Error::Settings`], without secrets.
    pub fn new(url: &SecretString, secret: &SecretString, limit: Duration) -> Result<Self, Error> {
        let url = http::address("work.webhook_url", url.expose_secret())?;
        let wrong = |why: &str| Error::setting("work.webhook_secret", why);
        let key = match secret.expose_secret().strip_prefix("whsec_") {
            Some(encoded) => {
                STANDARD.decode(encoded).map_err(|_| wrong("what follows whsec_ is no base64"))?
            }
            None => secret.expose_secret().as_bytes().to_vec(),
        };
        if key.len() < KEY_BYTES_MIN {
            return Err(wrong("it is shorter than 24 bytes; `openssl rand -base64 32` makes one"));
        }
        Ok(Self { client: http::client(limit)?, url, key: SecretKey(key) })
    }

    async fn send(&self, event: &Event) -> Result<(), Failure> {
        let body = body(event);
        let id = event.id.to_string();
        let timestamp = Utc::now().timestamp().to_string();
        let signature = self.sign(&id, &timestamp, &body)?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signature);
        if let Some(id) = &event.correlation_id {
            request = request.header("x-correlation-id", id);
        }
        http::send(request.body(body)).await
    }

    fn sign(&self, id: &str, timestamp: &str, body: &str) -> Result<String, Failure> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key.0)
            .map_err(|_| Failure::retry("the key can't be used"))?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// The same at every attempt.
fn body(event: &Event) -> String {
    let timestamp = event.created_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = json!({
        "id": event.id, "type": event.topic, "timestamp": timestamp, "data": event.payload,
    });
    body.to_string()
}

impl Handler for Webhook {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(self.send(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(secret: &str) -> Result<Webhook, Error> {
        Webhook::new(&"http://receiver/hook".into(), &secret.into(), Duration::from_secs(1))
    }

    /// The example of the specification.
    #[test]
    fn it_signs_as_the_specification_says() {
        let hook = hook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a webhook");
        let signed =
            hook.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed, Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn weak_and_broken_keys_are_refused_unseen() {
        for secret in ["hush", "whsec_!!", "whsec_aHVzaA=="] {
            let error = hook(secret).err().expect(secret).to_string();
            assert!(
                error.starts_with("`work.webhook_secret`: ") && !error.contains("hush"),
                "{error}"
            );
        }
    }
}
