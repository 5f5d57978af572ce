//! What the demo asks of the API, as a client would.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use api::identity::{Identity, open_session};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mapping::plan::Plan;
use serde_json::Value;
use target::Role;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{command, out, parts, settings::Settings};

/// Characters of an answer that are shown.
const SHOWN_MAX: usize = 400;

/// How the API fared.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    /// A staff session, for whoever wants to go on by hand.
    pub(super) token: String,
    pub(super) as_expected: bool,
}

/// Serves, asks, and shows.
pub(super) async fn ask(
    settings: &Settings,
    plan: &Arc<Plan>,
    stop: CancellationToken,
) -> anyhow::Result<Served> {
    let bound = command::bind_api(settings, plan, stop.clone()).await?;
    let address = bound.address()?;
    tokio::spawn(bound.serve(stop));
    out::line(format!("   it listens on http://{address}"));
    let pool = target::connect(&parts::postgres(settings, Role::Api)?).await?;
    let staff = Identity { user_id: Uuid::now_v7(), owner_id: None, role: "staff".to_owned() };
    let token = open_session(&pool, &staff, Duration::from_secs(3600)).await?;
    let client = Asker { client: Client::builder(TokioExecutor::new()).build_http(), address };

    let owners = client.get("/v2/property-owners?limit=2", Some(&token)).await?;
    let contracts = client.get("/v2/contracts?limit=2", Some(&token)).await?;
    let mut as_expected = owners.status == 200 && contracts.status == 200;
    if let Some(contract) = contracts.first() {
        let part = |name: &str| {
            let text = contract[name].as_str().unwrap_or_default();
            text.replace('~', "~0").replace('/', "~1")
        };
        let old = encode(&format!("{}/{}", part("companyNo"), part("contractNo")));
        let found = client.get(&format!("/v2/contracts?legacy={old}"), Some(&token)).await?;
        as_expected &= found.first().is_some_and(|found| found["id"] == contract["id"]);
    }
    if let Some(id) = owners.first().and_then(|owner| owner["id"].as_str()?.parse().ok()) {
        let owner = Identity { owner_id: Some(id), role: "owner".to_owned(), ..staff };
        let token = open_session(&pool, &owner, Duration::from_secs(3600)).await?;
        out::line("   as the first owner: row level security shows him himself alone");
        let seen = client.get("/v2/property-owners", Some(&token)).await?;
        as_expected &= seen.items().len() == 1;
    }
    out::line("   without a session");
    let refused = client.get("/v2/contracts", None).await?;
    out::line("   of a domain that is still the legacy application's");
    let passed_on = client.get("/v2/payments?limit=1", Some(&token)).await?;
    as_expected &= refused.status == 401 && passed_on.status == 200;
    Ok(Served { address, token, as_expected })
}

struct Asker {
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Empty<bytes::Bytes>>,
    address: SocketAddr,
}

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn items(&self) -> &[Value] {
        self.body.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn first(&self) -> Option<&Value> {
        self.items().first()
    }
}

impl Asker {
    async fn get(&self, path: &str, token: Option<&str>) -> anyhow::Result<Answer> {
        let mut request = http::Request::get(format!("http://{}{path}", self.address))
            .header("accept-language", "mn");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = self.client.request(request.body(Empty::new())?).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        let more = if text.chars().count() > SHOWN_MAX { " …" } else { "" };
        out::line(format!("   GET {path}\n       {status} {shown}{more}"));
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }
}

/// Percent-encodes everything but the letters and digits that are safe anywhere.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
