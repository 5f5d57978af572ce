//! When a job is due. Pure, but for reading the settings.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;

use crate::{exit::usage, settings::Settings};

/// Missed slots that are written down at most; what was away for longer was away.
const MISSED_MAX: usize = 1_000;

/// A job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) name: &'static str,
    pub(super) cron: Cron,
    pub(super) zone: Tz,
    /// Domains or entities; all when empty.
    pub(super) names: Vec<String>,
    /// The share of rows, in hundredths of a percent; all without.
    pub(super) sample: Option<u32>,
}

/// What is to be done, milliseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// The slot to run.
    pub(super) slot: i64,
    /// Slots that nobody ran, oldest first.
    pub(super) missed: Vec<i64>,
}

/// The names of `schedule.names`.
pub(super) fn names(settings: &Settings) -> Vec<String> {
    let text = settings.text("schedule.names").unwrap_or_default();
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The jobs of the configuration.
pub(super) fn jobs(settings: &Settings) -> anyhow::Result<Vec<Job>> {
    let zone = settings.text("schedule.zone").unwrap_or_default();
    let zone: Tz = zone.parse().map_err(|_| {
        usage(format!(
            "schedule.zone: `{zone}` is no time zone; write Asia/Ulaanbaatar, for instance"
        ))
    })?;
    let percent = settings.text("schedule.sample_percent").unwrap_or_default();
    let share = crate::args::share(&percent)
        .map_err(|why| usage(format!("schedule.sample_percent: `{percent}`: {why}")))?;
    let mut jobs = Vec::new();
    for (name, key, sample) in
        [("full", "schedule.full", None), ("sample", "schedule.sample", Some(share))]
    {
        let Some(text) = settings.text(key).filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        let cron: Cron = text.parse().map_err(|error| {
            usage(format!(
                "{key}: `{text}` is no cron expression ({error}); write minute hour day month \
                 weekday, such as 0 5 * * *"
            ))
        })?;
        jobs.push(Job { name, cron, zone, names: names(settings), sample });
    }
    if jobs.is_empty() {
        return Err(usage(
            "nothing is scheduled: set schedule.full (or schedule.sample) to a cron expression, \
             such as 0 5 * * *",
        ));
    }
    Ok(jobs)
}

impl Job {
    /// What is due at an instant, when `newest` is the newest slot that is known.
    pub(super) fn due(&self, newest: Option<i64>, now: DateTime<Utc>) -> Option<Due> {
        let local = now.with_timezone(&self.zone);
        let slot = self.cron.find_previous_occurrence(&local, true).ok()?;
        let slot_ms = slot.timestamp_millis();
        let Some(newest) = newest else {
            return Some(Due { slot: slot_ms, missed: Vec::new() });
        };
        if slot_ms <= newest {
            return None;
        }
        let mut missed = Vec::new();
        let mut at = slot;
        while missed.len() < MISSED_MAX {
            let Ok(before) = self.cron.find_previous_occurrence(&at, false) else { break };
            if before.timestamp_millis() <= newest {
                break;
            }
            missed.push(before.timestamp_millis());
            at = before;
        }
        missed.reverse();
        Some(Due { slot: slot_ms, missed })
    }

    /// When it is due next, for people.
    pub(super) fn next_text(&self) -> String {
        let now = Utc::now().with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&now, false);
        next.map_or_else(|_| "never".to_owned(), |next| next.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(cron: &str, zone: &str) -> Job {
        let (cron, zone) = (cron.parse().unwrap(), zone.parse().unwrap());
        Job { name: "full", cron, zone, names: Vec::new(), sample: None }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn each_slot_is_due_once_and_those_before_it_are_missed() {
        let job = job("0 5 * * *", "Asia/Ulaanbaatar");
        let now = at("2026-03-10T21:00:30Z");
        let slot = at("2026-03-10T21:00:00Z").timestamp_millis();
        // Nobody ever ran it: the newest, and nothing was missed.
        assert_eq!(job.due(None, now), Some(Due { slot, missed: vec![] }));
        assert_eq!(job.due(Some(slot), now), None);
        assert_eq!(job.due(Some(slot), at("2026-03-11T20:59:59Z")), None);
        let before = at("2026-03-07T21:00:00Z").timestamp_millis();
        let day = 86_400_000;
        let missed = vec![before + day, before + 2 * day];
        assert_eq!(job.due(Some(before), now), Some(Due { slot, missed }));
    }

    #[test]
    fn a_long_absence_is_bounded() {
        let job = job("* * * * *", "UTC");
        let due = job.due(Some(0), at("2026-03-10T21:00:30Z")).unwrap();
        assert_eq!(due.missed.len(), MISSED_MAX);
        assert!(due.missed.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
