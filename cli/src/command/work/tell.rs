//! Events for people: list, show, replay, discard.

use chrono::{DateTime, SecondsFormat, Utc};
use target::Pool;
use work::look::{self, Entry, Filter, Run};

use crate::{args::WorkAction, command::quarantine::actor, exit::Exit, out};

pub(super) async fn run(action: &WorkAction, pool: &Pool) -> anyhow::Result<Exit> {
    match action {
        WorkAction::List { state, topic, limit } => {
            let state = (state != "any").then(|| state.clone());
            let filter = Filter { state, topic: topic.clone(), limit: *limit };
            out::line(listing(&look::list(pool, &filter).await?));
        }
        WorkAction::Show { id, payload } => {
            let (entry, content, runs) = look::show(pool, *id).await?;
            out::line(listing(std::slice::from_ref(&entry)));
            if let Some(id) = &entry.correlation_id {
                out::line(format!("  correlation id  {id}"));
            }
            match payload {
                true => out::line(format!("  payload         {content}")),
                false => {
                    let names = content.as_object().map(|fields| fields.keys().cloned().collect());
                    let names: Vec<String> = names.unwrap_or_default();
                    let hidden = "(values with --payload)";
                    out::line(format!("  payload         {} {hidden}", names.join(", ")));
                }
            }
            out::line(history(&runs));
        }
        WorkAction::Replay { ids, topic } => {
            if let Some(topic) = topic {
                let count = look::replay_topic(pool, topic, &actor()).await?;
                out::line(format!("{count} dead events of {topic} are tried again"));
            }
            for id in ids {
                look::replay(pool, *id, &actor()).await?;
                out::line(format!("event {id} is tried again"));
            }
        }
        WorkAction::Discard { id, reason } => {
            look::discard(pool, *id, &actor(), reason).await?;
            out::line(format!("event {id} is discarded"));
        }
    }
    Ok(Exit::Success)
}

fn listing(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "there is no such event".to_owned();
    }
    let row = |entry: &Entry| {
        vec![
            entry.id.to_string(),
            entry.topic.clone(),
            entry.state.clone(),
            entry.attempts.to_string(),
            instant(entry.created_at),
            entry.due_at.map(instant).unwrap_or_default(),
            entry.last_error.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    out::table(&["id", "topic", "state", "attempts", "written", "due", "last failure"], &rows)
}

fn history(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "  it was not tried yet".to_owned();
    }
    let row = |run: &Run| {
        vec![
            run.attempt.to_string(),
            instant(run.began_at),
            run.milliseconds.map(|ms| ms.to_string()).unwrap_or_default(),
            run.outcome.clone(),
            run.detail.clone().unwrap_or_default(),
            run.owner.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    out::table(&["attempt", "began", "ms", "outcome", "what", "who"], &rows)
}

fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
