//! What two sides' totals prove. Pure.

use std::collections::BTreeMap;

use chrono::{MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use super::{Sums, is_fenced, plan::Asked};
use crate::{
    decide::{DifferenceKind, Proof},
    paranoid::{Meaning, Said, moment},
    report::{Difference, ValuePair},
};

/// What is known of a table now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not decided.
    Open,
    /// Every total agrees.
    Agree,
    Different(Found),
}

impl Outcome {
    pub(crate) fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// Totals that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Rows that the target has too few, and too many.
    pub(crate) missing: u64,
    pub(crate) extra: u64,
    pub(crate) pairs: Vec<ValuePair>,
}

impl Found {
    pub(crate) fn shown(&self) -> Difference {
        Difference {
            kind: DifferenceKind::Changed,
            part: None,
            key: None,
            id: None,
            position: None,
            low: None,
            columns: self.pairs.clone(),
            tampered: false,
            hint: "totals of all rows: a full run tells which rows differ".to_owned(),
        }
    }
}

/// Judges what was added up; `last` is what the pass before gave.
pub(super) fn judge(asked: &Asked, sums: &Sums, (proof, last): (Proof, Option<&Sums>)) -> Outcome {
    let counted = counts(asked, sums);
    let mut found = Found { missing: counted.missing, extra: counted.extra, pairs: Vec::new() };
    if found.missing + found.extra > 0 {
        found.pairs.push(counted.pair);
    }
    // Rows that are held back are in the totals of one side only.
    if sums.held.quarantined == 0 {
        found.pairs.extend(totals(asked, sums));
    }
    if found.pairs.is_empty() {
        return Outcome::Agree;
    }
    let moving: u64 = sums.target.iter().map(|totals| totals.later).sum();
    let moving = moving + sums.held.parked;
    let is_proven = match is_fenced(proof) {
        None => last == Some(sums),
        Some(false) => false,
        // What moved can explain so many rows and no more.
        Some(true) => moving == 0 || found.missing.max(found.extra) > moving,
    };
    if is_proven { Outcome::Different(found) } else { Outcome::Open }
}

struct Counts {
    missing: u64,
    extra: u64,
    pair: ValuePair,
}

/// Every legacy row is in the target or held back, but for those that are nobody's.
fn counts(asked: &Asked, sums: &Sums) -> Counts {
    let legacy = sums.legacy.first().and_then(|text| text.as_ref()?.parse::<u64>().ok());
    let legacy = legacy.unwrap_or(0);
    let target: u64 = sums.target.iter().map(|totals| totals.rows).sum();
    let most = target.saturating_add(sums.held.quarantined);
    let missing = if asked.has_others { 0 } else { legacy.saturating_sub(most) };
    let pair = ValuePair {
        column: "count(*)".to_owned(),
        legacy: Some(legacy.to_string()),
        target: Some(target.to_string()),
    };
    Counts { missing, extra: target.saturating_sub(legacy), pair }
}

fn totals(asked: &Asked, sums: &Sums) -> Vec<ValuePair> {
    let [target] = sums.target.as_slice() else { return Vec::new() };
    let legacy = sums.legacy.iter().skip(1);
    let all = asked.meant.iter().zip(legacy.zip(&target.texts));
    let differs = all.filter(|((meaning, _), (legacy, target))| {
        is_other(meaning, legacy.as_deref(), target.as_deref())
    });
    differs
        .map(|((_, name), (legacy, target))| ValuePair {
            column: name.clone(),
            legacy: legacy.clone(),
            target: target.clone(),
        })
        .collect()
}

fn is_other(meaning: &Meaning, legacy: Option<&str>, target: Option<&str>) -> bool {
    // A sum of nothing is NULL on both sides, and 0 where NULLs stand for 0.
    let zero = matches!(meaning, Meaning::Number { .. });
    let none = |text: Option<&str>| text.is_none() || (zero && text == Some("0"));
    if legacy.is_none() || target.is_none() {
        return !(none(legacy) && none(target)) && (zero || !is_uncertain(meaning, legacy, target));
    }
    meaning.compare(&[legacy], target, (None, &BTreeMap::new())) == Said::Other
        && !is_uncertain(meaning, legacy, target)
}

/// Whether the least or greatest may be another row's on the other side: a day that stands for
/// something else only at midnight, or a time close to an hour that never was, whose order is not kept.
fn is_uncertain(meaning: &Meaning, legacy: Option<&str>, target: Option<&str>) -> bool {
    let (sentinels, zone) = match meaning {
        Meaning::Date(sentinels) | Meaning::Wall(sentinels) => (sentinels, None),
        Meaning::Zoned { zone, sentinels } => (sentinels, Some(*zone)),
        _ => return false,
    };
    let legacy = legacy.and_then(moment);
    let target = target.and_then(|text| moment(text.strip_suffix("+00").unwrap_or(text)));
    let wall = |at: NaiveDateTime| match zone {
        Some(zone) => zone.from_utc_datetime(&at).naive_local(),
        None => at,
    };
    let walls: Vec<NaiveDateTime> = legacy.into_iter().chain(target.map(wall)).collect();
    let is_special = |at: &NaiveDateTime| sentinels.0.contains_key(&at.date().to_string());
    walls.iter().any(is_special)
        || zone.is_some_and(|zone| walls.iter().any(|at| is_near_gap(zone, *at)))
}

fn is_near_gap(zone: Tz, at: NaiveDateTime) -> bool {
    let mut minutes = (-24 * 60..=24 * 60).step_by(15);
    minutes.any(|minutes| {
        let at = at.checked_add_signed(TimeDelta::minutes(minutes));
        at.is_some_and(|at| matches!(zone.from_local_datetime(&at), MappedLocalTime::None))
    })
}
