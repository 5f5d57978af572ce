//! `ficus serve`.

mod auth;

use std::sync::Arc;

use api::health::Dependency;
use mapping::plan::Plan;
use secrecy::{ExposeSecret as _, SecretString};
use target::Role;
use tokio_util::sync::CancellationToken;

use crate::{args::ServeArgs, exit::Exit, out, parts, settings::Settings};

/// Serves until a signal.
pub(crate) async fn run(args: &ServeArgs, settings: &Settings) -> anyhow::Result<Exit> {
    if args.openapi {
        out::line(serde_json::to_string_pretty(&*api::openapi::DOCUMENT)?);
        return Ok(Exit::Success);
    }
    let stop = parts::stop_on_signal()?;
    let mut settings = settings.clone();
    if let Some(listen) = args.listen {
        settings.set("api.listen", listen.to_string(), "--listen");
    }
    let plan = parts::plan(&settings).await?;
    let bound = bind(&settings, &plan, stop.clone()).await?;
    out::note(format!("listening on http://{}", bound.address()?));
    bound.serve(stop).await?;
    Ok(Exit::Success)
}

/// The API, listening.
pub(crate) async fn bind(
    settings: &Settings,
    plan: &Arc<Plan>,
    stop: CancellationToken,
) -> anyhow::Result<api::server::Bound> {
    let listen = settings.needed("api.listen")?;
    let listen = listen.parse().map_err(|_| {
        crate::exit::usage(format!(
            "api.listen `{listen}` is no address; write it as 127.0.0.1:8080"
        ))
    })?;
    let pool = target::connect(&parts::postgres(settings, Role::Api)?).await?;
    let api = api::Settings {
        listen,
        legacy_http: settings.text("legacy.http"),
        cursor_key: cursor_key(settings),
        legacy_keys: parts::legacy_keys(plan),
        objects: parts::object_store(settings)?,
        attachment_bytes_max: settings.number("api.attachment_bytes_max"),
        sessions: auth::sessions(settings)?,
        limits: auth::limits(settings)?,
        dependencies: dependencies(settings, plan)?,
    };
    Ok(api::bind(api, pool, stop).await?)
}

/// What is told on `/health/ready` where it is configured.
fn dependencies(settings: &Settings, plan: &Plan) -> anyhow::Result<Vec<Dependency>> {
    let mut dependencies = Vec::new();
    if let Some(brokers) = settings.text("kafka.bootstrap") {
        let brokers = brokers.split(',').map(|broker| broker.trim().to_owned()).collect();
        dependencies.push(Dependency::listening("kafka", brokers));
    }
    if let Some(url) = settings.secret("redis.url") {
        dependencies
            .push(Dependency::listening("redis", redis_address(&url).into_iter().collect()));
    }
    if settings.text("objects.url").is_some()
        && let Some(objects) = parts::objects(settings, plan)?
    {
        dependencies.push(Dependency::new("objects", move || {
            let objects = objects.clone();
            async move { objects.reach().await.map_err(|error| error.to_string()) }
        }));
    }
    Ok(dependencies)
}

/// `host:port` of a Redis. What is no address has none, and [`api::bind`] refuses it.
fn redis_address(url: &SecretString) -> Option<String> {
    let url: reqwest::Url = url.expose_secret().parse().ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port().unwrap_or(6379)))
}

/// The key that signs cursors. Without one, cursors are good for the life of the process.
fn cursor_key(settings: &Settings) -> Vec<u8> {
    match settings.text("api.cursor_key") {
        Some(key) => key.into_bytes(),
        None => {
            tracing::warn!("api.cursor_key is not set: cursors end with this process");
            let random: [u8; 32] = rand::random();
            random.to_vec()
        }
    }
}
