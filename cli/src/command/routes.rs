//! `ficus routes`: who serves what, and how far the project is.

use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use target::domain::State;

use crate::{
    args::RoutesArgs,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// A server that does not answer within this time is not waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// A line of the manifest, as `/ops/routes.json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    method: String,
    path: String,
    domain: String,
    state: String,
    served_by: String,
    /// Only a server counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_here: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_legacy: Option<u64>,
}

/// Prints the manifest of a running server, or that which follows from the states in Postgres.
pub(crate) async fn run(args: &RoutesArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let lines = match &args.url {
        Some(url) => of_server(url).await?,
        None => of_states(settings).await?,
    };
    if args.json {
        out::line(serde_json::to_string_pretty(&lines)?);
    } else {
        out::line(format!("{}\n  {}", table(&lines), progress(&lines)));
    }
    Ok(Exit::Success)
}

async fn of_server(url: &str) -> anyhow::Result<Vec<Line>> {
    let wrong = || usage(format!("`{url}` is no server's URL; write it as http://127.0.0.1:8080"));
    let base: reqwest::Url = url.parse().map_err(|_| wrong())?;
    let manifest = base.join("/ops/routes.json").map_err(|_| wrong())?;
    if !matches!(manifest.scheme(), "http" | "https") {
        return Err(wrong());
    }
    let client = reqwest::Client::builder().timeout(LIMIT).build()?;
    let asked = client.get(manifest.clone()).send().await;
    let answer = asked.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(reqwest::Error::without_url);
    let lines = match answer {
        Ok(answer) => answer.json().await.map_err(reqwest::Error::without_url),
        Err(error) => Err(error),
    };
    lines.with_context(|| format!("asking {url} for its routes; is it a `ficus serve`?"))
}

/// What any server does that follows these states.
async fn of_states(settings: &Settings) -> anyhow::Result<Vec<Line>> {
    let plan = parts::plan(settings).await?;
    let domains = parts::target(settings, &plan).await?.domains().await?;
    let line = |route: &api::routes::Route| {
        let found = domains.iter().find(|domain| domain.name == route.domain);
        let state = match found {
            Some(domain) => domain.state,
            // Nobody's but ours, from the first day.
            None if route.domain == api::sessions::DOMAIN => State::CutOver,
            None => State::Legacy,
        };
        Line {
            method: route.method.to_owned(),
            path: route.path.to_owned(),
            domain: route.domain.to_owned(),
            state: state.to_string(),
            served_by: if api::routes::is_ours(state) { "ficus" } else { "legacy" }.to_owned(),
            requests_here: None,
            requests_legacy: None,
        }
    };
    Ok(api::domains::ROUTES.iter().map(line).collect())
}

fn table(lines: &[Line]) -> String {
    let count = |requests: Option<u64>| requests.map_or("-".to_owned(), out::thousands);
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                format!("{} {}", line.method, line.path),
                line.domain.clone(),
                line.state.clone(),
                line.served_by.clone(),
                count(line.requests_here),
                count(line.requests_legacy),
            ]
        })
        .collect();
    out::table(&["route", "domain", "state", "served by", "here", "legacy"], &rows)
}

/// `12 of 21 routes (57 %) are served by ficus; 300 of 400 requests (75 %) were`.
fn progress(lines: &[Line]) -> String {
    let ours = lines.iter().filter(|line| line.served_by == "ficus").count();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let routes = share(count(ours), count(lines.len()), "routes");
    let sum = |of: fn(&Line) -> Option<u64>| -> u64 { lines.iter().filter_map(of).sum() };
    let here = sum(|line| line.requests_here);
    let all = here.saturating_add(sum(|line| line.requests_legacy));
    let requests = share(here, all, "requests");
    let were = if all > 0 { format!("; {requests} were") } else { String::new() };
    format!("{routes} are served by ficus{were}")
}

fn share(part: u64, whole: u64, what: &str) -> String {
    let percent = part.saturating_mul(100).checked_div(whole).unwrap_or(0);
    format!("{} of {} {what} ({percent} %)", out::thousands(part), out::thousands(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, served_by: &str, requests: Option<(u64, u64)>) -> Line {
        Line {
            method: "GET".to_owned(),
            path: path.to_owned(),
            domain: "a".to_owned(),
            state: "cut_over".to_owned(),
            served_by: served_by.to_owned(),
            requests_here: requests.map(|(here, _)| here),
            requests_legacy: requests.map(|(_, legacy)| legacy),
        }
    }

    #[test]
    fn the_progress_is_told_in_one_line() {
        let counted =
            [line("/v2/as", "ficus", Some((3_000, 1))), line("/v2/bs", "legacy", Some((0, 999)))];
        let told = "1 of 2 routes (50 %) are served by ficus; 3,000 of 4,000 requests (75 %) were";
        assert_eq!(progress(&counted), told);
        let uncounted = [line("/v2/as", "legacy", None)];
        assert_eq!(progress(&uncounted), "0 of 1 routes (0 %) are served by ficus");
        assert_eq!(progress(&[]), "0 of 0 routes (0 %) are served by ficus");
    }

    #[test]
    fn a_server_without_counts_is_understood() {
        let text =
            r#"[{"method":"GET","path":"/","domain":"a","state":"legacy","servedBy":"legacy"}]"#;
        let lines: Vec<Line> = serde_json::from_str(text).expect("lines");
        assert_eq!(lines[0].requests_here, None);
    }
}
