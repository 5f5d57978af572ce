//! Who is told: a webhook that takes JSON. `text` is a sentence for people, as chat services want
//! it; the rest is for programs. No values of rows, no keys.

use std::time::Duration;

use reconcile::Report;
use serde::Serialize;

use super::job::Job;
use crate::{exit::usage, settings::Settings};

const ATTEMPTS: u32 = 3;
const LIMIT: Duration = Duration::from_secs(10);

/// Something that somebody should know.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alarm {
    pub(super) text: String,
    /// `equal`, `different`, `undecided`, `failed`, `missed` or `stale`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lsn: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    domains: Vec<String>,
}

impl Alarm {
    fn new(kind: &'static str, job: Option<&Job>, text: String) -> Self {
        let job = job.map(|job| job.name);
        Self { text, kind, job, report: None, lsn: None, domains: Vec::new() }
    }

    pub(super) fn verdict(job: &Job, number: i64, report: &Report) -> Self {
        let kind = match report.verdict {
            reconcile::Verdict::Equal => "equal",
            reconcile::Verdict::Different => "different",
            reconcile::Verdict::InFlight => "undecided",
        };
        let sum = |pick: fn(&reconcile::EntityReport) -> u64| -> u64 {
            report.entities.iter().map(pick).sum()
        };
        let bad = report.domains.iter().filter(|one| one.verdict != reconcile::Verdict::Equal);
        let domains: Vec<String> = bad.map(|domain| domain.domain.clone()).collect();
        let place =
            if domains.is_empty() { String::new() } else { format!(" in {}", domains.join(", ")) };
        let text = format!(
            "ficus reconcile of {} ({}): {kind}; {} rows differ, {} are undecided{place}; report {number}",
            report.database,
            job.name,
            sum(reconcile::EntityReport::different),
            sum(reconcile::EntityReport::undecided),
        );
        let lsn = report.low.clone();
        Self { report: Some(number), lsn, domains, ..Self::new(kind, Some(job), text) }
    }

    pub(super) fn failed(job: &Job, error: &anyhow::Error) -> Self {
        let text = format!("ficus reconcile ({}) failed: {error:#}", job.name);
        Self::new("failed", Some(job), text)
    }

    pub(super) fn missed(job: &Job, slots: u64) -> Self {
        let runs = if slots == 1 { "run was" } else { "runs were" };
        let text = format!("ficus schedule: {slots} {runs} of `{}` missed", job.name);
        Self::new("missed", Some(job), text)
    }

    pub(super) fn stale(age_ms: Option<i64>) -> Self {
        let text = match age_ms {
            Some(age) => format!(
                "ficus schedule: the newest full verdict is {} old",
                crate::command::report::spoken(age)
            ),
            None => "ficus schedule: there is no full verdict".to_owned(),
        };
        Self::new("stale", None, text)
    }
}

/// The webhook, where one is set.
pub(super) struct Alert {
    hook: Option<(reqwest::Client, reqwest::Url)>,
}

impl Alert {
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let Some(url) = settings.text("schedule.webhook") else { return Ok(Self { hook: None }) };
        // It may hold a token: never printed.
        let bad = || usage("schedule.webhook is no http or https address");
        let url: reqwest::Url = url.parse().map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad());
        }
        let client = reqwest::Client::builder().timeout(LIMIT).build()?;
        Ok(Self { hook: Some((client, url)) })
    }

    /// Tells the webhook. That it can't be told is a warning: the report stands all the same.
    pub(super) async fn tell(&self, alarm: &Alarm) {
        let Some((client, url)) = &self.hook else { return };
        let mut why = String::new();
        for attempt in 1..=ATTEMPTS {
            match client.post(url.clone()).json(alarm).send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => why = format!("it answered {}", answer.status()),
                Err(error) => why = error.without_url().to_string(),
            }
            tokio::time::sleep(Duration::from_millis(200) * attempt).await;
        }
        tracing::warn!(kind = alarm.kind, "the webhook was not told: {why}");
    }
}
