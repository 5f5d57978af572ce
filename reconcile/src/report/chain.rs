//! Reports are chained: each hash covers the report and the hash before it, so that a report
//! can't be changed, left out or put in between without showing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Report;
use crate::Error;

/// SHA-256.
pub type ReportHash = [u8; 32];

impl Report {
    /// The report as it is hashed and stored: compact JSON, keys sorted by bytes.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn canonical_json(&self) -> Result<String, Error> {
        let value = serde_json::to_value(self).map_err(Error::Encode)?;
        Ok(canonical(&value))
    }
}

/// The hash of a stored report: over the hash before it (nothing for the first) and its
/// canonical JSON.
#[must_use]
pub fn chain(previous: Option<&ReportHash>, canonical_json: &str) -> ReportHash {
    let mut hasher = Sha256::new();
    if let Some(previous) = previous {
        hasher.update(previous);
    }
    hasher.update(canonical_json.as_bytes());
    hasher.finalize().into()
}

/// The canonical form of any JSON. Reports hold no floats, so numbers have one spelling.
#[must_use]
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::String(key.clone()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// A stored report as the chain knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number, for people.
    pub number: i64,
    /// The canonical JSON, exactly as stored.
    pub body: String,
    /// The hash that it says the report before has.
    pub previous: Option<ReportHash>,
    /// The hash that it says it has.
    pub hash: ReportHash,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The body or the hash before is not what was hashed.
    #[error("report {number} was changed: its hash is not the hash of what it holds")]
    Changed {
        /// The report.
        number: i64,
    },
    /// The report before is not there.
    #[error("the report before report {number} is missing")]
    Gap {
        /// The report.
        number: i64,
    },
    /// Two reports say that they follow the same one.
    #[error("reports {first} and {second} both say that they follow the same report")]
    Fork {
        /// One of them.
        first: i64,
        /// The other.
        second: i64,
    },
}

/// Checks a chain, whatever the order of its links. `from_start` demands that the first report of
/// all is among them; without, one link may follow a report that is not there. Comes back with all
/// that is wrong, and the newest report's number and hash: whoever noted them down somewhere else
/// can tell whether reports were taken off the end.
#[must_use]
pub fn verify(links: &[Link], from_start: bool) -> (Vec<Broken>, Option<(i64, ReportHash)>) {
    let mut broken = Vec::new();
    let mut followed: BTreeMap<Option<ReportHash>, i64> = BTreeMap::new();
    let known: BTreeSet<ReportHash> = links.iter().map(|link| link.hash).collect();
    let mut starts = 0;
    let mut sorted: Vec<&Link> = links.iter().collect();
    sorted.sort_by_key(|link| link.number);
    for link in sorted {
        let number = link.number;
        if chain(link.previous.as_ref(), &link.body) != link.hash {
            broken.push(Broken::Changed { number });
        }
        if let Some(first) = followed.insert(link.previous, number) {
            broken.push(Broken::Fork { first, second: number });
        }
        let is_linked = link.previous.is_some_and(|previous| known.contains(&previous));
        if !is_linked {
            starts += 1;
            let is_first = link.previous.is_none();
            if (from_start && !is_first) || starts > 1 {
                broken.push(Broken::Gap { number });
            }
        }
    }
    let heads = links.iter().filter(|link| !followed.contains_key(&Some(link.hash)));
    let head = heads.max_by_key(|link| link.number);
    (broken, head.map(|link| (link.number, link.hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(count: i64) -> Vec<Link> {
        let mut previous = None;
        let mut all = Vec::new();
        for number in 1..=count {
            let body = format!("{{\"run\":{number}}}");
            let hash = chain(previous.as_ref(), &body);
            all.push(Link { number, body, previous, hash });
            previous = Some(hash);
        }
        all
    }

    #[test]
    fn a_whole_chain_is_whole_in_any_order() {
        let mut all = links(5);
        let head = all.last().map(|link| (5, link.hash));
        all.reverse();
        assert_eq!(verify(&all, true), (vec![], head));
        // Without its beginning it is a chain still, if nobody asks for the beginning.
        all.pop();
        assert_eq!(verify(&all, false), (vec![], head));
        assert_eq!(verify(&all, true).0, [Broken::Gap { number: 2 }]);
        assert_eq!(verify(&[], true), (vec![], None));
    }

    #[test]
    fn what_was_changed_taken_out_or_put_in_shows() {
        let mut all = links(5);
        all[2].body = all[2].body.replace('3', "4");
        assert_eq!(verify(&all, true).0, [Broken::Changed { number: 3 }]);
        // Hashed anew: then the next one shows it.
        all[2].hash = chain(all[2].previous.as_ref(), &all[2].body);
        assert_eq!(verify(&all, true).0, [Broken::Gap { number: 4 }]);

        let mut all = links(5);
        all.remove(2);
        assert_eq!(verify(&all, true).0, [Broken::Gap { number: 4 }]);

        // With the next one made to follow the one before.
        let before = all[1].hash;
        all[2].previous = Some(before);
        assert_eq!(verify(&all, true).0, [Broken::Changed { number: 4 }]);

        let mut all = links(5);
        let body = "{}".to_owned();
        let previous = all[1].previous;
        let hash = chain(previous.as_ref(), &body);
        all.push(Link { number: 6, body, previous, hash });
        assert_eq!(verify(&all, true).0, [Broken::Fork { first: 2, second: 6 }]);
    }
}
