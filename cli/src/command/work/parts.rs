//! The worker's parts, from the settings.

use std::{sync::Arc, time::Duration};

use api::domains::statements::{MonthlyStatements, RENDER, Statements};
use chrono_tz::Tz;
use target::Pool;
use work::{Gateway, Handler, Limits, Route, Routes, Schedule, Webhook, gateway};

use crate::{exit::usage, settings::Settings};

/// What a worker works with.
pub(super) struct Parts {
    pub(super) routes: Routes,
    pub(super) schedule: Schedule,
}

/// How it works.
pub(super) fn settings(settings: &Settings) -> anyhow::Result<work::Settings> {
    let limits = settings.text("work.concurrency").unwrap_or_default();
    let attempts_max = u32::try_from(settings.number("work.attempts_max")).unwrap_or(u32::MAX);
    let days = settings.number("work.keep_days");
    Ok(work::Settings {
        owner: format!("{}, process {}", crate::command::quarantine::actor(), std::process::id()),
        limits: Limits::parse("work.concurrency", &limits)?,
        poll: settings.milliseconds("work.poll_ms"),
        attempt: settings.milliseconds("work.attempt_ms_max"),
        attempts_max,
        retry_first: settings.milliseconds("work.retry_ms"),
        retry_max: settings.milliseconds("work.retry_ms_max"),
        keep: Duration::from_secs(days.saturating_mul(86_400)),
    })
}

/// The handlers and jobs that are set. The webhook comes last, because it may take every topic.
pub(super) fn parts(settings: &Settings, pool: &Pool) -> anyhow::Result<Parts> {
    let mut routes = Vec::new();
    let mut add = |name, topics: Vec<String>, handler: Arc<dyn Handler>| {
        routes.push(Route { topics, name, handler });
    };
    if let Some(gateway) = sms(settings)? {
        add("sms", vec!["sms.send".to_owned()], Arc::new(gateway));
    }
    if let Some(gateway) = push(settings)? {
        add("push", vec!["push.send".to_owned()], Arc::new(gateway));
    }
    let zone = zone(settings)?;
    let mut schedule = Schedule::default();
    let cron = settings.text("work.statement_cron").filter(|text| !text.trim().is_empty());
    match (crate::parts::object_store(settings)?, cron) {
        (None, Some(_)) => {
            return Err(usage(
                "work.statement_cron is set, and objects.url is not: statements are put into the \
                 object store, file:///srv/objects, for instance",
            ));
        }
        (None, None) => {}
        (Some(objects), cron) => {
            let statements = Statements::new(pool.clone(), objects, zone)?;
            add("statement", vec![RENDER.to_owned()], Arc::new(statements));
            if let Some(cron) = cron {
                schedule.add(("work.statement_cron", &cron), zone, Arc::new(MonthlyStatements))?;
            }
        }
    }
    if let Some(url) = settings.secret("work.webhook_url") {
        let secret = settings.secret("work.webhook_secret").ok_or_else(|| {
            usage(
                "work.webhook_url is set, and work.webhook_secret is not: receivers could not know \
                 who sends; `openssl rand -base64 32` makes one, for work.webhook_secret_file",
            )
        })?;
        let topics = settings.text("work.webhook_topics").unwrap_or_default();
        let topics: Vec<String> =
            topics.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect();
        add("webhook", topics, Arc::new(Webhook::new(&url, &secret, limit(settings))?));
    }
    if routes.is_empty() {
        return Err(usage(
            "there is nothing to do: set work.sms_url, work.push_url, work.webhook_url or \
             objects.url (docs/work.md)",
        ));
    }
    Ok(Parts { routes: Routes::new(routes), schedule })
}

fn zone(settings: &Settings) -> anyhow::Result<Tz> {
    let zone = settings.text("work.zone").unwrap_or_default();
    zone.parse().map_err(|_| {
        usage(format!("work.zone: `{zone}` is no time zone; write Asia/Ulaanbaatar, for instance"))
    })
}

/// Shorter than an attempt, so that it is the request that is said to be too slow.
fn limit(settings: &Settings) -> Duration {
    settings.milliseconds("work.attempt_ms_max") * 9 / 10
}

fn sms(settings: &Settings) -> anyhow::Result<Option<Gateway>> {
    let keys = [
        "work.sms_url",
        "work.sms_method",
        "work.sms_content_type",
        "work.sms_body",
        "work.sms_headers_file",
    ];
    gateway(settings, "work.sms", keys)
}

fn push(settings: &Settings) -> anyhow::Result<Option<Gateway>> {
    let keys = [
        "work.push_url",
        "work.push_method",
        "work.push_content_type",
        "work.push_body",
        "work.push_headers_file",
    ];
    gateway(settings, "work.push", keys)
}

fn gateway(
    settings: &Settings,
    prefix: &'static str,
    [url, method, content_type, body, headers]: [&str; 5],
) -> anyhow::Result<Option<Gateway>> {
    let Some(url) = settings.secret(url) else { return Ok(None) };
    let text = |key| settings.text(key).unwrap_or_default();
    let gateway = gateway::Settings {
        prefix,
        url,
        method: text(method),
        content_type: text(content_type),
        body: text(body),
        headers: settings.text(headers).map(Into::into),
        limit: limit(settings),
    };
    Ok(Some(Gateway::new(gateway)?))
}
