//! A second, slow, plain comparison that shares nothing with the first.
//!
//! The comparison proper maps legacy rows by the very code that wrote the target, so a mistake of
//! that code is on both sides and can't show. Here both servers write the values as text
//! themselves, the mapping files are read anew (`rules`), and what two texts mean is compared by
//! rules of their own (`meaning`), where possible against the direction of the conversion: an
//! instant is taken back to the wall clock, an id back to its legacy key.
//!
//! It looks at a sample, within the same fence as any pass: a row whose target position is newer
//! than S is left out.

mod judge;
mod meaning;
mod rules;
mod texts;

pub(crate) use self::{
    meaning::{Meaning, Said, Sentinels, moment},
    rules::ColumnRule,
};
pub use rules::Rules;

use std::sync::Arc;

use mapping::key::CanonicalKey;

use self::{judge::Meant, texts::Half};
use crate::{
    Error, Repair,
    legacy_scan::Scan,
    link::Link,
    report::{Independent, LeftOut, Report, Verdict},
    sample,
    subject::entity,
};

/// Examples in the report.
const EXAMPLES_MAX: usize = 50;
/// Rows that are held at a time.
const ROWS_MAX: usize = 10_000;

/// Looks at about so many rows of each entity.
pub(crate) async fn check(
    scan: &Arc<Scan>,
    link: &mut Link,
    (rules, rows): (&Rules, u64),
    repairs: &[Repair],
) -> Result<Independent, Error> {
    let mut found = Independent::default();
    let mut meant = Meant::default();
    let mut halves: Vec<Half> = Vec::new();
    for id in &scan.subjects.entities {
        let Some(plan) = entity(&scan.plan, *id).filter(|plan| !scan.is_owned(plan)) else {
            continue;
        };
        let Some(of_entity) = rules.entity(&plan.name) else {
            let reason = "no mapping file that was given names it".to_owned();
            found.not_covered.push(LeftOut { column: plan.name.clone(), reason });
            continue;
        };
        let not_covered = of_entity.not_covered.iter().map(|(column, reason)| LeftOut {
            column: format!("{}.{column}", plan.name),
            reason: reason.clone(),
        });
        found.not_covered.extend(not_covered);
        let Some(root) = scan.subjects.of_part(*id, 0) else { continue };
        let keys = sample::spread(scan, link, root, rows).await?;
        for some in keys.chunks(ROWS_MAX) {
            halves.push(Half::new(plan.id, some.to_vec()));
            if halves.iter().map(Half::len).sum::<usize>() >= ROWS_MAX {
                meant.pass(scan, link, (rules, std::mem::take(&mut halves))).await?;
            }
        }
    }
    meant.pass(scan, link, (rules, halves)).await?;
    let known = |key: &CanonicalKey, name: &str| {
        repairs.iter().any(|row| row.entity == name && row.key.as_ref() == Some(key))
    };
    found.rows = meant.rows;
    found.values = meant.values;
    for one in meant.disagreements {
        if known(&one.key, &one.entity) {
            continue;
        }
        found.disagreements += u64::try_from(one.shown.columns.len()).unwrap_or(u64::MAX);
        *found.entities.entry(one.entity).or_default() += 1;
        if found.examples.len() < EXAMPLES_MAX {
            found.examples.push(one.shown);
        }
    }
    Ok(found)
}

impl Report {
    /// Adds what the independent check said. Where it disagrees, nothing is equal any more.
    pub(crate) fn add_independent(&mut self, found: Independent) {
        for entity in &mut self.entities {
            let Some(rows) = found.entities.get(&entity.entity) else { continue };
            entity.verdict = Verdict::Different;
            entity.notes.push(format!(
                "INDEPENDENT CHECK: {rows} rows mean something else by rules that share nothing \
                 with the mapping's code: the code or the mapping is wrong, or rows were copied \
                 by another mapping"
            ));
        }
        for domain in &mut self.domains {
            let of_domain = self.entities.iter().filter(|one| one.domain == domain.domain);
            domain.verdict = Verdict::worst(of_domain.map(|one| one.verdict));
        }
        self.verdict = Verdict::worst(self.entities.iter().map(|entity| entity.verdict));
        self.independent = Some(found);
    }
}
