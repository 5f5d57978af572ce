//! A look of seconds: counts, sums, least and greatest values, which both servers add up by
//! themselves. By the meaning of the mapping files ([`crate::paranoid`]), not by the encoder.
//!
//! On moving databases a total is what the rows were when it was added up. So a pass goes in the
//! same order as any other: S, the legacy totals, a marker, the stream passes it, the target's.
//! When no row and no tombstone of the table is later than S, both sides show the same instant,
//! and totals that differ differ. Otherwise they are in flight and added up again, but for a
//! difference of counts that is larger than all that moved.

mod compare;
mod plan;

use std::sync::Arc;

use mapping::position::Lsn;
use target::compare::{HeldBack, Totals};
use tokio::time::Instant;

use self::{
    compare::{Outcome, judge},
    plan::{Asked, Look},
};
use crate::{
    EntityReport, Error, LeftOut, Report, Verdict,
    decide::Proof,
    legacy_scan::Scan,
    link::{Link, Pass, Passed},
    paranoid::Rules,
    subject::table,
};

/// What a look at everything found.
pub(crate) struct Quick {
    pub(crate) looks: Vec<Look>,
    pub(crate) passes: u32,
    pub(crate) passed: Option<Passed>,
}

/// Both sides of one legacy table, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) legacy: Vec<Option<String>>,
    /// By subject.
    pub(crate) target: Vec<Totals>,
    pub(crate) held: HeldBack,
}

/// Adds up until every table is decided or patience runs out.
pub(crate) async fn look(scan: &Arc<Scan>, link: &mut Link, rules: &Rules) -> Result<Quick, Error> {
    let looks = plan::looks(scan, rules);
    let mut quick = Quick { looks, passes: 0, passed: None };
    let deadline = Instant::now() + scan.settings.patience;
    loop {
        let open = quick.looks.iter().enumerate().filter(|(_, look)| look.outcome.is_open());
        let open: Vec<usize> = open.map(|(index, _)| index).collect();
        if open.is_empty() {
            return Ok(quick);
        }
        quick.passes += 1;
        let asked = open.iter().filter_map(|index| Some(quick.looks.get(*index)?.asked.clone()));
        let mut pass = Adding { scan: Arc::clone(scan), asked: asked.collect(), sums: Vec::new() };
        let passed = link.pass(&mut pass).await?;
        quick.passed.get_or_insert(passed);
        for (index, sums) in open.iter().zip(pass.sums) {
            if let Some(look) = quick.looks.get_mut(*index) {
                look.outcome = judge(&look.asked, &sums, (passed.proof, look.last.as_ref()));
                look.last = Some(sums);
            }
        }
        let is_open = quick.looks.iter().any(|look| look.outcome.is_open());
        // Without a fence nothing is decided before the second time.
        let is_late = Instant::now() >= deadline && (link.no_fence().is_none() || quick.passes > 1);
        if !is_open || is_late || link.is_stalled() {
            return Ok(quick);
        }
        tokio::select! {
            () = tokio::time::sleep(scan.settings.pause) => {}
            () = scan.watch.stop.cancelled() => return Err(Error::Cancelled),
        }
    }
}

struct Adding {
    scan: Arc<Scan>,
    asked: Vec<Asked>,
    sums: Vec<Sums>,
}

impl Pass for Adding {
    async fn read_legacy(&mut self, link: &mut Link, _low: Option<Lsn>) -> Result<(), Error> {
        for asked in &self.asked {
            let Some(plan) = table(&self.scan.plan, asked.table) else { continue };
            let doing = format!("adding up {}", plan.table);
            let stop = self.scan.watch.stop.clone();
            let session = link.reader().await?;
            let legacy = tokio::select! {
                legacy = session.totals(plan, &asked.legacy) => legacy.map_err(Error::legacy(doing))?,
                () = stop.cancelled() => return Err(Error::Cancelled),
            };
            self.sums.push(Sums { legacy, ..Sums::default() });
        }
        Ok(())
    }

    async fn read_target(&mut self, link: &mut Link, low: Option<Lsn>) -> Result<(), Error> {
        for (asked, sums) in self.asked.iter().zip(&mut self.sums) {
            for index in &asked.subjects {
                let subject = self.scan.subjects.get(*index);
                let place = (subject.entity, subject.share());
                let totals =
                    link.target.totals(place, low.unwrap_or(Lsn::ZERO), &asked.target).await;
                sums.target.push(totals.map_err(Error::target("adding up the target's rows"))?);
            }
            let of = asked.subjects.iter().map(|index| self.scan.subjects.get(*index).entity);
            let entities: Vec<_> = of.collect();
            let held = link.target.held_back(asked.table, &entities).await;
            sums.held = held.map_err(Error::target("counting what is held back"))?;
        }
        Ok(())
    }
}

impl Quick {
    /// How many totals were compared.
    pub(crate) fn totals(&self) -> u64 {
        let of = |look: &Look| u64::try_from(look.asked.legacy.len()).unwrap_or(u64::MAX);
        self.looks.iter().map(of).sum()
    }

    /// Writes what was found into a report that knows nothing of it.
    pub(crate) fn tell(&self, scan: &Scan, report: &mut Report) {
        for look in &self.looks {
            let Some(subject) = look.asked.subjects.first() else { continue };
            let entity = scan.subjects.get(*subject).entity;
            let name = scan.plan.entities.iter().find(|plan| plan.id == entity);
            let name = name.map(|plan| plan.name.as_str()).unwrap_or_default();
            let entity = report.entities.iter_mut().find(|entity| entity.entity == name);
            if let Some(entity) = entity {
                tell(look, entity);
            }
        }
        for domain in &mut report.domains {
            let of_domain = report.entities.iter().filter(|one| one.domain == domain.domain);
            domain.verdict = Verdict::worst(of_domain.map(|one| one.verdict));
        }
        report.verdict = Verdict::worst(report.entities.iter().map(|entity| entity.verdict));
    }
}

fn tell(look: &Look, entity: &mut EntityReport) {
    if let Some(sums) = &look.last {
        let count = sums.legacy.first().and_then(|count| count.as_ref()?.parse().ok());
        entity.rows.read += count.unwrap_or(0);
        entity.rows.quarantined += sums.held.quarantined;
        entity.target_rows += sums.target.iter().map(|totals| totals.rows).sum::<u64>();
        entity.later += sums.target.iter().map(|totals| totals.later).sum::<u64>();
    }
    let left_out = look
        .asked
        .not_said
        .iter()
        .map(|(column, reason)| LeftOut { column: column.clone(), reason: reason.clone() });
    entity.not_compared.extend(left_out);
    let verdict = match &look.outcome {
        Outcome::Open => Verdict::InFlight,
        Outcome::Agree => Verdict::Equal,
        Outcome::Different(found) => {
            entity.rows.missing += found.missing;
            entity.extra += found.extra;
            // How many rows it is, totals don't tell: one at least.
            entity.rows.changed += u64::from(found.missing + found.extra == 0);
            for pair in &found.pairs {
                *entity.columns.entry(pair.column.clone()).or_default() += 1;
            }
            entity.differences.push(found.shown());
            Verdict::Different
        }
    };
    entity.verdict = entity.verdict.max(verdict);
}

/// Whether two passes may be compared at all.
pub(super) fn is_fenced(proof: Proof) -> Option<bool> {
    match proof {
        Proof::Fence { passed, settled, alone, .. } => Some(passed && settled && alone),
        Proof::Twice => None,
    }
}
